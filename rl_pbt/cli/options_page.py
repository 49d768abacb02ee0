"""docs/options.md, made of what `--help` says: `python -m rl_pbt.cli.options_page > docs/options.md`."""

from __future__ import annotations

from rl_pbt.cli.arguments import build_parser
from rl_pbt.text import table

HEAD = """# Options

Made by `python -m rl_pbt.cli.options_page` from what `python -m rl_pbt.bench --help` says. Every one of them but `--config`,
`--dry-run` and `--version` is a keyword of `rl_pbt.bench` and `rl_pbt.tune` too, with underscores for hyphens; and a key of a
TOML file, but for these, `--workers`, `--executor`, `--resume`, `--out`, `--track` and `--keep-population`. Defaults of an
environment are those of its family, which `--dry-run` prints.
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
