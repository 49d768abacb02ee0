"""Any program as a training: real programs, called through the jobs that executors run."""

import json
import os
import pickle
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import built
from rl_pbt.records import FinalTest, Hypers, Proposal, Result
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import FinalTestJob, IntervalJob, Machine
from rl_pbt.tasks.command import TYPE, CommandOptions, CommandTask

ROOT = Path(__file__).parents[3]
HYPERS: Hypers = {"lr": 0.05}

REGRESSION = """
import json, sys
import numpy as np

with open(sys.argv[1]) as file:
    request = json.load(file)
generator = np.random.default_rng(request["seed"])
truth = np.array([1.0, -2.0, 0.5])
if request["parent"] is None:
    weights, updates = generator.normal(size=3), 0
else:
    with np.load(request["parent"] + "/model/weights.npz") as saved:
        weights, updates = saved["weights"], int(saved["updates"])
for _ in range(request["budget"]):
    inputs = generator.normal(size=(8, 3))
    weights -= request["hypers"]["lr"] * inputs.T @ (inputs @ weights - inputs @ truth) / 8
    updates += 1
if request["purpose"] == "train":
    from pathlib import Path
    Path(request["checkpoint"], "model").mkdir()
    np.savez(request["checkpoint"] + "/model/weights.npz", weights=weights, updates=updates)
scores = []
for seed in request["evaluation_seeds"]:
    inputs = np.random.default_rng(seed).normal(size=(64, 3))
    scores.append(-float(np.mean((inputs @ weights - inputs @ truth) ** 2)))
with open(request["answer"], "w") as file:
    json.dump({"scores": scores, "metrics": {"age": updates}, "updates": 2 * request["budget"]}, file)
print("a line that nobody sees\\n" * 10_000)
"""

SHELL = """
# The state is a counter; a score is what it has counted. It needs no JSON reader: the fields have lines of their own.
field() { sed -n "s/^  \\"$1\\": \\"\\{0,1\\}\\([^\\",]*\\)\\"\\{0,1\\},\\{0,1\\}$/\\1/p" "$RL_PBT_REQUEST"; }
test "$RL_PBT_REQUEST" = "$1" || exit 9
count=0
if [ "$(field parent)" != null ]; then count=$(cat "$(field parent)/count"); fi
count=$((count + $(field budget)))
if [ "$(field purpose)" = train ]; then echo $count > "$(field checkpoint)/count"; fi
echo "{\\"scores\\": [$count]}" > "$(field answer)"
"""


def run(task: CommandTask, folder: Path, *proposals: Proposal, ages: Sequence[int] | None = None) -> list[Result]:
    job = IntervalJob(
        proposals=proposals,
        lineage_units=tuple(ages or [0] * len(proposals)),
        root_seed=1,
        checkpoints=FolderCheckpoints(folder / "checkpoints"),
    )
    return pickle.loads(pickle.dumps(job)).run(pickle.loads(pickle.dumps(task)))


def final(task: CommandTask, folder: Path, proposal: int, episodes: Sequence[int]) -> FinalTest:
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    return FinalTestJob(proposal=proposal, episodes=episodes, root_seed=1, checkpoints=checkpoints).run(task)


def founder(id_: int, **hypers: Any) -> Proposal:
    return Proposal(id=id_, member=id_, generation=0, hypers={**HYPERS, **hypers}, parent=None, units=10)


