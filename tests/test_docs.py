"""The documentation site builds without a warning or a network, and the notebook in it runs."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "notebooks" / "first_population.ipynb"
NEEDED = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers", "nbconvert", "ipykernel")
OUTSIDE = re.compile(r"(?:https?:)?//")

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in NEEDED), reason="needs the extra docs: pip install -e '.[docs]'"
)


class Loaded(HTMLParser):
    """Collects the addresses of what a browser loads with a page; links that a reader may follow are none of them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [value for name in ("src", "data") if (value := named.get(name))]
        if tag == "link" and (value := named.get("href")):
            self.addresses.append(value)


def loaded_from_outside(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.html")):
        for address in Loaded(path.read_text(encoding="utf-8")).addresses:
            if OUTSIDE.match(address):
                yield f"{path.name}: {address}"
    for path in sorted(folder.rglob("*.css")):
        for address in re.findall(r"(?:url\(|@import )\s*[\"']?([^\"')]+)", path.read_text(encoding="utf-8")):
            if OUTSIDE.match(address):
                yield f"{path.name}: {address}"


def text_of(page: Path) -> str:
    """What a reader sees, with single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))).split())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ROOT / "mkdocs.yml", "--site-dir", folder]
    # A proxy that nobody listens at: what asks for anything outside fails.
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(command, env={**os.environ, **closed}, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize(
    "signature",
    [
        "tune( task: type[Trainable] | str, search: Mapping[str, Hyper], *, budget: int | None",
        "bench( env: str | None = None, *,",
        "load( folder: Folder, task: type[Trainable] | None = None, *, env: str | None = None",
        "winner( method: str | None = None, seed: int | None = None",
        "parse_dimension(text: str)",
        "interval( job: IntervalJob, advance: Advance",
        "ask() -> list[Proposal]",
    ],
)
def test_the_api_page_holds_the_signatures(site: Path, signature: str) -> None:
    assert signature.replace(" ", "") in text_of(site / "api" / "index.html").replace(" ", "")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    assert list(loaded_from_outside(site)) == []


def test_what_is_loaded_from_elsewhere_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<script src="https://cdn/x.js"></script><link href="//fonts/x"><a href="https://x">x</a>'
    )
    (tmp_path / "one.css").write_text('@import "https://fonts/y"; a { background: url(data:x) }')
    assert len(list(loaded_from_outside(tmp_path))) == 3


def test_every_page_in_docs_and_the_changelog_are_in_the_site(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    pages |= {"changelog", "contributing", "reference-results", "notebooks/first_population"}
    assert [page for page in sorted(pages) if not (site / page / "index.html").exists()] == []


def test_links_of_the_repository_lead_to_pages(site: Path) -> None:
    clusters = (site / "clusters" / "index.html").read_text(encoding="utf-8")
    assert 'href="../reference-results/"' in clusters and "results/reference/README.md" not in clusters
    assert 'href="notebooks/first_population/"' in (site / "index.html").read_text(encoding="utf-8")


def test_the_notebook_is_kept_with_what_it_printed_and_drew() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert NOTEBOOK.stat().st_size < 100_000, "a notebook in a repository is kept small"
    assert not any("execution" in cell["metadata"] for cell in cells), "times change at each run: make notebook leaves them out"


# What a run of every day is a tenth of: the code is the same.
LESS = {
    "frames=20_000": "frames=2_000",
    "interval=2_000": "interval=400",
    "budget=1_000": "budget=200",
    "seeds=range(2)": "seeds=[0]",
}


LEGEND = '"axes.legend()\\n",'
HAS_LENGTH = "assert all(len(line.get_xdata()) > 1 for line in axes.lines), 'a line that nobody sees'"


@pytest.mark.timeout(900)  # a minute as it is, where nothing else runs
@pytest.mark.parametrize("less", [LESS, pytest.param({}, marks=pytest.mark.nightly)], ids=["less", "as it is"])
def test_the_notebook_runs(less: dict[str, str], tmp_path: Path) -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    for said, smaller in less.items():
        assert said in text
        text = text.replace(said, smaller)
    assert LEGEND in text
    text = text.replace(LEGEND, f'{LEGEND} "{HAS_LENGTH}\\n",')
    (tmp_path / "given.ipynb").write_text(text, encoding="utf-8")
    given = ["given.ipynb", "--output", NOTEBOOK.name]
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", *given, "--output-dir", tmp_path]
    # EnvPool, which another test of this process may have imported, names a backend of matplotlib that shows nothing.
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    environment |= {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / NOTEBOOK.name).read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    printed = "".join("".join(output.get("text", [])) for output in outputs)
    assert not [output for output in outputs if output.get("name") == "stderr"], "a reader would see warnings"
    shown = [output for output in outputs if output["output_type"] == "display_data"]
    assert len(shown) == 2 and all("image/png" in output["data"] for output in shown), "a quiet run shows nothing"
    for word in ("pbt", "random", "replay-schedule", "one episode", "slope"):
        assert word in printed
