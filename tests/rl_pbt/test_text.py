"""Numbers as people read them."""

import pytest

from rl_pbt.text import counted, duration, fitted, listed, readable, table, told_apart, value_text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (250_000, "250k"), (1_200_000, "1.2M"), (2e9, "2G"), (12_345, "12.3k")],
)
def test_counts(count: float, text: str) -> None:
    assert readable(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (75, "1m15s"), (3599, "59m59s"), (3661, "1h01m")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_values_and_nouns() -> None:
    assert [value_text(v) for v in (12.34567, None, 0.00012346, 7, "big")] == ["12.35", "–", "0.0001235", "7", "big"]
    assert [counted(n, "seed") for n in (1, 2, 1200)] == ["1 seed", "2 seeds", "1,200 seeds"]
    assert counted(0, "batch", "batches") == "0 batches"
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_a_number_beyond_a_limit_does_not_look_like_it() -> None:
    assert told_apart(31 / 5972, 0.005, "%", 1) == "0.52%" and told_apart(0.0050001, 0.005, "%", 1) == "0.50001%"
    assert told_apart(0.2, 0.005, "%", 1) == "20.0%" and told_apart(0.005, 0.005, "%", 1) == "0.5%"
    assert told_apart(0.04999, 0.05, "g", 2) == "0.04999" and told_apart(0.0123, 0.05, "g", 2) == "0.012"


def test_a_table_is_markdown() -> None:
    assert table(["name", "value"], [["a", "1"], ["b|c", "2"]]) == ("| name | value |\n| --- | --- |\n| a | 1 |\n| b\\|c | 2 |\n")


@pytest.mark.parametrize(("room", "line"), [(99, "one  22  333"), (12, "one  22  333"), (11, "one  22"), (6, "one"), (1, "one")])
def test_parts_that_do_not_fit_are_left_out(room: int, line: str) -> None:
    assert fitted(["one", "22", "333"], room) == line