def child(id_: int, parent: int, units: int = 10, **rest: Any) -> Proposal:
    return Proposal(id=id_, member=9, generation=1, hypers=HYPERS, parent=parent, units=units, **rest)


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., CommandTask]:
    """A task whose program is this source, in Python or for a shell."""

    def make(source: str, interpreter: str = sys.executable, **settings: Any) -> CommandTask:
        script = tmp_path / ("train.py" if interpreter == sys.executable else "train.sh")
        script.write_text(dedent(source))
        return CommandTask(program=(interpreter, script.name), cwd=str(tmp_path), **settings)

    return make


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made; nothing is left there."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_python_program_learns(program: Any, tmp_path: Path, scratch: Path, capfd: pytest.CaptureFixture[str]) -> None:
    task = program(REGRESSION, evaluations=2)
    first, second = run(task, tmp_path, founder(0), founder(1, lr=0.2))
    assert first.fitness is not None
    assert second.fitness is not None
    assert second.fitness > first.fitness
    assert len(first.returns) == 2
    assert (first.cost.train_units, first.cost.updates, first.lineage_units) == (10, 20, 10)
    assert first.cost.cpu_s > 0.01, "the time of the program, not of waiting for it"
    assert first.metrics == {"train/age": 10.0}

    (later,) = run(task, tmp_path, child(2, 0, units=100), ages=[10])
    assert later.fitness is not None
    assert later.fitness > first.fitness
    assert later.metrics == {"train/age": 110.0}
    assert later.lineage_units == 110
    (judged,) = run(task, tmp_path, child(3, 2, units=0, episodes=5), ages=[110])
    assert (len(judged.returns), judged.cost.units, judged.lineage_units) == (5, 0, 110)
    test = final(task, tmp_path, 2, range(3))
    assert len(test.returns) == 3
    assert not {*test.returns} & {*judged.returns}

    left = task.winner(2, FolderCheckpoints(tmp_path / "checkpoints"))
    assert list(left.files) == ["model/weights.npz"]
    assert left.hypers == HYPERS
    left.write_to(tmp_path / "mine")
    assert int(np.load(tmp_path / "mine" / "model" / "weights.npz")["updates"]) == 110
    assert capfd.readouterr() == ("", "")
    assert list(scratch.iterdir()) == []


def test_a_shell_program_counts(program: Any, tmp_path: Path) -> None:
    task = program(SHELL, "sh")
    (first,) = run(task, tmp_path, founder(0))
    (second,) = run(task, tmp_path, child(1, 0, units=5), ages=[10])
    assert (first.failure, second.failure) == (None, None)
    assert (first.returns, second.returns, second.cost.updates) == ((10.0,), (15.0,), 5)
    assert final(task, tmp_path, 1, [0]).returns == (15.0,)
    assert task.winner(1, FolderCheckpoints(tmp_path / "checkpoints")).files == {"count": b"15\n"}
    assert task.baseline(0, 3) is None


def test_who_needs_no_score_is_asked_for_none_and_read_if_there_is_one(program: Any, tmp_path: Path) -> None:
    task = program(REGRESSION)
    (result,) = run(task, tmp_path, replace(founder(0), episodes=0))
    assert result.unevaluated and result.metrics == {"train/age": 10} and result.foreseen_units == 0
    (again,) = run(task, tmp_path, child(1, 0))
    assert again.fitness is not None
    silent = """
        import json, sys
        json.dump({"updates": 3}, open(json.load(open(sys.argv[1]))["answer"], "w"))
    """
    (result,) = run(program(silent), tmp_path, replace(founder(2), episodes=0))
    assert result.unevaluated and result.cost.updates == 3
    (failed,) = run(program(silent), tmp_path, founder(3))
    assert failed.failure is not None and '"scores"' in failed.failure
    (counted,) = run(program(SHELL, "sh"), tmp_path, replace(founder(4), episodes=0))
    assert (counted.fitness, counted.returns) == (10.0, (10.0,)), "what a program answers all the same"


