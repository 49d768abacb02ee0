"""What the documentation site has beyond docs/: pages of other folders, the notebook as a page, links that hold in both places.

The pages in docs/ are read in the repository too, where their links lead to files. Here a link leads to the page made of that
file, and what is in the repository alone is named and not linked.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parent.parent
# A file of the repository, and the page made of it.
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "results/reference/README.md": "reference-results.md",
}
NOTEBOOKS = {"docs/notebooks/first_population.ipynb": "notebooks/first_population.md"}
PAGES = ELSEWHERE | NOTEBOOKS
FILES = {page: file for file, page in PAGES.items()}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made of other files."""
    for source, page in ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for source, page in NOTEBOOKS.items():
        body, resources = MarkdownExporter().from_filename(str(ROOT / source))
        files.append(File.generated(config, page, content=body))
        for name, picture in resources["outputs"].items():
            files.append(File.generated(config, join(dirname(page), name), content=picture))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links between files of the repository into links between pages."""
    here = page.file.src_uri

    def led(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        file = normpath(join(dirname(FILES.get(here, f"docs/{here}")), target))
        place = PAGES.get(file, file.removeprefix("docs/"))
        if files.get_file_from_path(place) is not None:
            return f"[{text}]({relpath(place, dirname(here) or '.')}{anchor})"
        return text if (ROOT / file).exists() else link[0]

    return LINK.sub(led, markdown)
