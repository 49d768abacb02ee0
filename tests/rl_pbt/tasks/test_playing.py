"""What episodes say of a member."""

from dataclasses import dataclass

import pytest

from rl_pbt.tasks.playing import foreseen_steps, named


@dataclass(frozen=True)
class Ended:
    lengths: tuple[int, ...]
    returns: tuple[float, ...] = ()
    truncated: int = 0


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
    assert foreseen_steps(Ended(lengths), 7, 2, longest, copies=4) == foreseen


def test_an_environment_is_called_what_it_is() -> None:
    options = {"called": "SMAX, StarCraft-like (JaxMARL)"}
    assert named("SMAX/3m-v0", options) == "SMAX/3m-v0: SMAX, StarCraft-like (JaxMARL)"
    assert named("CartPole-v1", {}) == "CartPole-v1"
    assert named("CartPole-v1", {}, "a=1", "b=2") == "CartPole-v1 (a=1, b=2)"
