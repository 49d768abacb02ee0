"""Which schedule a replaying method follows."""

import json
from typing import Any

import pytest

from rl_pbt.errors import UserError
from rl_pbt.search.replay import stages_for


def replay_of(*seeds: int) -> dict[str, Any]:
    return {"seeds": {str(seed): {"replay-schedule": [{"units": 1, "hypers": {"h": seed}}]} for seed in seeds}}


def found(replay: dict[str, Any], seed: int) -> object:
    (stage,) = stages_for(replay, "replay-schedule", seed)
    return stage.hypers["h"]


def test_a_seed_has_its_own_schedule_otherwise_those_of_the_source_in_turn() -> None:
    assert found(replay_of(3, 1, 10), 10) == 10
    assert [found(replay_of(3, 1, 10), seed) for seed in (0, 2, 4)] == [1, 10, 3], "sorted as numbers"


def test_a_seed_that_the_source_lacks_gets_the_same_schedule_before_and_after_a_resume() -> None:
    read_back = json.loads(json.dumps(replay_of(3, 1, 10), sort_keys=True))
    for seed in range(12):
        assert found(replay_of(3, 1, 10), seed) == found(read_back, seed)


@pytest.mark.parametrize(("replay", "name"), [({}, "replay-schedule"), (replay_of(0), "replay-random")])
def test_where_there_is_nothing_to_replay_one_line_says_what_to_say(replay: dict[str, Any], name: str) -> None:
    with pytest.raises(UserError, match=f"^{name} needs a finished run .*: say replay:RUN among the methods$"):
        stages_for(replay, name, 0)
