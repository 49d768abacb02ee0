"""What the README, and the pages that it leads to, say of commands, defaults and results is so."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pytest
from rich.console import Console

from rl_pbt.cli import comparing, exporting, playing, reporting
from rl_pbt.cli.arguments import build_parser
from rl_pbt.cli.options_page import page as options_page
from rl_pbt.errors import UserError
from rl_pbt.making import configure
from rl_pbt.observers.screen import Screen
from rl_pbt.observers.standing import Outline, RunStanding
from rl_pbt.records import TRAINING_SCORE, Cost, FinalTest, Proposal, Result
from rl_pbt.report.evidence import read_evidence
from rl_pbt.report.verdict import NONE_FOUND
from rl_pbt.search import Plan
from rl_pbt.store.curves import standings
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.on_environments.words import FRAMES
from rl_pbt.tasks.registry import AGENTS_ON_ENVIRONMENTS, TASKS
from rl_pbt.tasks.rl.by_environment import BY_ENVIRONMENT
from rl_pbt.tasks.rl.defaults import DEFAULTS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMING_FROM, GALLERY, STARTED, WHEN = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("coming-from", "gallery", "getting-started", "when")
)

FLAG = r"(?<![\w-])--[a-z][a-z-]*"

# Stands in for python3 and, once "python3 -m venv .venv" ran, for all in .venv/bin: it only notes how it was called.
RECORDER = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$*" in *"$FAIL_ON"*) exit 3 ;; esac
mkdir -p .venv/bin && cp "$0" .venv/bin/pip 2>/dev/null; cp "$0" .venv/bin/python 2>/dev/null
exit 0
"""


def marked(name: str) -> str:
    """The line between two `<!-- name -->` markers of the README, without its code fence."""
    parts = README.split(f"<!-- {name} -->")
    assert len(parts) == 3, f"README.md needs two <!-- {name} --> markers"
    lines = [line for line in parts[1].splitlines() if line.strip() and not line.startswith("```")]
    assert len(lines) == 1
    return lines[0]


