"""What is replayed of a finished run."""

import json

from rl_pbt.schedule import stages_for


def test_a_seed_that_the_source_lacks_gets_the_same_schedule_before_and_after_a_resume() -> None:
    replay = {"seeds": {str(seed): {"replay-schedule": [{"frames": 1, "hypers": {"h": seed}}]} for seed in (3, 1, 10)}}
    read_back = json.loads(json.dumps(replay, sort_keys=True))
    for seed in range(12):
        assert stages_for(replay, seed) == stages_for(read_back, seed)
    assert stages_for(replay, 10)["replay-schedule"][0]["hypers"]["h"] == 10
    assert [stages_for(replay, seed)["replay-schedule"][0]["hypers"]["h"] for seed in (0, 2, 4)] == [1, 10, 3]
    assert stages_for({}, 0) == {}
