"""Numbers as people read them."""

import pytest

from rl_pbt.text import duration, interval_text, readable, value_text


@pytest.mark.parametrize(
    ("frames", "text"),
    [(0, "0"), (999, "999"), (250_000, "250k"), (1_200_000, "1.2M"), (2e9, "2G"), (12_345, "12.3k")],
)
def test_frames(frames: float, text: str) -> None:
    assert readable(frames) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (75, "1m15s"), (3599, "59m59s"), (3661, "1h01m")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_values_and_estimates() -> None:
    estimate = {"value": 12.34567, "interval": [1.0, 23.45678], "unit": "seeds"}
    assert [value_text(v) for v in (estimate, None, 0.00012346, 7, "big")] == ["12.35", "–", "0.0001235", "7", "big"]
    assert interval_text(estimate) == "1 to 23.46 (seeds)"
    assert interval_text(None) == interval_text({**estimate, "interval": None}) == "–"
