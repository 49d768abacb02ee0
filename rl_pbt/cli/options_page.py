"""Makes docs/options.md from the text of `--help`: `python -m rl_pbt.cli.options_page > docs/options.md`."""

from __future__ import annotations

from rl_pbt.cli.arguments import build_parser
from rl_pbt.text import table

HEAD = """# Options

Made by `python -m rl_pbt.cli.options_page` from the text of `python -m rl_pbt.bench --help`.

* **Settings of a run** are also keywords of `rl_pbt.bench` and `rl_pbt.tune`, with underscores for hyphens, and keys of a
  TOML file.
* **How a run is carried out** (`--workers`, `--executor`, `--resume`, `--out`, `--track`, `--keep-population`): keywords too,
  but not keys of a TOML file.
* **`--config`, `--dry-run`, `--suite`, `--check` and `--version`** exist on the command line only.

An option without a default here is off or unset, or its default depends on what is trained, for an environment on its family;
`--dry-run` prints it.
"""


def page() -> str:
    """The page as Markdown: a table for each group of options."""
    parts = [HEAD]
    for group in build_parser("python -m rl_pbt.bench")._action_groups:
        actions = [action for action in group._group_actions if action.option_strings and action.dest != "help"]
        if actions:
            rows = [[f"`{', '.join(action.option_strings)}`", (action.help or "").replace("%%", "%")] for action in actions]
            parts.append(f"## {str(group.title)[0].upper()}{str(group.title)[1:]}\n\n{table(['option', 'what it is'], rows)}")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
