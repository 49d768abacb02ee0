"""What episodes say of a member."""

import pytest

from rl_pbt.records import Cost, FinalTest
from rl_pbt.tasks.on_environments.episodes import Episodes, foreseen_steps


@pytest.mark.parametrize(
    ("lengths", "longest", "foreseen"),
    [
        ((100, 10, 20), None, 30),  # the newest two
        ((10,), None, 20),
        ((), None, 14),  # no episode ended in the 7 steps of an environment: each is longer than that
        ((100, 10, 20), 12, 24),  # episodes that are judged are cut
        ((), 5, 10),
        ((), 20, 40),  # it may last as long as is possible
        ((), 100_000, 56),  # but a limit that is far away is not held back: four environments made 28 steps
    ],
)
def test_two_evaluation_episodes_are_as_long_as_the_newest_of_training(
    lengths: tuple[int, ...], longest: int | None, foreseen: int
) -> None:
    assert foreseen_steps(Episodes(lengths=lengths), 7, 2, longest, copies=4) == foreseen


def test_a_test_has_its_episodes_and_counts_those_that_were_lost() -> None:
    played = Episodes(returns=(1.0, 2.0), lengths=(3, 4), truncated=1, excluded=2, failure="physics exploded", lost_steps=5)
    assert played.steps == 12
    cost = Cost(eval_units=played.steps)
    assert played.tested(7, cost) == FinalTest(
        proposal=7, returns=(1.0, 2.0), cost=cost, capped=1, excluded=2, failure="physics exploded"
    )
