"""What may be spent."""

import pytest

from rl_pbt.records import Cost
from rl_pbt.search.budget import Account, Plan, affordable


@pytest.mark.parametrize(
    ("frames", "share"),
    [
        (1000, {3: 4, 1: 4, 2: 4}),  # nobody plays more than last time
        (100, {3: 4, 1: 3}),  # 40, then 60 at 20 an episode
        (49, {3: 4}),  # 9 left are less than half of 20
        (51, {3: 4, 1: 1}),  # 11 are more
        (4, {}),
        (-50, {}),
    ],
)
def test_affordable_rounds_to_the_nearest_episode(frames: int, share: dict[int, int]) -> None:
    assert affordable({3: (40, 4), 1: (80, 4), 2: (4, 4)}, frames) == share


def test_without_evaluation_there_is_nothing_to_judge_again() -> None:
    assert affordable({0: (0, 0), 1: (0, 0)}, 1000) == {}


def test_what_is_left_is_shared_equally_by_the_generations_to_come() -> None:
    account = Account(Plan(population=2, frames_per_member=1000, interval=250, quantum=10))
    assert account.allowance(0, 2) == 250
    for _ in range(2):
        account.charge(Cost(train_frames=250, eval_frames=50))
    # 1400 left; three generations and the play-off evaluate for 100 each: 1000 / 3 / 2 in tens
    assert account.allowance(1, 2) == 170
    account.charge(Cost(train_frames=340, eval_frames=400))
    assert account.allowance(2, 1) == 10, "overspent: a round of the environments all the same"
