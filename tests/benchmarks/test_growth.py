"""The growth of the cost of a step: every size is measured, shown and drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import growth
from benchmarks.measuring import alone
from benchmarks.training import Setting, train


def test_one_of_three_grows_and_the_others_stay() -> None:
    base = growth.BASES[0]
    for axis, settings in growth.grown(base).items():
        counts = [getattr(setting, axis) for setting in settings]
        assert counts == sorted(set(counts)) and getattr(base, axis) in counts
        for setting in settings:
            assert replace(setting, **{"updates": base.updates, axis: getattr(base, axis)}) == base
            assert setting.updates >= min(growth.FEWEST_UPDATES, *growth.UPDATES)


def test_every_size_is_shown_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "alone", lambda measure, setting: float(setting.steps) / 1e6 * setting.members)
    out = tmp_path / "growth.json"
    growth.main(["--repeats", "2", "--out", str(out)])
    text = out.with_suffix(".md").read_text()
    assert "| CartPole-v1 | members | 64 x 16 x 8 | 64.0 | 64.0 to 64.0 |" in text
    assert text.count("CartPole-v1") == len(growth.MEMBERS) + len(growth.COPIES) + len(growth.UPDATES)
    with Image.open(out.with_suffix(".png")) as image:
        assert image.size[0] > image.size[1] > 100


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_an_interval_is_timed(env: str) -> None:
    setting = Setting(env=env, members=2, copies=4, unroll=8, updates=30)
    trained = alone(_trained, setting)
    assert trained[0] > 0 and (trained[1] > 5 if env == "CartPole-v1" else trained[1] <= 0)


def _trained(setting: Setting) -> tuple[float, float]:
    found = train(setting, growth.HYPERS)
    return found.wall_s, found.mean_return
