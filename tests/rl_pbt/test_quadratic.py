"""The known-answer test of the method: Jaderberg 2017, Fig. 2."""

from pathlib import Path

import numpy as np
import pytest

from rl_pbt import quadratic
from rl_pbt.store import Run

# Ranges computed by an independent simulation of the same problem: mean, 5th and 95th percentile over 300 seeds.
EXPECTED = {
    "pbt": (1.15, 1.19),
    "exploit-only": (1.16, 1.175),
    "explore-only": (0.95, 1.10),
    "grid": (0.3897, 0.39),
}


@pytest.mark.parametrize("arm", quadratic.ARMS)
def test_each_arm_reaches_its_known_value(tmp_path: Path, arm: str) -> None:
    ends = [quadratic.run_arm(Run(tmp_path / str(seed)), arm, quadratic.ARMS[arm], seed).final for seed in range(20)]
    low, high = EXPECTED[arm]
    assert low <= np.mean(ends) <= high


def test_figure_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quadratic.bench(tmp_path / "run", [0])
    assert (tmp_path / "run" / "plots" / "quadratic.png").stat().st_size > 20_000
    assert "exploit-only" in capsys.readouterr().out
