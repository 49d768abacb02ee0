"""A checkpoint that is not what it was: computed again with the same ledger, or one line; and no bit of it flips unseen."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

import rl_pbt
from rl_pbt.errors import LostCheckpoint, UserError
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.checkpoints import Sealed, digest_of
from tests.rl_pbt.faults.conftest import HAS_DIGITS, NEEDS_DIGITS, PROGRAM
from tests.rl_pbt.faults.reading import outcome
from tests.rl_pbt.faults.spoiling import sealed, unsealed


def with_arrays(path: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    arrays = {name: array.copy() for name, array in load(path.read_bytes()).items()}
    change(arrays)
    path.write_bytes(save(arrays))


def first(arrays: dict[str, np.ndarray]) -> str:
    return sorted(arrays)[0]


def linked_to(path: Path, target: Path | str) -> None:
    path.unlink()
    path.symlink_to(target)


def instead(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


# How a checkpoint is spoiled, by the file, another one and chance.
SPOILS: Mapping[str, Callable[[Path, Path, random.Random], object]] = {
    "absent": lambda path, other, chance: path.unlink(),
    "empty": lambda path, other, chance: path.write_bytes(b""),
    "truncated": lambda path, other, chance: path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)]),
    "longer": lambda path, other, chance: path.write_bytes(path.read_bytes() + b"\0" * chance.randrange(1, 100)),
    "of noise": lambda path, other, chance: path.write_bytes(chance.randbytes(path.stat().st_size)),
    "another's": lambda path, other, chance: shutil.copyfile(other, path),
    "of another type": lambda path, other, chance: with_arrays(
        path, lambda arrays: arrays.update({first(arrays): arrays[first(arrays)].astype(np.float16)})
    ),
    "of another shape": lambda path, other, chance: with_arrays(
        path, lambda arrays: arrays.update({first(arrays): arrays[first(arrays)].reshape(1, -1)})
    ),
    "with one more array": lambda path, other, chance: with_arrays(path, lambda arrays: arrays.update(more=np.zeros(3))),
    "with an array of another": lambda path, other, chance: with_arrays(
        path, lambda arrays: arrays.update({"99/theta": np.zeros(2)})
    ),
    "with one array less": lambda path, other, chance: with_arrays(path, lambda arrays: arrays.pop(first(arrays))),
    "without arrays": lambda path, other, chance: with_arrays(path, lambda arrays: arrays.clear()),
    "not a number": lambda path, other, chance: with_arrays(
        path, lambda arrays: arrays.update({first(arrays): arrays[first(arrays)] * np.float64("nan")})
    ),
    "of a huge header": lambda path, other, chance: path.write_bytes(b"\xff" * 7 + b"\x7f" + path.read_bytes()[8:]),
    "of a huge shape": lambda path, other, chance: path.write_bytes(
        (header := b'{"theta":{"dtype":"F64","shape":[1099511627776],"data_offsets":[0,8796093022208]}}') and
        len(header).to_bytes(8, "little") + header
    ),
    "a link": lambda path, other, chance: linked_to(path, Path("../../../../mine/checkpoints/000001.safetensors")),
    "a link to itself": lambda path, other, chance: linked_to(path, path.name),
    "a link without end": lambda path, other, chance: linked_to(path, "/dev/zero"),
    "a folder": lambda path, other, chance: instead(path, Path.mkdir),
    "a pipe": lambda path, other, chance: instead(path, os.mkfifo),
}  # fmt: skip


def timeless(folder: Path) -> dict[str, str]:
    """The ledgers without times, and checksums of them."""
    return {
        str(path.relative_to(folder)): re.sub(
            r'"(time|cpu_s|wall_s|method_s|eval_cpu_s)":[0-9.e-]+|,"crc":"\w+"', "", path.read_text()
        )
        for path in sorted(folder.rglob("ledger.jsonl"))
    }


def checkpoints_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("checkpoints/*.safetensors"))


def exhibits_of(folder: Path) -> list[Path]:
    """What members left to look at."""
    return sorted(folder.rglob("exhibits/*.safetensors"))


def copied(run: Path, desk: Path) -> Path:
    shutil.rmtree(desk / "sent", ignore_errors=True)
    shutil.copytree(run, desk / "sent")
    return desk / "sent"


OF_GAN = ["gan"] if HAS_DIGITS else []
BEGUN = ["begun", "begun own", "begun agent", "begun sb3", "begun program", *(f"begun {task}" for task in OF_GAN)]


@pytest.fixture(scope="session")
def wholes(runs: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What the ledgers of each run that has begun say in the end, where nothing is spoiled."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rl_pbt.report.writing._draw", lambda run, evidence, sheets: [])
        for kind in BEGUN:
            folder = shutil.copytree(runs[kind], tmp_path_factory.mktemp("whole") / "run")
            resumed(folder, kind)
            found[kind] = timeless(folder)
    return found


def resumed(folder: Path, kind: str) -> None:
    from regression import Regression

    if kind.endswith("own"):
        rl_pbt.tune(Regression, {}, resume=folder, workers=1, quiet=True)
    elif kind.endswith("program"):
        rl_pbt.tune("command", {}, program=PROGRAM, resume=folder, workers=1, quiet=True)
    else:
        rl_pbt.bench(resume=folder, workers=1, quiet=True)


def digestless(sent: Path) -> None:
    """Let no ledger say what the checkpoints are."""
    for path in sent.rglob("ledger.jsonl"):
        lines, last = unsealed(path.read_bytes())
        path.write_bytes(sealed([re.sub(r'"digest":"\w+"', '"digest":null', line) for line in lines], last))


def resumed_case(spoil: str, kind: str, chance: random.Random, sent: Path, whole: dict[str, str]) -> list[str]:
    """Faults of a resume with one checkpoint, or all of them, spoiled."""
    paths = checkpoints_of(sent)
    named = chance.random() < 0.8
    if not named:
        digestless(sent)
    for path in paths if chance.random() < 0.3 else [chance.choice(paths)]:
        SPOILS[spoil](path, chance.choice([other for other in checkpoints_of(sent) if other != path] or [path]), chance)
    faults = outcome("resume", kind, sent.parent, done=f"a checkpoint is {spoil}{'' if named else ', no digests'}")
    finished = RunFolder(sent).status == "finished"
    if named and finished and timeless(sent) != whole:
        faults.append(f"{kind}, a checkpoint is {spoil}: another ledger")
    if named and not finished and spoil != "a folder":
        faults.append(f"{kind}, a checkpoint is {spoil}: it was not computed again: {RunFolder(sent).manifest().reason}")
    return faults


@pytest.mark.parametrize("numbers", [range(8), pytest.param(range(8, 120), marks=pytest.mark.nightly)], ids=str)
def test_a_run_goes_on_to_the_same_end_or_says_why_not(
    numbers: range, runs: Mapping[str, Path], wholes: Mapping[str, dict[str, str]], desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl_pbt.report.writing._draw", lambda run, evidence, sheets: [])
    faults = []
    for number in numbers:
        chance = random.Random(f"resumed {number}")
        kind, spoil = chance.choice(BEGUN), list(SPOILS)[number % len(SPOILS)]
        faults += resumed_case(spoil, kind, chance, copied(runs[kind], desk), wholes[kind])
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("numbers", [range(20), pytest.param(range(20, 140), marks=pytest.mark.nightly)], ids=str)
def test_a_winner_is_the_one_that_was_chosen_or_refused_in_one_line(numbers: range, runs: Mapping[str, Path], desk: Path) -> None:
    faults = []
    for number in numbers:
        chance = random.Random(f"winner {number}")
        kind, spoil = chance.choice(["finished", "own", "agent", "sb3", "program", *OF_GAN]), list(SPOILS)[number % len(SPOILS)]
        sent = copied(runs[kind], desk)
        if named := chance.random() < 0.5:
            digestless(sent)
        for path in checkpoints_of(sent):
            SPOILS[spoil](path, chance.choice(checkpoints_of(runs["own"])), chance)
        for reader in ("load", "play") if kind in ("agent", "sb3") else ("load",):
            faults += outcome(reader, kind, desk, done=f"the winner's checkpoint is {spoil}, {'no digests' if named else ''}")
    assert not faults, "\n".join(faults)


@NEEDS_DIGITS
@pytest.mark.parametrize("numbers", [range(4), pytest.param(range(4, 80), marks=pytest.mark.nightly)], ids=str)
def test_whatever_members_left_to_look_at_a_report_is_written(numbers: range, runs: Mapping[str, Path], desk: Path) -> None:
    """One of them or all are something else, in each way in turn, when a finished run is reported, and when one is resumed."""
    for number in numbers:
        chance, spoil = random.Random(f"exhibit {number}"), list(SPOILS)[7 * number % len(SPOILS)]
        reader, kind = [("report", "gan"), ("resume", "begun gan")][number // 2 % 2]
        sent, every = copied(runs[kind], desk), chance.random() < 0.5
        paths = exhibits_of(sent)
        for path in paths if every else [chance.choice(paths)]:
            SPOILS[spoil](path, chance.choice(checkpoints_of(sent)), chance)
        faults = outcome(reader, kind, desk, done=f"case {number}, {'every' if every else 'an'} exhibit is {spoil}")
        assert not faults and (sent / "summary.md").is_file(), faults


@pytest.mark.parametrize("kind", ["own", "agent", "sb3", "program", pytest.param("gan", marks=NEEDS_DIGITS), "finished"])
def test_any_of_500_flipped_bits_is_found_or_does_not_matter(kind: str, runs: Mapping[str, Path], desk: Path) -> None:
    sent = copied(runs[kind], desk)
    history = read_history(RunFolder(sent), "pbt", 0)
    assert history.chosen is not None
    digest = history.by_id[history.chosen].result.digest
    path = FolderCheckpoints(sent / "pbt/seed-0/checkpoints").path(history.chosen)
    whole, chance, unseen = path.read_bytes(), random.Random(kind), 0
    for _ in range(500):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with contextlib.suppress(LostCheckpoint):
            state = Sealed(FolderCheckpoints(path.parent), {history.chosen: digest}).load(history.chosen)
            assert digest_of(state) == digest
            unseen += 1
    assert unseen < 50  # spaces of the header


@pytest.mark.parametrize("numbers", [range(6), pytest.param(range(6, 60), marks=pytest.mark.nightly)], ids=str)
def test_a_run_with_a_flipped_bit_in_a_checkpoint_ends_as_without(
    numbers: range, runs: Mapping[str, Path], wholes: Mapping[str, dict[str, str]], desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl_pbt.report.writing._draw", lambda run, evidence, sheets: [])
    for number in numbers:
        chance = random.Random(f"bit {number}")
        kind = BEGUN[number % len(BEGUN)]
        sent = copied(runs[kind], desk)
        for path in checkpoints_of(sent):
            flipped = bytearray(path.read_bytes())
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            path.write_bytes(flipped)
        resumed(sent, kind)
        assert timeless(sent) == wholes[kind]


def test_a_state_that_does_not_end_is_refused(runs: Mapping[str, Path], desk: Path) -> None:
    sent = copied(runs["own"], desk)
    digestless(sent)
    deep = json.dumps({"format": 1, "tree": None}).replace("null", '{"list":[' * 5000 + "1" + "]}" * 5000)
    huge = json.dumps({"format": 1, "tree": {"array": ["array/0", "|S1", [10**13]]}})
    for text in (deep, huge):
        for path in checkpoints_of(sent):
            with_arrays(path, lambda arrays, text=text: arrays.update(structure=np.frombuffer(text.encode(), np.uint8)))
        from regression import Regression

        with pytest.raises(UserError, match="damaged"):
            rl_pbt.load(sent, task=Regression).winner()