def run_ci(folder: Path, *, fail_on: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    recorder = folder / "bin" / "python3"
    recorder.parent.mkdir()
    recorder.write_text(RECORDER, encoding="utf-8")
    recorder.chmod(recorder.stat().st_mode | stat.S_IXUSR)
    calls = folder / "calls"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment |= {"PATH": f"{recorder.parent}:{os.environ['PATH']}", "CALLS": str(calls), "FAIL_ON": fail_on}
    done = subprocess.run([ROOT / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)
    return done, calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []


@pytest.fixture(scope="module")
def checkout() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("only a checkout has the list of its files that .ci/run copies")


@pytest.mark.usefixtures("checkout")
def test_ci_runs_the_readmes_test_command(tmp_path: Path) -> None:
    done, calls = run_ci(tmp_path, fail_on="nothing")
    assert done.returncode == 0, done.stderr
    assert f"+ {marked('test-command')}" in done.stdout
    assert calls == [
        "python3 -m venv .venv",
        "pip install -e .[all]",
        "python -m ruff format --check .",
        "python -m ruff check .",
        "python -m mypy",
        "python -m pytest -n auto --dist worksteal",
    ]


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("stage", ["venv", "install", "ruff format", "ruff check", "mypy", "pytest"])
def test_ci_fails_where_a_stage_fails(tmp_path: Path, stage: str) -> None:
    done, calls = run_ci(tmp_path, fail_on=stage)
    assert done.returncode != 0
    assert stage in calls[-1]


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    return build_parser("python -m rl_pbt.bench")


def test_the_main_command_parses(parser: argparse.ArgumentParser) -> None:
    words = shlex.split(marked("main-command"))
    arguments = parser.parse_args(words[words.index("rl_pbt.bench") + 1 :])
    assert arguments.env == "Pacman"


def test_the_default_run_is_as_large_as_is_said() -> None:
    config = configure({"env": "Pacman"})
    assert config.task_options["agent"] == "ppo" and (config.population, len(config.seeds)) == (4, 1)
    assert Plan.nominal(config).generations == 13
    assert "four members, thirteen intervals, one seed" in " ".join(README.split())
    of_six_seeds = configure({"env": "Pacman", "seeds": range(6)})
    assert (config.jobs_at_once, of_six_seeds.jobs_at_once) == (4, 24) and "up to 24 cores busy" in " ".join(WHEN.split())
    assert config.group_size * 2 == config.population and "each population of our agents is two groups" in " ".join(WHEN.split())
    paper = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    assert f"{DEFAULTS['atari'].frames:,} frames a member in all by default, on Pacman {config.budget:,} (four members)" in paper


def test_how_many_intervals_there_are_by_default() -> None:
    """The advice to set the interval is needed where this is less than the twenty that a schedule takes."""
    intervals = {family: defaults.frames // defaults.interval for family, defaults in DEFAULTS.items()}
    words = {"twenty": ("classic_control",), "ten": ("box2d", "minatar", "minigrid"), "five": ("atari",)}
    assert {word: {intervals[family] for family in families} for word, families in words.items()} == {
        "twenty": {20}, "ten": {10}, "five": {5},
    }  # fmt: skip
    said = "Classic control has twenty by default and Pacman thirteen, but LunarLander, MinAtar and MiniGrid have ten"
    assert f"{said} and most other Atari games five" in " ".join(WHEN.split())


def test_the_page_of_agents_names_where_ppo_is_the_default() -> None:
    row = next(
        line for line in (ROOT / "docs" / "environments.md").read_text(encoding="utf-8").splitlines() if "| `a2c` |" in line
    )
    named = re.search(r"the default except on ([^|]*) \|", row)
    others = {family for family, defaults in DEFAULTS.items() if defaults.agent != "a2c"}
    others |= {name for name, settings in BY_ENVIRONMENT.items() if settings.get("agent", "a2c") != "a2c"}
    assert named and {name.lower() for name in re.split(", | and ", named[1])} == {
        name.split("/")[-1].split("-")[0].lower() for name in others
    }


@pytest.mark.parametrize(
    "text", [README, COMING_FROM, GALLERY, STARTED, WHEN], ids=["readme", "coming", "gallery", "started", "when"]
)
def test_only_flags_that_exist_are_mentioned(text: str, parser: argparse.ArgumentParser) -> None:
    own = [line for line in text.splitlines() if not re.search(r"tensorboard --|git ", line)]
    mentioned = set(re.findall(FLAG, "\n".join(own)))
    parsers = (parser, *(one.build_parser("rl-pbt") for one in (comparing, exporting, playing, reporting)))
    existing = {flag for one in parsers for action in one._actions for flag in action.option_strings}
    assert mentioned - existing == set(), "flags that no command has"


def test_the_page_of_options_is_what_help_says() -> None:
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert page == options_page(), "make it again: python -m rl_pbt.cli.options_page > docs/options.md"


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if page.name != "index.md" and f"({page.name})" not in index]
    assert missing == []


def test_the_tasks_that_are_chosen_by_name_are_named_where_people_look() -> None:
    chosen = [name for name in TASKS if name not in (*AGENTS_ON_ENVIRONMENTS, "own")]
    (row,) = (line for line in options_page().splitlines() if line.startswith("| `--task`"))
    assert [name for name in chosen if not re.search(rf"\b{name}\b", row)] == [] and "{" not in row


def test_the_training_of_the_readme_runs(tmp_path: Path) -> None:
    parts = README.split("<!-- own-training -->")
    assert len(parts) == 3
    code = parts[1].strip().removeprefix("```python\n").removesuffix("```")
    (tmp_path / "my_module.py").write_text(code)
    words = [sys.executable, "-W", "ignore", "my_module.py"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "line" / "summary.md").exists() and "pbt" in done.stdout
    command = re.search(r"`(rl-pbt tune --task my_module:Line .*?)`", README)
    assert command
    words = [sys.executable, "-W", "ignore", "-m", "rl_pbt", *shlex.split(command[1])[1:], "--out", "run"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_script_that_begins_a_run_has_the_guard() -> None:
    """Without it, worker processes, which import the script, would begin the run again."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    blocks = [
        block for page in pages for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    begin = [block for block in blocks if re.search(r"rl_pbt\.(tune|bench)\(", block)]
    assert len(begin) >= 5
    assert [block for block in begin if 'if __name__ == "__main__":' not in block] == []


def test_pages_quote_the_verdict_as_reports_say_it() -> None:
    for page in ("getting-started", "how-sure"):
        assert f'"{NONE_FOUND}"' in (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


def test_no_page_tells_tensorboard_to_show_the_members_too() -> None:
    """A folder above would open `tensorboard_members` as well: a run for each member, beside one for each method."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    shown = [
        folder for page in pages for folder in re.findall(r"tensorboard --logdir (\S+?)[`\s]", page.read_text(encoding="utf-8"))
    ]
    assert len(shown) >= 2 and [folder for folder in shown if not folder.endswith("/tensorboard")] == []


def test_the_terminal_of_the_gallery_is_what_the_screen_draws() -> None:
    """The words and their order, as a run that is drawn today has them; numbers are of a run that was watched."""
    lines = GALLERY.split("```text\n")[1].split("```")[0].splitlines()
    outline = Outline(
        title="a2c on CartPole-v1", folder="results/see", methods=("pbt", "random"), seeds=(0,), population=12, generations=4,
        units=120_000, words=FRAMES,
    )  # fmt: skip
    run = RunStanding(outline, lambda: 0)
    for method in outline.methods:
        search = run.begin(method, 0)
        for generation in range(3):
            asked = [
                Proposal(
                    id=12 * generation + member,
                    member=member,
                    generation=generation,
                    hypers={"discount": 0.9, "entropy_cost": 0.1, "learning_rate": 0.01},
                    parent=12 * (generation - 1) + member if generation else None,
                    units=2500,
                )
                for member in range(12)
            ]
            search.propose(asked)
            for one in asked if generation < 2 else []:
                metrics = {TRAINING_SCORE: 20.0 + one.member} if method == "random" else {}
                fitness = None if method == "random" else 20.0
                told = Result(proposal=one.id, fitness=fitness, cost=Cost(train_units=2500), metrics=metrics)
                run.finish(search, one, told, replayed=False)
        if method == "pbt":
            search.test = FinalTest(proposal=0, returns=(327.5,), cost=Cost())
    console = Console(file=io.StringIO(), width=90, height=24, force_terminal=True, color_system=None)
    console.print(Screen(run))
    assert isinstance(console.file, io.StringIO)
    drawn = [line.rstrip() for line in console.file.getvalue().splitlines()]

    def words(text: list[str]) -> list[list[str]]:
        return [re.findall(r"[a-z_#]+(?: [a-z]+)*", re.sub(r"\d[\d.,]*[smhkM]?\b|[━╸╺]+", "", line)) for line in text]

    assert words(lines) == words(drawn)


def test_no_page_has_a_gap_that_was_to_be_filled() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("results/**/*.md")]
    assert [path.name for path in pages if re.search(r"@@\w+@@|\b(?:TODO|TBD|FIXME)\b", path.read_text(encoding="utf-8"))] == []


def test_links_to_files_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
    assert [target for target in targets if not (ROOT / target).exists()] == []


# Which committed run each row of "How long an answer takes" is of.
TIMED = {
    "CartPole-v1": "comparison/cartpole-v1/methods",
    "Acrobot-v1": "comparison/acrobot-v1/methods",
    "LunarLander-v3": "comparison/lunarlander-v3/methods",
    "MinAtar/Breakout-v1": "comparison/minatar-breakout-v1/methods",
    "Pacman": "pacman",
}


@pytest.mark.parametrize("env", TIMED)
def test_how_long_an_answer_takes_is_what_was_measured(env: str) -> None:
    folder = ROOT / "results" / "reference" / TIMED[env]
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    minutes = sum(summary["methods"][name]["cost"]["wall_s"] for name in ("pbt", "random")) / 60 / 2  # two workers
    seeds, frames = len(summary["seeds"]), manifest["config"]["frames"]
    assert (summary["population"], manifest["hardware"]["cores"]) == (8, 2)
    row = f"| `{env}` | {frames:,} | {seeds} | {minutes:.0f} | {minutes / seeds * 6:.0f} |"
    assert f"\n{row}\n" in WHEN, f"docs/when.md should say {row}"


def test_words_of_other_libraries_are_understood(parser: argparse.ArgumentParser) -> None:
    from rl_pbt.tasks.rl.options import ALIASES

    rows = [line for line in COMING_FROM.split("| your word |", 1)[1].split("\n\n", 1)[0].splitlines() if "the same" in line]
    assert len(rows) == 1
    theirs, ours = (set(re.findall(r"`(\w+)`", cell)) for cell in rows[0].strip("|").split("|"))
    assert theirs and {ALIASES[word] for word in theirs} >= ours


def test_a_flag_in_the_words_of_another_library_is_answered_with_ours(parser: argparse.ArgumentParser) -> None:
    """For every word of the table that is written like a setting, and that is not also one of ours."""
    rows = [line.strip("|").split("|") for line in COMING_FROM.split("| your word |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]]
    table = {word: ours for theirs, ours in rows for word in re.findall(r"`(\w+)`", theirs)}
    flags = {flag for action in parser._actions for flag in action.option_strings}
    asked = {word: f"--{word.replace('_', '-')}" for word in table}
    foreign = {word: flag for word, flag in asked.items() if flag not in flags}
    assert len(foreign) >= 15
    for word, flag in foreign.items():
        with pytest.raises(UserError, match=rf"unknown argument '{flag}': here that is --") as error:
            parser.parse_args(["--env", "CartPole-v1", flag, "1"])
        ours = str(error.value).partition("here that is ")[2].split("=")[0]
        assert ours.split(" ")[0] in flags
        assert word in ours or all(said in table[word] for said in ours.split(" ")), f"{word}: {ours}"


def test_what_the_first_section_claims_of_pbt_is_what_the_committed_runs_show() -> None:
    """Its figure: the median member; its numbers: the declared contrast of the shorter run."""
    histories = read_evidence(RunFolder(ROOT / "results" / "reference" / "acrobot-v1")).histories
    ends = {method: [standings(history)[-1] for history in by_seed.values()] for method, by_seed in histories.items()}
    halfway = [standings(history)[len(standings(history)) // 2].median for history in histories["pbt"].values()]
    assert fmean(halfway) > fmean(stand.upper for stand in ends["random"]), "not learned by the end, by three quarters of them"
    summary = json.loads((ROOT / "results" / "reference" / "acrobot-v1-50k" / "summary.json").read_text(encoding="utf-8"))
    contrast = summary["comparison"]
    low, high = contrast["difference"]["interval"]
    value, detectable = contrast["difference"]["value"], contrast["detectable_difference"]
    claim = (
        f"PBT's winners are {value:.3g} better than random search's (95 % interval {low:.3g} to {high:.3g}, "
        f"p = {contrast['p_value']:.2g}); a difference of {detectable:.3g} would have been found 4 times in 5."
    )
    assert claim in " ".join(README.split())


def test_what_the_first_figures_run_could_not_show() -> None:
    summary = json.loads((ROOT / "results" / "reference" / "acrobot-v1" / "summary.json").read_text(encoding="utf-8"))
    spent = summary["methods"]["random"]["cost"]
    share = spent["eval_units"] / (spent["train_units"] + spent["eval_units"])
    assert (len(summary["seeds"]), summary["comparison"]["detectable_difference"]) == (5, None)
    assert f"Five seeds could not have shown any, and random search still paid {100 * share:.0f} %" in " ".join(README.split())
