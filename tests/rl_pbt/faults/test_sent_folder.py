"""A folder that somebody sent is data: no code of it runs, and nothing outside it is written, changed or deleted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_pbt.api import load
from rl_pbt.errors import UserError
from tests.rl_pbt.faults.reading import ran
from tests.rl_pbt.faults.spoiling import fit

MARKS = "import pathlib\npathlib.Path({marker!r}).touch()\n"
SMALL = ["--methods", "pbt", "random", "--population", "2", "--budget", "40", "--interval", "20", "--workers", "1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the quadratic, to be copied and spoiled."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert ran("tune", "--task", "quadratic", *SMALL, "--executor", "inline", "--out", str(folder)).status == 0
    return folder


@pytest.fixture
def desk(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where somebody works, and commands look for modules: own files, and the folder `sent`. Plots are small."""
    desk = tmp_path / "desk"
    shutil.copytree(finished, desk / "sent")
    monkeypatch.chdir(desk)
    monkeypatch.syspath_prepend(str(desk))
    monkeypatch.setattr("rl_pbt.report.style.DPI", 20)
    return desk


def interrupted(sent: Path) -> None:
    """As a run that has only begun."""
    manifest = json.loads((sent / "manifest.json").read_text())
    (sent / "manifest.json").write_text(json.dumps({**manifest, "status": "interrupted"}))
    for ledger in sent.rglob("ledger.jsonl"):
        ledger.unlink()


def naming_code(sent: Path, task: str, **options: object) -> None:
    """Let its manifest name code of its own."""
    manifest = json.loads((sent / "manifest.json").read_text())
    manifest["config"] |= {"task": task, "task_options": options}
    manifest["status"] = "interrupted"
    (sent / "manifest.json").write_text(json.dumps(manifest))


CODE = {
    "environment": ("rl", {"env": "sent:Innocent-v0", "agent": "a2c", "agent_options": {}, "fitness": "evaluation",
                           "eval_episodes": 1, "backend": "gymnasium", "device": "cpu", "env_options": {}, "frame_skip": 1}),
    "module with effects": ("rl", {"env": "this:X-v0", "agent": "a2c"}),
    "class": ("own", {"target": "sent:Innocent", "evaluations": 1, "unit": "update", "score": "score", "quantum": 1}),
    "program": ("command", {"program": ["sh", "sent/run.sh"], "evaluations": 1, "unit": "update", "score": "score",
                            "timeout_s": None}),
}  # fmt: skip