def test_what_is_asked(program: Any, tmp_path: Path) -> None:
    task = program(
        f"""
        import json, os, shutil, sys
        request = json.load(open(sys.argv[1]))
        request["folders"] = [os.listdir(request[name]) if request[name] else None for name in ("parent", "checkpoint")]
        open(request["checkpoint"] + "/asked", "w").write(sys.argv[1])
        with open({str(tmp_path / "requests")!r}, "a") as file:
            print(json.dumps(request), file=file)
        json.dump({{"scores": 0.5}}, open(request["answer"], "w"))
        """,
        hypers={"held": "x", "lr": 7.0},
        evaluations=3,
    )
    run(task, tmp_path, founder(0), founder(1))
    run(task, tmp_path, child(2, 0, units=0))
    final(task, tmp_path, 0, [4, 5])
    first, second, judging, test = map(json.loads, (tmp_path / "requests").read_text().splitlines())
    assert (first["version"], first["purpose"], first["budget"], first["parent"]) == (1, "train", 10, None)
    assert first["hypers"] == {"held": "x", "lr": 0.05}
    assert first["folders"] == [None, []]
    assert first["seed"] != second["seed"]
    assert first["evaluation_seeds"] == second["evaluation_seeds"]
    assert len(first["evaluation_seeds"]) == 3
    assert (judging["purpose"], judging["budget"], judging["folders"]) == ("evaluate", 0, [["asked"], []])
    assert not {*judging["evaluation_seeds"]} & {*first["evaluation_seeds"]}
    assert (test["purpose"], len(test["evaluation_seeds"]), test["hypers"]) == ("test", 2, first["hypers"])


