"""The script that chooses the default run: its candidates are what they say, and a seed is a row that is not made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import first_run
from benchmarks.first_run import CANDIDATES, ENV, main, page, settings_of
from rl_pbt.making import configure


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_candidates_are_what_their_names_say_on_as_many_frames(candidate: str) -> None:
    config = configure({"env": ENV, **settings_of(candidate)})
    agent, members, judged = candidate.split(", ")
    assert config.task_options["agent"] == agent and members == f"{config.population} members"
    assert config.population * config.budget == 1_600_000
    if judged == "training fitness":
        assert config.task_options["fitness"] == "training"
    else:
        episodes, every = config.task_options["eval_episodes"], config.interval // 1000
        assert judged == f"{episodes} episode{'s' if episodes != 1 else ''} every {every}k"


def test_a_seed_is_a_row_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"population": 2, "frames": 2_000, "interval": 1_000, "eval_episodes": 1, "test_episodes": 2}
    monkeypatch.setattr(first_run, "ENV", "CartPole-v1")
    monkeypatch.setattr(first_run, "CANDIDATES", {"small": small})
    out = tmp_path / "first_run.json"
    main(["--candidate", "small", "--seeds", "1", "--out", str(out)])
    first = out.read_text(encoding="utf-8")
    main(["--candidate", "small", "--seeds", "2", "--out", str(out)])
    assert first.split('"cpu_s"')[0] in out.read_text(encoding="utf-8"), "the first seed is as it was"
    assert "| small | 2 | pbt |" in out.with_suffix(".md").read_text(encoding="utf-8")


def test_margins_are_over_the_random_policys_episodes() -> None:
    tried = {"returns": {"pbt": [20.0, 22.0], "random": [10.0, 12.0]}, "random_policy": [11.0, 11.0], "generations": 10}
    tried |= {"copies": 3, "cpu_s": 60.0}
    name = next(iter(CANDIDATES))
    text = page({name: {"seed 0": tried, "seed 1": tried}})  # type: ignore[dict-item]
    assert f"| {name} | 2 | pbt | 21 |" in text and "| 10 | 3 | 1.0 |" in text and f"| {name} | 2 | random | 11 |" in text
