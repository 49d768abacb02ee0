"""What agents on environments are called."""

from rl_pbt.tasks.on_environments.words import named


def test_an_environment_is_called_what_it_is() -> None:
    options = {"called": "SMAX, StarCraft-like (JaxMARL)"}
    assert named("SMAX/3m-v0", options) == "SMAX/3m-v0: SMAX, StarCraft-like (JaxMARL)"
    assert named("CartPole-v1", {}) == "CartPole-v1"
    assert named("CartPole-v1", {}, "a=1", "b=2") == "CartPole-v1 (a=1, b=2)"