ANSWER = 'open(json.load(open(sys.argv[1]))["answer"], "w").write({!r})'
FAULTS = {
    "exit": ('print("hello"); sys.exit(3)', "the program ended with status 3: hello"),
    "error": ("x = 1 / 0", "the program ended with status 1: Traceback (most recent call last): | "),
    "signal": ("os.kill(os.getpid(), 11)", "the program was killed by SIGSEGV"),
    "silence": ("pass", "the program wrote no answer"),
    "garbage": (ANSWER.format("{"), "the program's answer is not JSON ("),
    "list": (ANSWER.format("[1]"), "the program's answer is not a JSON object with"),
    "no scores": (ANSWER.format('{"score": 1}'), "the program's answer is not a JSON object with"),
    "nan": (ANSWER.format('{"scores": [NaN]}'), "the program gave a score that is not finite"),
    "text": (ANSWER.format('{"scores": "1"}'), "the program gave '1': it must give a number"),
    "null": (ANSWER.format('{"scores": [null]}'), "the program gave [None]: it must give a number"),
    "huge": (ANSWER.format('{"scores": [1' + "0" * 400 + "]}"), "the program gave [1000"),
    "large": (ANSWER.format('{"scores": [1.7e308, 1.7e308]}'), "the program gave a score that is not finite"),
    "pipe for an answer": ('os.mkfifo(json.load(open(sys.argv[1]))["answer"])', "the program wrote no answer"),
    "other signal": ("os.kill(os.getpid(), 35)", "the program was killed by signal 35"),
    "updates": (ANSWER.format('{"scores": [1], "updates": 1.5}'), '"updates" in the program\'s answer must be a whole number'),
    "metrics": (ANSWER.format('{"scores": [1], "metrics": [2]}'), "the program gave [2]: it may give numbers by name"),
    "link": (
        ANSWER.format('{"scores": [1]}') + '; os.symlink("/etc/passwd", json.load(open(sys.argv[1]))["checkpoint"] + "/latest")',
        "latest in the checkpoint is a symbolic link: copy what it leads to",
    ),
    "pipe": (
        ANSWER.format('{"scores": [1]}') + '; os.mkfifo(json.load(open(sys.argv[1]))["checkpoint"] + "/pipe")',
        "pipe in the checkpoint is not a file",
    ),
    "lines": (
        'sys.stderr.write("".join(f"line {i} of {sys.argv[1]}\\n" for i in range(9))); sys.exit(1)',
        "the program ended with status 1: line 4 of .../request.json | line 5 of",
    ),
    "flood": ('sys.stdout.write("x" * 10_000_000); sys.exit(1)', "the program ended with status 1: " + "x" * 500),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_program_that_fails_is_a_failed_member(
    fault: str, program: Any, tmp_path: Path, scratch: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, complaint = FAULTS[fault]
    task = program(
        "import json, os, sys\nif json.load(open(sys.argv[1]))['hypers']['fault']:\n "
        + source
        + "\nelse:\n "
        + ANSWER.format('{"scores": [1]}')
    )
    failed, fine = run(task, tmp_path, founder(0, fault=1), founder(1, fault=0))
    assert failed.failure is not None
    assert failed.failure.startswith(complaint)
    assert len(failed.failure) < 600
    assert "\n" not in failed.failure
    assert (failed.cost.train_units, failed.lineage_units) == (10, 10)
    assert fine.fitness == 1.0
    assert not FolderCheckpoints(tmp_path / "checkpoints").path(0).exists()
    assert capfd.readouterr() == ("", "")
    assert list(scratch.iterdir()) == []


def alive(pid_file: Path) -> bool:
    """Whether the process whose id is in the file runs; a zombie does not."""
    try:
        return Path("/proc", pid_file.read_text().strip(), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid_file: Path) -> bool:
    deadline = time.monotonic() + 10
    while alive(pid_file) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid_file)


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
SLEEPER = "sleep 600 & echo $! > {pid}\n"


@needs_proc
def test_a_program_that_takes_too_long_ends_with_all_its_processes(program: Any, tmp_path: Path, scratch: Path) -> None:
    task = program(f"{SLEEPER.format(pid=tmp_path / 'pid')} echo begun >&2; wait", "sh", timeout_s=0.5)
    started = time.monotonic()
    (result,) = run(task, tmp_path, founder(0))
    assert result.failure == "the program took too long and was stopped: begun"
    assert time.monotonic() - started < 8
    assert gone(tmp_path / "pid")
    assert list(scratch.iterdir()) == []


@needs_proc
def test_what_a_program_leaves_running_ends_with_its_interval(program: Any, tmp_path: Path) -> None:
    task = program(SLEEPER.format(pid=tmp_path / "pid") + SHELL, "sh")
    started = time.monotonic()
    (result,) = run(task, tmp_path, founder(0))
    assert result.fitness == 10.0
    assert time.monotonic() - started < 8, "it holds the output open, and nobody waits for that"
    assert gone(tmp_path / "pid")


@needs_proc
def test_an_interrupt_ends_the_program(program: Any, tmp_path: Path, scratch: Path) -> None:
    pid = tmp_path / "pid"
    task = program(f"{SLEEPER.format(pid=pid)} wait", "sh")

    def interrupt() -> None:
        while not (pid.exists() and pid.read_text().strip()):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(task, tmp_path, founder(0))
    thread.join()
    assert gone(pid)
    assert list(scratch.iterdir()) == []


@needs_proc
def test_a_program_does_not_outlive_a_worker_that_is_killed(program: Any, tmp_path: Path, scratch: Path) -> None:
    pid = tmp_path / "pid"
    task = program(f"{SLEEPER.format(pid=pid)} wait", "sh")
    script = f"""
    import tempfile
    from pathlib import Path
    from tests.rl_pbt.tasks.test_command import CommandTask, founder, run
    tempfile.tempdir = {str(scratch)!r}
    run(CommandTask(program={task.program!r}, cwd={task.cwd!r}), Path({str(tmp_path)!r}), founder(0))
    """
    worker = subprocess.Popen([sys.executable, "-c", dedent(script)], cwd=ROOT)
    while not (pid.exists() and pid.read_text().strip()):
        assert worker.poll() is None
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    assert gone(pid)
    deadline = time.monotonic() + 10
    while list(scratch.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(scratch.iterdir()) == []


def test_any_files_travel(program: Any, tmp_path: Path) -> None:
    task = program(
        """
        import json, os, sys
        request = json.load(open(sys.argv[1]))
        if request["parent"]:
            assert open(request["parent"] + "/deep/er/é name.bin", "rb").read() == bytes(range(256))
            assert open(request["parent"] + "/empty", "rb").read() == b""
        os.makedirs(request["checkpoint"] + "/deep/er")
        open(request["checkpoint"] + "/deep/er/é name.bin", "wb").write(bytes(range(256)))
        open(request["checkpoint"] + "/empty", "wb")
        json.dump({"scores": [1]}, open(request["answer"], "w"))
        """
    )
    assert run(task, tmp_path, founder(0))[0].failure is None
    assert run(task, tmp_path, child(1, 0))[0].failure is None
    files = task.winner(1, FolderCheckpoints(tmp_path / "checkpoints")).files
    assert files == {"deep/er/é name.bin": bytes(range(256)), "empty": b""}


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", ""])
def test_files_do_not_leave_their_folder(name: str, program: Any, tmp_path: Path) -> None:
    from rl_pbt.tasks.command import Left

    with pytest.raises(UserError, match="would lie outside its folder"):
        Left(files={"fine": b"", name: b"x"}, hypers={}).write_to(tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_a_test_that_fails_says_why(program: Any, tmp_path: Path) -> None:
    task = program(SHELL, "sh")
    run(task, tmp_path, founder(0))
    task = program("echo no data; exit 2", "sh")
    test = final(task, tmp_path, 0, [0])
    assert (test.returns, test.excluded, test.failure) == ((), 1, "the program ended with status 2: no data")
    with pytest.raises(UserError, match="is missing"):
        run(task, tmp_path, child(3, 2))


def config_of(**given: Any) -> RunConfig:
    whole = TYPE.complete({"budget": 100, "search": {"lr": "log:1e-3:1e-1"}, **given}, None)
    own_fields = set(CommandOptions.__dataclass_fields__)
    options = built(CommandOptions, {name: value for name, value in whole.items() if name in own_fields})
    task_options = {name: getattr(options, name) for name in own_fields}
    rest = {name: value for name, value in whole.items() if name not in own_fields}
    return RunConfig(task="command", task_options=task_options, **rest)


def test_settings_are_completed(program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program(SHELL, "sh")
    config = config_of(program="sh train.sh", evaluations=2, timeout_s=60, score="count", seeds=(3,))
    assert config.task_options["program"] == ("sh", "train.sh")
    assert (config.interval, config.population, config.group_size, config.seeds) == (5, 8, 4, (3,))
    words = TYPE.words(config.task_options)
    assert (words.unit, words.score, words.baseline) == ("update", "count", "")
    assert (TYPE.title(config.task_options), TYPE.folder(config.task_options)) == ("sh train.sh", "train")
    assert "2 evaluations" in TYPE.evaluation(config.task_options)
    task = TYPE.make(config, Machine(workers=2))
    assert (task.timeout_s, task.quantum, task.evaluations) == (60.0, 1, 2)
    assert TYPE.describe(config, task)[0] == ("task", "the program sh train.sh")
    assert run(task, tmp_path, founder(0))[0].fitness == 10.0


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "program is missing"),
        ({"program": []}, "program is missing: say which program trains"),
        ({"program": ["no-such-program", "x"]}, "program names no-such-program, which is not here"),
        ({"program": "sh absent.sh"}, "program names absent.sh, which is not here"),
        ({"program": "./plain.sh"}, "program names ./plain.sh, which may not be executed: put its interpreter first"),
        ({"program": "sh", "timeout_s": 0.0}, "timeout_s must be above 0, but is 0"),
        ({"program": "sh", "evaluations": 0}, "evaluations must be 1 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    given: dict[str, Any], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.sh").write_text("exit")
    with pytest.raises(BadSetting) as raised:
        TYPE.make(config_of(**given), Machine())
    assert str(raised.value).startswith(complaint)


@pytest.mark.parametrize("words", ["docker run image python train.py", "env X=1 python train.py", "sh -c 'cd x && ./y.sh'"])
def test_scripts_that_lie_elsewhere_are_not_looked_for(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    TYPE.make(config_of(program=shlex.split(words)), Machine())
