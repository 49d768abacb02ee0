"""Every reader of a run folder, within limits of time and memory, and what is wrong with how it ended."""

from __future__ import annotations

import contextlib
import io
import json
import re
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import rl_pbt
from rl_pbt.cli import command, configuration, playing, reporting
from rl_pbt.cli.main import COMMANDS
from rl_pbt.errors import UserError
from tests.rl_pbt.faults.spoiling import snapshot

MARKUP = ("<img", "](javascript", "](http", "\n# heading", "\n[z]:")
LONGEST = 200_000  # characters of what is printed, or of a page
CPU_S = 30  # that one reader may take
ROOM = 4 << 30  # bytes that one reader may ask for
# Readers, and the words that a command needs beside the folder: code that it names.
READERS = ("report", "resume", "config", "play", "replay", "load")
NAMED = {
    "own": ["--task", "regression:Regression"],
    "program": ["--", "sh", str(Path(__file__).parents[1] / "trainings" / "regression.sh")],
}
# Small runs of the same kind: what replays a run of it.
SMALL = {
    "own": ["--search", "rate=log:1e-4:1e-1", "momentum=0.5", "batch=2", "--budget", "60", "--interval", "20"],
    "agent": ["--env", "CartPole-v1", "--frames", "800", "--interval", "400", "--agent-options", "envs_per_member=4"],
    "sb3": ["--env", "CartPole-v1", "--agent", "sb3:ppo", "--frames", "128", "--interval", "64", "--agent-options", "n_steps=16",
            "n_envs=2", "batch_size=16"],
    "program": ["--search", "rate=log:1e-3:1e-1", "--budget", "4", "--interval", "2"],
    "translation": ["--task", "translation", "--corpus", "mine/toy.first", "mine/toy.second", "--vocabulary", "120", "--width",
                    "16", "--heads", "2", "--feedforward", "32", "--batch-tokens", "128", "--budget", "6", "--interval", "3"],
    "gan": ["--task", "gan", "--budget", "4", "--interval", "2", "--channels", "2", "--batch-size", "4",
            "--discriminator-steps", "1", "--samples", "20", "--evaluations", "1"],
}  # fmt: skip
QUADRATIC = ["--task", "quadratic", "--budget", "60", "--interval", "20"]


class TookTooLong(BaseException):
    """A reader does not come to an end."""


def _too_long(*_: object) -> NoReturn:
    raise TookTooLong


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Within, neither time nor memory is without end."""
    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_PROF, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command ended."""

    status: int
    out: str
    err: str


def said(main: Callable[[], int]) -> Said:
    """What a command printed in UTF-8, and its status."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main()
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return Said(status=status, out=texts[0], err=texts[1])


def ran(*words: str) -> Said:
    """What a command of rl-pbt says, in this process; what it raises passes on."""
    main = import_module(COMMANDS[words[0]][0]).main

    def status() -> int:
        try:
            return int(main(list(words[1:]), f"rl-pbt {words[0]}"))
        except SystemExit as ended:
            return int(ended.code or 0)

    return said(status)


def read_by(reader: str, kind: str, desk: Path) -> Said:
    """The folder `sent`, spoiled from a run of that kind, as one of the readers takes it."""
    task = kind.rsplit(maxsplit=1)[-1]
    alone = ["--workers", "1", "--executor", "inline"]
    named, small = NAMED.get(task, []), SMALL.get(task, QUADRATIC)
    match reader:
        case "report":
            return said(lambda: reporting.main(["sent"], "rl-pbt report"))
        case "resume":
            return said(lambda: command.main(["--resume", "sent", *alone, *named], "rl-pbt tune"))
        case "config":
            return said(lambda: configuration.main(["sent"], "rl-pbt config"))
        case "play":
            return said(lambda: playing.main(["sent", "--video", "x.gif"], "rl-pbt play"))
        case "replay":
            words = [*small, "--methods", "replay:sent", "--population", "2", "--out", "replayed", *alone, *named]
            return said(lambda: command.main(words, "rl-pbt bench"))
        case _:
            return said(lambda: loaded(desk / "sent", task))


def loaded(folder: Path, task: str) -> int:
    """What the Python API says of a folder."""
    from regression import Regression

    try:
        run = rl_pbt.load(folder, task=Regression if task == "own" else None)
        json.dumps([run.summary.to_json(), run.rows(), run.schedule()], allow_nan=False)
        print(run.verdict)
        run.winner()
    except UserError as error:
        assert str(error)
    return 0


def wrong_with(status: int, out: str, err: str, sent: Path) -> list[str]:
    """What is wrong with how a reader ended, and with the page that it left."""
    found = []
    if status not in (0, 2) or (status == 2 and not re.fullmatch(r"(warning: [^\n]+\n)*error: [^\n]+\n", err)):
        found.append(f"status {status}: {err[:300]}")
    page = (sent / "summary.md").read_text() if (sent / "summary.md").is_file() else ""
    for name, text in {"standard output": out, "standard error": err, "the page": page}.items():
        if not all(character.isprintable() or character == "\n" for character in text):
            found.append(f"{name} has control characters")
        if len(text) > LONGEST:
            found.append(f"{name} has {len(text)} characters")
    outside_code = re.sub(r"(`+).*?\1", "", page)
    return found + [f"the page has {text}" for text in MARKUP if text in outside_code]


def outcome(reader: str, kind: str, desk: Path, *, done: str) -> list[str]:
    """Faults of one reader on the folder `sent`; all that lies beside it must stay as it is."""
    before = snapshot(desk / "mine"), snapshot(desk / "x")
    try:
        with limited():
            told = read_by(reader, kind, desk)
        found = wrong_with(told.status, told.out, told.err, desk / "sent")
    except (Exception, TookTooLong) as error:
        found = [f"{type(error).__name__}: {error!s:.200} ({deepest(error)})"]
    beside = {path.name for path in desk.iterdir()} - {"mine", "x", "sent", "replayed"}
    if beside or (snapshot(desk / "mine"), snapshot(desk / "x")) != before:
        found.append(f"what lies beside the folder has changed; new are {beside}")
    return [f"{kind}, {reader}, {done}: {fault}" for fault in found]


def deepest(error: BaseException) -> str:
    """Where it was raised, and by way of what."""
    trace, places = error.__traceback__, []
    while trace is not None:
        places.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(places[-7:])
