"""Whatever stands in the manifest and the ledgers of a folder that was sent: each reader gives a result, or one line.

Every case is drawn from a number of its own, which a fault names, so that it can be made again.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rl_pbt.errors import UserError
from rl_pbt.options import LARGEST
from rl_pbt.schedule import check_replay, read_schedules
from rl_pbt.store.run import RunFolder
from tests.rl_pbt.faults.conftest import NEEDS_DIGITS
from tests.rl_pbt.faults.reading import READERS, outcome, wrong_with
from tests.rl_pbt.faults.spoiling import (
    SPOILS,
    WHOLE_LINES,
    changed_ledger,
    content_of,
    fit,
    ledgers_of,
    places,
    put,
    rearranged,
    spoiled,
    spoiled_ledger,
)

UGLY = "<img src=x>\n# heading\x1b[2J](javascript:x)"
# Results that fit themselves and are like no other.
ODD_RESULTS = [
    *({"fitness": score, "returns": [score]} for score in (9e299, -9e299, 1e-300, 0.0)),
    *(
        {"fitness": None, "failure": text, "returns": []}
        for text in ("x" * 1_000_000, "<img src=x>\n# heading\x1b[2J](javascript:x)")
    ),
]
ODD_TESTS = [
    {"returns": [9e299, -9e299]},
    {"returns": []},
    {"returns": [], "excluded": 3, "failure": "<img src=x>\n# heading\x1b[2J"},
]
ODD_HYPERS = [9e307, -9e307, 9e299, 5e-324, 0, LARGEST, -1.0, "word", True, None]
ODD = [
    *(("finished", change) for change in ODD_RESULTS),
    *(("tested", change) for change in ODD_TESTS),
    *(("proposed", {"hypers": value}) for value in ODD_HYPERS),
]


def fresh(runs: Mapping[str, Path], kind: str, desk: Path) -> Path:
    """The folder `sent`, not spoiled yet."""
    for name in ("sent", "replayed"):
        shutil.rmtree(desk / name, ignore_errors=True)
    shutil.copytree(runs[kind], desk / "sent")
    return desk / "sent"


def forget(sent: Path) -> None:
    """Let nothing but the manifest say how the run was made: a resume makes it."""
    manifest = json.loads((sent / "manifest.json").read_text())
    (sent / "manifest.json").write_text(json.dumps({**manifest, "status": "interrupted"}))
    for ledger in ledgers_of(sent):
        ledger.unlink()


def manifest_case(number: int, runs: Mapping[str, Path], desk: Path) -> list[str]:
    """One field of a manifest, one spoil, one reader."""
    chance = random.Random(f"manifest {number}")
    kind, reader = chance.choice(list(runs)), READERS[number % len(READERS)]
    sent = fresh(runs, kind, desk)
    if chance.random() < 0.5:
        forget(sent)
    fields = json.loads((sent / "manifest.json").read_text())
    place, spoil = chance.choice(list(places(fields))), chance.choice(SPOILS)
    (sent / "manifest.json").write_text(spoiled(fields, place, spoil))
    if chance.random() < 0.8:  # or the digest alone would say that something is wrong
        fit(sent)
    return outcome(reader, kind, desk, done=f"manifest case {number}, {'.'.join(map(str, place))}: {spoil}")


def ledger_case(number: int, runs: Mapping[str, Path], desk: Path) -> list[str]:
    """One field of a ledger, or whole lines, or every result of a kind; the checksums fit again."""
    chance = random.Random(f"ledger {number}")
    kind, reader = chance.choice(list(runs)), READERS[number % len(READERS)]
    sent = fresh(runs, kind, desk)
    path = chance.choice(ledgers_of(sent))
    how = chance.random()
    if how < 0.2:
        other = chance.choice(ledgers_of(runs[chance.choice(list(runs))]))
        content, done = rearranged(content_of(path), content_of(other), chance, chance.choice(WHOLE_LINES))
    elif how < 0.4:
        content, done = changed_ledger(content_of(path), chance, *chance.choice(ODD))
    else:
        content, done = spoiled_ledger(content_of(path), chance, chance.choice(SPOILS))
    put(path, content)
    return outcome(reader, kind, desk, done=f"ledger case {number}, {path.relative_to(sent)}, {done}")


def flipped(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(8 * len(content))
    return bytes(byte ^ (1 << place % 8) if at == place // 8 else byte for at, byte in enumerate(content))


# How a file that was compressed is spoiled, whatever is in it.
FILES: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    "empty": lambda content, chance: b"",
    "truncated": lambda content, chance: content[: chance.randrange(len(content))],
    "of noise": lambda content, chance: chance.randbytes(len(content)),
    "noise that is compressed": lambda content, chance: gzip.compress(chance.randbytes(1000)),
    "a ledger that is not compressed": lambda content, chance: gzip.decompress(content),
    "compressed twice": lambda content, chance: gzip.compress(content),
    "with something behind": lambda content, chance: content + chance.randbytes(100),
    "twice one after the other": lambda content, chance: content + content,
    "with a flipped bit": flipped,
}


def compressed_case(number: int, runs: Mapping[str, Path], desk: Path) -> list[str]:
    """A file of compressed events that is something else."""
    chance = random.Random(f"compressed {number}")
    reader, how = READERS[number % len(READERS)], list(FILES)[number % len(FILES)]
    path = chance.choice(ledgers_of(fresh(runs, "compacted", desk)))
    path.write_bytes(FILES[how](path.read_bytes(), chance))
    return outcome(reader, "compacted", desk, done=f"compressed case {number}, {path.parent.parent.name}: {how}")


SOME, MANY = range(36), range(36, 636)


@pytest.mark.parametrize("case", [manifest_case, ledger_case, compressed_case])
@pytest.mark.parametrize(
    "numbers", [SOME, *(pytest.param(MANY[start::6], marks=pytest.mark.nightly) for start in range(6))], ids=str
)
def test_a_spoiled_folder_is_read_or_refused_in_one_line(
    case: Callable[[int, Mapping[str, Path], Path], list[str]], numbers: range, runs: Mapping[str, Path], desk: Path
) -> None:
    faults = [fault for number in numbers for fault in case(number, runs, desk)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("reader", READERS)
def test_a_run_without_a_method_is_refused(reader: str, runs: Mapping[str, Path], desk: Path) -> None:
    sent = fresh(runs, "finished", desk)
    manifest = json.loads((sent / "manifest.json").read_text())
    (sent / "manifest.json").write_text(json.dumps({**manifest, "config": {**manifest["config"], "methods": []}}))
    assert not outcome(reader, "finished", desk, done="without a method")


@pytest.mark.nightly
@pytest.mark.parametrize(
    "kind",
    ["begun own", "begun agent", "begun sb3", "begun program", pytest.param("begun gan", marks=NEEDS_DIGITS), "replaying"],
)
@pytest.mark.parametrize("part", range(4))
def test_every_setting_of_a_manifest_is_checked_before_it_is_trained_with(
    kind: str, part: int, runs: Mapping[str, Path], desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl_pbt.report.writing._draw", lambda run, evidence, sheets: [])  # which takes longer than the run
    config = [place for place in places(json.loads((runs[kind] / "manifest.json").read_text())) if place[:1] == ("config",)]
    cases = [(place, spoil) for place in config for spoil in SPOILS]
    faults = []
    for place, spoil in random.Random(0).sample(cases, len(cases) // 2)[part::4]:
        sent = fresh(runs, kind, desk)
        forget(sent)
        fields = json.loads((sent / "manifest.json").read_text())
        (sent / "manifest.json").write_text(spoiled(fields, place, spoil))
        faults += outcome("resume", kind, desk, done=f"{'.'.join(map(str, place))}: {spoil}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("number", [2, *(pytest.param(number, marks=pytest.mark.nightly) for number in range(3, 12))])
def test_it_is_so_for_a_command_too(number: int, runs: Mapping[str, Path], desk: Path) -> None:
    chance = random.Random(f"command {number}")
    sent = fresh(runs, "begun", desk)
    fields = json.loads((sent / "manifest.json").read_text())
    (sent / "manifest.json").write_text(spoiled(fields, chance.choice(list(places(fields))), chance.choice(SPOILS)))
    for words in (["report", "sent"], ["config", "sent"], ["tune", "--resume", "sent", "--workers", "1"]):
        command = [sys.executable, "-m", "rl_pbt", *words]
        done = subprocess.run(command, cwd=desk, capture_output=True, text=True, check=False, timeout=120)
        assert not wrong_with(done.returncode, done.stdout, done.stderr, sent)


SCHEDULES = {
    "a learning rate that no agent takes": ("agent", lambda replay, stage: stage["hypers"].update(learning_rate=1e300)),
    "a discount that no agent takes": ("agent", lambda replay, stage: stage["hypers"].update(discount=1.5)),
    "a word for a number": ("agent", lambda replay, stage: stage["hypers"].update(discount="high")),
    "an unknown hyperparameter": ("agent", lambda replay, stage: stage["hypers"].update(momentum=0.5)),
    "a missing hyperparameter": ("agent", lambda replay, stage: stage["hypers"].popitem()),
    "no units": ("agent", lambda replay, stage: stage.update(units=0)),
    "negative units": ("agent", lambda replay, stage: stage.update(units=-400)),
    "more units than can be counted": ("agent", lambda replay, stage: stage.update(units=10**400)),
    "no members": ("agent", lambda replay, stage: replay.update(members=-1)),
    "another training": ("agent", lambda replay, stage: replay.update(setting={})),
    "no stages": ("agent", lambda replay, stage: replay["seeds"]["0"].update({"replay-schedule": []})),
    "a seed that is none": ("agent", lambda replay, stage: replay["seeds"].update(x=replay["seeds"]["0"])),
    "another field": ("agent", lambda replay, stage: stage.update(frames=1)),
    "an infinite value": ("finished", lambda replay, stage: stage["hypers"].update(h0=float("inf"))),
}  # fmt: skip


@pytest.mark.parametrize("what", SCHEDULES)
def test_a_schedule_is_checked_like_the_command_line(what: str, runs: Mapping[str, Path], desk: Path) -> None:
    kind, spoil = SCHEDULES[what]
    sent = fresh(runs, kind, desk)
    manifest = json.loads((sent / "manifest.json").read_text())
    replay = json.loads(json.dumps(read_schedules(sent)))
    config = RunFolder(sent).manifest().config
    methods = {"methods": ("replay-schedule",), "method_options": {"replay": replay}}
    check_replay(type(config).from_json({**manifest["config"], **methods}))
    spoil(replay, replay["seeds"]["0"]["replay-schedule"][0])
    with pytest.raises(UserError) as refused:
        check_replay(type(config).from_json({**manifest["config"], **methods}))
    assert "\n" not in str(refused.value)


def test_a_schedule_of_thousands_of_stages_takes_no_time(runs: Mapping[str, Path]) -> None:
    config = RunFolder(runs["agent"]).manifest().config
    replay = json.loads(json.dumps(read_schedules(runs["agent"])))
    (stage, *_) = replay["seeds"]["0"]["replay-schedule"]
    rates = [1e-4 + number * 1e-8 for number in range(20_000)]
    stages = [{**stage, "hypers": {**stage["hypers"], "learning_rate": rate}} for rate in rates]
    replay["seeds"]["0"]["replay-schedule"] = stages
    methods = {"methods": ["replay-schedule"], "method_options": {"replay": replay}}
    check_replay(type(config).from_json({**config.to_json(), **methods}))
    stages[10_000]["hypers"]["learning_rate"] = 1e300
    with pytest.raises(UserError, match="learning_rate"):
        check_replay(type(config).from_json({**config.to_json(), **methods}))


@pytest.mark.parametrize("kind", ["begun", "agent"])
@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.nightly)], ids=["some bytes", "every byte"])
def test_a_flipped_bit_in_a_ledger_of_a_run_is_found_or_costs_the_last_batch_alone(
    kind: str, step: int, runs: Mapping[str, Path], desk: Path
) -> None:
    run = RunFolder(fresh(runs, kind, desk))
    ledger = run.ledger("pbt", 0)
    whole, events = ledger.path.read_bytes(), ledger.read()
    last = whole[:-1].rindex(b',"crc"', 0, whole.rindex(b',"crc"')) + len(',"crc":"01234567"}\n')
    for place in range(0, len(whole), step):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        ledger.path.write_bytes(flipped)
        try:
            found = run.ledger("pbt", 0).repair()
        except UserError as error:
            assert "damaged" in str(error) or "another configuration" in str(error)
            assert ledger.path.read_bytes() == flipped
        else:
            assert place >= last and found == events[: len(found)] and len(found) < len(events)
