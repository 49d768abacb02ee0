"""A run of translators that was sent: what its manifest, its ledgers and its checkpoints say, and what it says its corpus is.

A corpus is read from wherever the manifest says, on the machine of whoever opens the folder.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.rl_pbt.faults.reading import outcome, ran
from tests.rl_pbt.faults.spoiling import SPOILS, places, spoiled
from tests.rl_pbt.faults.test_fuzz import forget, fresh, ledger_case, manifest_case
from tests.rl_pbt.faults.test_fuzz_checkpoints import SPOILS as OF_CHECKPOINTS
from tests.rl_pbt.faults.test_fuzz_checkpoints import checkpoints_of


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are those of every task, and take longer than all else."""
    monkeypatch.setattr("rl_pbt.report.writing._draw", lambda run, evidence, sheets: [])


@pytest.mark.parametrize("case", [manifest_case, ledger_case])
@pytest.mark.parametrize("numbers", [range(6), pytest.param(range(6, 306), marks=pytest.mark.nightly)], ids=str)
def test_a_spoiled_folder_is_read_or_refused_in_one_line(
    case: Callable[[int, Mapping[str, Path], Path], list[str]], numbers: range, translations: Mapping[str, Path], desk: Path
) -> None:
    faults = [fault for number in numbers for fault in case(number, translations, desk)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("share", [120, pytest.param(1, marks=pytest.mark.nightly)], ids=["some", "all"])
def test_every_setting_of_a_manifest_is_checked_before_it_is_trained_with(
    share: int, translations: Mapping[str, Path], desk: Path
) -> None:
    kind = "begun translation"
    config = json.loads((translations[kind] / "manifest.json").read_text())
    cases = [(place, spoil) for place in places(config) if place[:1] == ("config",) for spoil in SPOILS]
    faults = []
    for place, spoil in random.Random(0).sample(cases, len(cases) // share):
        sent = fresh(translations, kind, desk)
        forget(sent)
        (sent / "manifest.json").write_text(spoiled(config, place, spoil))
        faults += outcome("resume", kind, desk, done=f"{'.'.join(map(str, place))}: {spoil}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "spoil", [pytest.param(one, marks=[pytest.mark.nightly] if n % 7 else []) for n, one in enumerate(OF_CHECKPOINTS)]
)
def test_a_spoiled_checkpoint_is_computed_again_or_refused_in_one_line(
    spoil: str, translations: Mapping[str, Path], desk: Path
) -> None:
    faults = []
    for kind, reader in (("begun translation", "resume"), ("translation", "load")):
        sent, chance = fresh(translations, kind, desk), random.Random(spoil)
        for path in checkpoints_of(sent):
            OF_CHECKPOINTS[spoil](path, chance.choice(checkpoints_of(translations["translation"])), chance)
        faults += outcome(reader, kind, desk, done=f"checkpoints are {spoil}")
    assert not faults, "\n".join(faults)


def of_holes(desk: Path) -> list[str]:
    """Of gigabytes, and nothing on the disk."""
    with (desk / "sent/holes").open("wb") as stream:
        stream.truncate(3 << 30)
    return [str(desk / "sent/holes")] * 2


def of_a_pipe(desk: Path) -> list[str]:
    os.mkfifo(desk / "sent/pipe")
    return [str(desk / "sent/pipe")] * 2


def of_binary(desk: Path) -> list[str]:
    (desk / "sent/binary").write_bytes(random.Random(0).randbytes(10_000))
    return [str(desk / "sent/binary")] * 2


def of_links(desk: Path) -> list[str]:
    (desk / "sent/links/de").mkdir(parents=True)
    (desk / "sent/links/de/x.po").symlink_to("x.po")
    (desk / "sent/links/de/up").symlink_to("..")
    return [str(desk / "sent/links")]


CORPORA: Mapping[str, Callable[[Path], list[str]]] = {
    "the whole disk": lambda desk: ["/"],
    "a file of holes": of_holes,
    "a pipe": of_a_pipe,
    "an endless device": lambda desk: ["/dev/zero"] * 2,
    "binary": of_binary,
    "links to themselves": of_links,
    "a long name": lambda desk: ["x" * 300],
    "a longer name": lambda desk: ["/" + "x" * 100_000],
    "a name with a null character": lambda desk: ["a\0b"],
    "half a surrogate": lambda desk: ["\ud800"],
    "nothing": lambda desk: [""],
    "thousands": lambda desk: ["gramps"] * 10_000,
    "somebody else's text": lambda desk: ["/etc/passwd", "/etc/passwd"],
}


@pytest.mark.parametrize("what", CORPORA)
def test_a_corpus_is_read_within_bounds_wherever_a_manifest_says_that_it_lies(
    what: str, translations: Mapping[str, Path], desk: Path
) -> None:
    sent = fresh(translations, "begun translation", desk)
    manifest = json.loads((sent / "manifest.json").read_text())
    manifest["config"]["task_options"]["corpus"] = CORPORA[what](desk)
    (sent / "manifest.json").write_text(json.dumps(manifest))
    assert not outcome("resume", "begun translation", desk, done=f"the corpus is {what}")
    done = ran("tune", "--resume", "sent", "--workers", "1", "--executor", "inline")
    assert done.status == 2 and ("corpus" in done.err or "manifest.json is damaged" in done.err)
    assert "free space" not in done.err and "root:" not in done.err
