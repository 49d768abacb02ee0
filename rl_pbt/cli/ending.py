"""The outcome of a run on the terminal: what was found, how certain it is, and what can be done next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from rl_pbt.errors import plain_text
from rl_pbt.named_code import code_in_words
from rl_pbt.recorded import manifest_of
from rl_pbt.records import Hypers
from rl_pbt.report import page_path
from rl_pbt.report.summary import MethodSummary, Summary
from rl_pbt.report.tables import verdicts
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import task_type
from rl_pbt.tasks.words import LONGEST_WORD
from rl_pbt.text import NOTHING, counted, duration, readable, score_text, shown, value_text

MOST_COMPARISONS = 1  # comparisons shown here: the page has all of them
COMMAND = re.compile(r"(bench|tune|report)$")


def print_end(summary: Summary, run: RunFolder, program: str) -> None:
    """Print the outcome on the terminal, or in plain lines of 80 characters; `program` is how this command was started."""
    print_end_on(Console(highlight=False), summary, run, program)


def print_end_on(console: Console, summary: Summary, run: RunFolder, program: str) -> None:
    """Print a heading, a table of the methods, the verdict, caveats, and commands for what to do next.

    Commands are not wrapped: one that is broken in two cannot be copied.
    """
    manifest = manifest_of(run)
    console.print(_found(summary, manifest))
    for label, command in _next(summary, run, manifest, program):
        console.print(f"{label:7} {command}", soft_wrap=True, markup=False)


def _found(summary: Summary, manifest: Manifest) -> RenderableType:
    parts: list[RenderableType] = [
        Text(),
        Text(_heading(summary, manifest), style="bold"),
        _methods(summary, manifest),
        *_verdicts(summary),
        *(Text(caveat, style="dim") for caveat in summary.caveats),
        Text(),
    ]
    return Group(*parts)


def _heading(summary: Summary, manifest: Manifest) -> str:
    config, words = manifest.config, summary.words
    told = [
        plain_text(task_type(config.task).title(config.task_options), LONGEST_WORD),
        f"{counted(config.population, 'member')} × {readable(config.budget)} {words.short_units}",
        f"seed {config.seeds[0]}" if len(config.seeds) == 1 else counted(len(config.seeds), "seed"),
        *([] if manifest.elapsed_s is None else [duration(manifest.elapsed_s)]),
        *([] if summary.status == "finished" else [f"{summary.status}: partial results"]),
    ]
    return " · ".join(told)


def _methods(summary: Summary, manifest: Manifest) -> Table:
    """A table of each method's test score, interval, interquartile mean, and its best winner's last hyperparameters."""
    words = summary.words
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    over = {m.test_return.over(words) for m in summary.methods.values() if m.test_return is not None}
    table.add_column("method", no_wrap=True)
    table.add_column(f"test {words.score}", justify="right", no_wrap=True)
    table.add_column(f"95 % interval ({', '.join(sorted(over))})" if over else "95 % interval")
    table.add_column("IQM", justify="right", no_wrap=True)
    table.add_column("winner's last hyperparameters")
    for name, method in summary.methods.items():
        table.add_row(Text(name), *_scores(method), Text(_hypers(_best_winner(method))))
    if words.baseline and manifest.baseline:
        table.add_row(Text(words.baseline, style="dim"), score_text(sum(manifest.baseline) / len(manifest.baseline)), "", "", "")
    return table


def _scores(method: MethodSummary) -> list[str]:
    tested, iqm = method.test_return, method.iqm
    if tested is None or iqm is None:
        return [NOTHING] * 3
    interval = NOTHING if tested.interval is None else " to ".join(map(score_text, tested.interval))
    return [score_text(tested.value), interval, score_text(iqm.value)]


def _best_winner(method: MethodSummary) -> Hypers:
    """The hyperparameters of the method's winner; with several seeds, of the one with the best test score."""
    tested = [
        (sum(seed.test_returns) / len(seed.test_returns), seed.winner.hypers)
        for seed in method.seeds.values()
        if seed.winner is not None and seed.test_returns
    ]
    return max(tested, key=lambda one: one[0])[1] if tested else {}


def _hypers(hypers: Hypers) -> str:
    """The hyperparameters, one per line, so that none is broken in two."""
    return "\n".join(f"{name} {value_text(value)}" for name, value in hypers.items())


def _verdicts(summary: Summary) -> Iterator[Text]:
    """The first comparison, with its claim highlighted."""
    for verdict, trained in verdicts(summary)[:MOST_COMPARISONS]:
        claim, *rest = re.split(r"(?<=\.) (?=[A-Z\d])", verdict, maxsplit=1)
        told = [words for words in (*rest, trained) if words]
        yield Text(claim, style="bold").append("".join(f" {words}" for words in told), style="not bold")
    if more := summary.comparisons[MOST_COMPARISONS:]:
        yield Text(f"{counted(len(more), 'more comparison')} in the report.")


def _next(summary: Summary, run: RunFolder, manifest: Manifest, program: str) -> Iterator[tuple[str, str]]:
    """(what it is for, command) for what can be done next."""
    folder, config = shown(run.folder), manifest.config
    yield "report", shown(page_path(run))
    if run.curves.is_dir():
        yield "curves", shlex.join(["tensorboard", "--logdir", shown(run.curves)])
    if "env" not in config.task_options:
        return
    if _can_play(summary, run):
        yield "watch", f"{COMMAND.sub('play', program)} {shlex.join([folder, *code_in_words(config)])}"
    first = next(iter(summary.methods.values()))
    if summary.status == "finished" and any(seed.exploits for seed in first.seeds.values()):
        words = ["--config", folder, "--methods", f"replay:{folder}", *code_in_words(config)]
        yield "replay", f"{COMMAND.sub('bench', program)} {shlex.join(words)}"


def _can_play(summary: Summary, run: RunFolder) -> bool:
    """Whether a winner was tested and is still there: a compacted run has none, and a repository need not contain them."""
    return any(
        seed.winner is not None and seed.test_returns and run.checkpoints(name, number).holds(seed.winner.proposal)
        for name, method in summary.methods.items()
        for number, seed in method.seeds.items()
    )
