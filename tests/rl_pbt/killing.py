"""Run as a script: kill a real run with SIGKILL after every ledger event in turn, resume each, and print what differs.
With KILL_EVERY=3 in the environment only after every third, and the first and the last.

Loading torch takes seconds and a kill takes milliseconds, so everything is loaded once and each run is a fork.

    python killing.py FOLDER ARGUMENTS OF rl_pbt.bench
"""

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch.utils import tensorboard  # noqa: F401 - or each fork would load it

from rl_pbt import report
from rl_pbt.cli import command
from rl_pbt.cli.arguments import build_parser
from rl_pbt.report import writing  # noqa: F401 - the same: it takes longer than such a run
from rl_pbt.store.events import Event
from rl_pbt.store.files import write_json
from rl_pbt.store.ledger import Ledger
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.gan import interval as gan_interval  # noqa: F401 - the same
from rl_pbt.tasks.rl import interval  # noqa: F401 - the same

DIFFERENT = (
    "cpu_s",
    "wall_s",
    "method_s",
    "eval_cpu_s",
    "time",
    "command",
    "crc",
)  # times, the folder's own name, and the checksum of both


def summary_alone(run: RunFolder) -> report.Summary:
    """The report without its plots, which take longer than all the rest."""
    summary = report.summarise(run)
    write_json(run.folder / "summary.json", summary.to_json())
    return summary


def forked_run(arguments: list[str], life: int | None) -> int:
    """Wait status of a run that dies after `life` events; None for one that may live."""
    pid = os.fork()
    if pid == 0:
        _child(arguments, life)
    return os.waitpid(pid, 0)[1]


def _child(arguments: list[str], life: int | None) -> None:
    append = Ledger.append
    left = [life]

    def mortal(self: Ledger, events: Iterable[Event]) -> None:
        for event in events:
            append(self, [event])
            if left[0] is not None:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    Ledger.append = mortal  # type: ignore[method-assign]
    report.write_report = summary_alone
    status = 1
    with contextlib.redirect_stdout(io.StringIO()):
        command.train(arguments, "bench")
        status = 0
    os._exit(status)


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in DIFFERENT}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def contents(folder: Path) -> dict[str, Any]:
    """Ledgers and summary without times, checkpoints and exhibits byte for byte."""
    found: dict[str, Any] = {"summary": timeless(json.loads((folder / "summary.json").read_text()))}
    for path in sorted(folder.rglob("*.jsonl")):
        found[str(path.relative_to(folder))] = [timeless(json.loads(line)) for line in path.read_text().splitlines()]
    for path in sorted([*folder.rglob("checkpoints/*"), *folder.rglob("exhibits/*")]):
        found[str(path.relative_to(folder))] = path.read_bytes().hex()
    return found


def code_named_in(arguments: list[str]) -> list[str]:
    """The class or the program: a folder alone runs none."""
    if "--" in arguments:
        return arguments[arguments.index("--") :]
    place = arguments.index("--task") if "--task" in arguments else len(arguments)
    return arguments[place : place + 2] if ":" in "".join(arguments[place : place + 2]) else []


def where_named_in(arguments: list[str]) -> list[str]:
    """How many workers of which executor: a run does not record that as its own."""
    flags = [place for place, word in enumerate(arguments) if word in ("--executor", "--workers")]
    return [word for place in flags for word in arguments[place : place + 2]]


def main() -> None:
    build_parser("preload")  # loads what describes each task
    root, arguments = Path(sys.argv[1]), sys.argv[2:]
    sys.path.insert(0, os.getcwd())  # as the commands do, for trainings and environments of the user's
    assert forked_run(["--out", str(root / "whole"), *arguments], None) == 0
    whole = contents(root / "whole")
    events = sum(len(ledger) - 1 for name, ledger in whole.items() if name.endswith(".jsonl"))
    step = int(os.environ.get("KILL_EVERY", "1"))
    lives = sorted({1, *range(step, events, step), events})
    for life in lives:
        folder = root / f"killed-{life}"
        status = forked_run(["--out", str(folder), *arguments], life)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, life
        assert forked_run(["--resume", str(folder), *where_named_in(arguments), *code_named_in(arguments)], None) == 0, life
        resumed = contents(folder)
        for name in whole.keys() | resumed.keys():
            if whole.get(name) != resumed.get(name):
                print(f"killed after event {life}: {name} differs")
    print(f"{len(lives)} kills")


if __name__ == "__main__":
    main()
