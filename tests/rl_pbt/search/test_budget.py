"""What may be spent."""

from dataclasses import replace

import pytest

from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.search.budget import Account, Plan, affordable


@pytest.mark.parametrize(
    ("units", "share"),
    [
        (1000, {3: 4, 1: 4, 2: 4}),  # nobody plays more than last time
        (100, {3: 4, 1: 3}),  # 40, then 60 at 20 an episode
        (49, {3: 4}),  # 9 left are less than 20
        (60, {3: 4, 1: 1}),
        (4, {}),
        (-50, {}),
    ],
)
def test_affordable_never_goes_over(units: int, share: dict[int, int]) -> None:
    assert affordable({3: (40, 4), 1: (80, 4), 2: (4, 4)}, units) == share


def test_without_evaluation_there_is_nothing_to_judge_again() -> None:
    assert affordable({0: (0, 0), 1: (0, 0)}, 1000) == {}


def proposal(id_: int, units: int) -> Proposal:
    return Proposal(id=id_, member=0, generation=0, hypers={}, parent=None, units=units)


def test_what_is_left_is_shared_equally_by_the_proposals_to_come() -> None:
    account = Account(Plan(population=2, budget_per_member=1000, interval=250, quantum=10))
    assert account.allowance(2, 4) == 250
    first, second = proposal(0, 250), proposal(1, 250)
    account.commit(first)
    account.commit(second)
    assert account.allowance(2, 3) == 250, "what is underway is as good as spent"
    account.charge(first, Result(proposal=0, fitness=0.0, cost=Cost(train_units=250, eval_units=50)))
    assert account.left == 2000 - 4 - 300 - 250 - 50, "and its evaluation is foreseen"
    account.charge(second, Result(proposal=1, fitness=0.0, cost=Cost(train_units=250, eval_units=50)))
    # 1396 left; six proposals, and the final re-evaluation of two, are judged for 50 each: 996 / 6 in tens
    assert account.allowance(2, 3) == 160
    assert (account.room(100), account.room(105), account.room(5000)) == (100, 100, 1240)
    account.commit(third := proposal(2, 160))
    account.charge(third, Result(proposal=2, fitness=0.0, cost=Cost(train_units=160, eval_units=1000)))
    assert account.allowance(2, 2) == 0, "overspent: nobody goes on"


def test_of_who_is_not_judged_only_the_last_evaluation_is_kept_back() -> None:
    account = Account(Plan(population=2, budget_per_member=1000, interval=250, quantum=10))
    assert account.allowance_until_evaluated(2, 4) == (250, False)
    for member in range(2):
        account.commit(first := replace(proposal(member, 250), episodes=0))
    assert account.left == 2000 - 500, "nobody is judged: nothing but its training is as good as spent"
    for member in range(2):
        result = Result(proposal=member, fitness=None, cost=Cost(train_units=250), foreseen_units=50 + 20 * member)
        account.charge(replace(first, id=member), result)
    # 1496 left; two members and the final re-evaluation of two are judged for 60 each, and the last time for 70, the costliest.
    assert account.allowance_until_evaluated(2, 3) == (200, False)
    assert account.allowance_until_evaluated(2, 1) == (600, True)
    assert account.allowance_until_evaluated(2, 100) == (10, False), "as many as the quantum allows"


def test_costly_evaluation_means_fewer_proposals_not_shorter_ones() -> None:
    account = Account(Plan(population=2, budget_per_member=1000, interval=100, quantum=10))
    for member in range(2):
        account.commit(first := proposal(member, 100))
        account.charge(first, Result(proposal=member, fitness=0.0, cost=Cost(train_units=100, eval_units=150)))
    # 1496 left. Nine more each would be judged for 2700, four for 1200; three and
    # a final re-evaluation for 1200 leave 296 / 6 in tens.
    assert account.allowance(2, 9) == 140, "two each: 1496 - 900 for four"
    assert account.allowance(2, 1) == 440
