"""The environments that XLA compiles are those that everybody knows, and what is compiled learns."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

pytest.importorskip("jax", reason="needs the extra jax")

from benchmarks.jax_games import GAMES, Wall, jax_modules
from benchmarks.jax_population import SETTINGS, Setting, page, run_jax
from benchmarks.measuring import alone


def test_a_pole_moves_as_in_gymnasium() -> None:
    jax, _ = jax_modules()
    game, env = GAMES["CartPole-v1"](), gymnasium.make("CartPole-v1").unwrapped
    step, key = jax.jit(game.step), jax.random.key(0)
    rng = np.random.default_rng(0)
    ends = 0
    env.reset(seed=0)
    for _ in range(500):
        pole = type(game.begin(key))(*(np.float32(value) for value in env.state))
        action = int(rng.integers(2))
        seen, reward, terminated, *_ = env.step(action)
        moved, paid, fell = step(pole, action, key)
        np.testing.assert_allclose(np.asarray(game.observe(moved)), seen, atol=1e-5)
        assert float(paid) == reward and bool(fell) == terminated
        if terminated:
            ends += 1
            env.reset()
    assert ends > 5


def test_a_ball_moves_as_in_minatar() -> None:
    minatar = pytest.importorskip("minatar")
    jax, jnp = jax_modules()
    game, env = GAMES["MinAtar/Breakout-v1"](), minatar.Environment("breakout", sticky_action_prob=0.0)
    step, rng = jax.jit(game.step), np.random.default_rng(0)
    never = jax.random.key(0)  # draws no sticky action: the last one is the same anyway
    env.seed(0)
    inner, ends, bricks = env.env, 0, 0
    for _ in range(3000):
        headings = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
        # Follow the ball most of the time, or no brick is ever hit.
        action = (
            int(rng.integers(3))
            if rng.random() < 0.2
            else 1
            if inner.ball_x < inner.pos
            else 2
            if inner.ball_x > inner.pos
            else 0
        )
        wall = Wall(
            jnp.array([inner.ball_x, inner.ball_y]),
            jnp.array(headings[inner.ball_dir]),
            jnp.int32(inner.pos),
            jnp.array(inner.brick_map, bool),
            jnp.bool_(inner.strike),
            jnp.array([inner.last_x, inner.last_y]),
            jnp.int32(action),
        )
        np.testing.assert_array_equal(np.asarray(game.observe(wall)), env.state())
        reward, terminal = env.act((0, 1, 3)[action])
        moved, paid, lost = step(wall, action, never)
        assert float(paid) == reward and bool(lost) == terminal
        bricks += int(reward)
        if terminal:
            ends += 1
            env.reset()
        else:
            np.testing.assert_array_equal(np.asarray(game.observe(moved)), env.state())
            assert tuple(np.asarray(moved.heading)) == headings[inner.ball_dir] and bool(moved.hit) == inner.strike
    assert ends > 5 and bricks > 60, "so the wall was built again"


def test_what_is_compiled_learns() -> None:
    setting = Setting(env="CartPole-v1", members=2, copies=16, unroll=8, updates=150)
    found = alone(run_jax, setting)  # which holds its process to one core
    assert found["rate"] > 0 and found["return"] > 60, "a random policy has 22"


def test_the_page_shows_both_and_their_ratio() -> None:
    spread = {"median": 1.0, "min": 0.5, "max": 2.0}
    entry = {"setting": {"members": 1, "copies": 2, "unroll": 3}, "compile_s": 4.0, "returns": {"ours": 5.0, "xla": 6.0}}
    text = page({SETTINGS[0].env: {**entry, "ours": spread, "xla": spread, "ratios": spread}})
    assert "1 x 2 x 3" in text and "1.00 (0.50 to 2.00)" in text and "5.0, 6.0" in text