@pytest.mark.parametrize("code", CODE)
def test_no_code_runs_because_a_manifest_names_it(code: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    marker = desk / "marker"
    (desk / "sent/__init__.py").write_text(MARKS.format(marker=str(marker)))
    (desk / "sent/run.sh").write_text(f"touch {marker}\n")
    task, options = CODE[code]
    naming_code(desk / "sent", task, **options)
    for words in (
        ["bench", "--resume", "sent"],
        ["bench", "--resume", "sent", "--dry-run"],
        ["bench", "--out", "other", "--methods", "replay:sent", "--task", "quadratic", "--dry-run"],
        ["report", "sent"],
        ["config", "sent"],
        ["play", "sent", "--video", "x.gif"],
    ):
        done = ran(*words)
        assert not marker.exists(), words
        assert "this" not in sys.modules
        assert done.status in (0, 2)
        if words[:2] == ["bench", "--resume"]:
            assert done.status == 2 and "name it too if you trust it" in done.err
    with pytest.raises(UserError):
        load(desk / "sent").winner()
    assert not marker.exists()


def test_not_even_code_that_was_named_is_taken_from_the_folder_itself(desk: Path) -> None:
    marker = desk / "marker"
    (desk / "sent/__init__.py").write_text(MARKS.format(marker=str(marker)))
    (desk / "sent/inner").mkdir()
    (desk / "sent/inner/code.py").write_text(MARKS.format(marker=str(marker)))
    for name in ("sent:Innocent-v0", "sent.inner.code:Innocent-v0"):
        naming_code(desk / "sent", "rl", **{**CODE["environment"][1], "env": name})
        done = ran("bench", "--resume", "sent", "--env", name)
        assert done.status == 2 and "lies in the run's own folder" in done.err and not marker.exists()


def test_a_command_of_its_own_runs_none_either(desk: Path) -> None:
    """As a person starts it, in a process in which nothing was loaded before."""
    marker = desk / "marker"
    (desk / "sent/__init__.py").write_text(MARKS.format(marker=str(marker)))
    task, options = CODE["module with effects"]
    naming_code(desk / "sent", task, **options)
    for words in (["bench", "--resume", "sent"], ["report", "sent"]):
        command = [sys.executable, "-W", "ignore", "-m", "rl_pbt", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode in (0, 2) and "Traceback" not in done.stderr, done.stderr
        assert "Beautiful is better" not in done.stdout  # what `import this` prints
        assert not marker.exists()


@pytest.fixture
def outside(desk: Path) -> Iterator[Path]:
    """A person's own files, which must be the same in the end."""
    project = desk / "project"
    for name in (
        "checkpoints/model_final.pt",
        "checkpoints/000001.safetensors",
        "notes.txt",
        "tensorboard/events.out.tfevents.1",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(f"my {name}")
    (desk / "token").write_text("secret")
    before = {path: path.read_bytes() for path in [*project.rglob("*"), desk / "token"] if path.is_file()}
    yield project
    after = {path: path.read_bytes() for path in [*project.rglob("*"), desk / "token"] if path.is_file()}
    assert after == before


LINKS = {
    "a seed": ("pbt/seed-0", "project"),
    "a method": ("pbt", "project"),
    "checkpoints": ("pbt/seed-0/checkpoints", "project/checkpoints"),
    "exhibits": ("pbt/seed-0/exhibits", "project/checkpoints"),
    "tensorboard": ("tensorboard", "project/tensorboard"),
    "tensorboard of a search": ("tensorboard/pbt-s0", "project/tensorboard"),
    "tensorboard of members": ("tensorboard_members", "project/tensorboard"),
    "tensorboard of a member": ("tensorboard_members/pbt-s0/00", "project/tensorboard"),
    "tensorboard as it was": ("pbt/seed-0/tensorboard", "project/tensorboard"),
    "a picture": ("plots/schedules-random-seed-0.png", "token"),
    "a ledger": ("pbt/seed-0/ledger.jsonl", "token"),
    "a ledger to nothing": ("pbt/seed-0/ledger.jsonl", "created"),
    "plots": ("plots", "project"),
    "a plot": ("plots/test_scores.png", "token"),
    "the summary": ("summary.json", "token"),
    "the page": ("summary.md", "token"),
    "the page for a browser": ("report.html", "token"),
    "the manifest": ("manifest.json", "manifest.json"),
    "a lock": (".lock", "token"),
}


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_nowhere(link: str, desk: Path, outside: Path) -> None:
    sent, (name, target) = desk / "sent", LINKS[link]
    interrupted(sent)
    shutil.copy(sent / "manifest.json", desk / "manifest.json")
    manifest = (desk / "manifest.json").read_bytes()
    place = sent / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(desk / target)
    executor = "processes" if link == "checkpoints" else "inline"  # whoever saves them
    resume = ["bench", "--resume", "sent", "--workers", "1", "--executor", executor]
    for words in (["report", "sent"], resume, ["report", "sent"]):
        done = ran(*words)
        assert done.status in (0, 2), done.err
        assert done.status == 0 or done.err.count("\n") == 1
    assert not (desk / "created").exists()
    assert (desk / "manifest.json").read_bytes() == manifest
    assert sorted(path.name for path in outside.iterdir()) == ["checkpoints", "notes.txt", "tensorboard"]


def test_foreign_files_in_our_folders_stay(desk: Path) -> None:
    sent = desk / "sent"
    interrupted(sent)
    foreign = ["pbt/seed-0/checkpoints/notes.txt", "pbt/seed-0/checkpoints/best_weights.safetensors", "pbt/seed-0/notes.txt",
               "pbt/seed-0/checkpoints/.hidden", "pbt/seed-0/tensorboard/mine.txt", "pbt/seed-0/tensorboard/member-00/mine.txt",
               "pbt/seed-0/exhibits/.hidden", "pbt/seed-0/exhibits/mine.png",
               "tensorboard/mine.txt", "tensorboard/pbt-s0/mine.txt", "tensorboard_members/pbt-s0/00/mine.txt",
               "plots/mine.png", "notes.txt"]  # fmt: skip
    for name in foreign:
        (sent / name).parent.mkdir(parents=True, exist_ok=True)
        (sent / name).write_text("mine")
    (sent / "pbt/seed-0/checkpoints/000099.safetensors").mkdir(exist_ok=True)
    assert ran("bench", "--resume", "sent", "--executor", "inline").status == 0
    assert ran("report", "sent").status == 0
    for name in foreign:
        assert (sent / name).read_text() == "mine"


@pytest.mark.parametrize(
    "text", ["<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "a\n# heading", "\x1b[2J\x1b]0;x\x07", "`a`"]
)
def test_what_a_page_and_a_terminal_show_is_harmless(text: str, desk: Path) -> None:
    path = desk / "sent/manifest.json"
    manifest = json.loads(path.read_text())
    manifest |= {"command": text, "reason": text, "status": "failed"}
    manifest["config"] |= {
        "task": "own",
        "task_options": {"target": f"m:{text}", "evaluations": 1, "unit": text, "score": text, "quantum": 1},
    }
    path.write_text(json.dumps(manifest))
    fit(desk / "sent")
    done = ran("report", "sent")
    assert done.status in (0, 2)
    assert "\x1b" not in done.out + done.err and "\x07" not in done.out + done.err
    if done.status == 0:
        page = (desk / "sent/summary.md").read_text()
        outside_code = "".join(page.split("Made by ")[0])
        assert "<img" not in outside_code and "](javascript" not in outside_code
        assert "\n# heading" not in page and "\x1b" not in page
        html = (desk / "sent/report.html").read_text()
        assert "<img" not in html and "\x1b" not in html
    assert not os.path.exists(desk / "x")
