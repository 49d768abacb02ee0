"""What every environment keeps, whatever its family and its backend; and that two backends play the same environment."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode

from rl_pbt.envs import FAMILIES, EnvironmentUnavailable, EnvSpec, begin_step, make_vector, resolve

Array = np.ndarray[Any, Any]
Starts = Callable[[Array], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An environment, how far random play must go for episodes to end in it, and what is known of it beforehand.

    `starts`: what is true of first observations and of no later ones. `limit`: agent steps after which every episode that has
    not terminated is truncated.
    """

    family: str
    id: str
    steps: int
    starts: Starts
    limit: int | None = None
    backends: tuple[str, ...] = ("gymnasium",)


def near(low: float, high: float, part: slice = slice(None)) -> Starts:
    return lambda shown: bool(((shown[part] >= low) & (shown[part] <= high)).all())


def first_screen(shown: Array) -> bool:
    """An Atari stack: three black frames and one, or four times the same one."""
    return bool(shown[-1].any()) and all(not frame.any() or np.array_equal(frame, shown[-1]) for frame in shown[:-1])


def new_battle(shown: Array) -> bool:
    """Three units on either side, of full health and with loaded weapons, too far apart to shoot."""
    units, orders = shown[:60].reshape(6, 10), shown[60:].reshape(3, 8)
    return bool((units[:, 0] == 1).all() and not units[:, 3].any() and (orders == [1] * 5 + [0] * 3).all())


BOTH = ("gymnasium", "envpool")
CASES = (
    Case(family="atari", id="ALE/Breakout-v5", steps=500, starts=first_screen, backends=BOTH),
    Case(family="atari", id="ALE/Pacman-v5", steps=900, starts=first_screen),
    Case(family="classic_control", id="CartPole-v1", steps=100, starts=near(-0.05, 0.05), limit=500, backends=BOTH),
    Case(family="classic_control", id="Acrobot-v1", steps=510, starts=near(0.99, 1.0, slice(0, 3, 2)), limit=500, backends=BOTH),
    Case(family="classic_control", id="Pendulum-v1", steps=210, starts=near(-1, 1), limit=200, backends=BOTH),
    Case(family="toy_text", id="FrozenLake-v1", steps=60, starts=near(1, 1, slice(1)), limit=100),
    Case(family="toy_text", id="Blackjack-v1", steps=40, starts=lambda shown: shown.sum() == 3),
    Case(family="box2d", id="LunarLander-v3", steps=250, starts=near(1.3, 1.5, slice(1, 2)), limit=1000, backends=BOTH),
    Case(family="mujoco", id="HalfCheetah-v5", steps=1010, starts=near(-1, 1), limit=1000, backends=BOTH),
    Case(family="mujoco", id="InvertedPendulum-v5", steps=100, starts=near(-0.01, 0.01), limit=1000, backends=BOTH),
    Case(family="minatar", id="MinAtar/Breakout-v1", steps=150, starts=lambda shown: shown[9, :, 0].sum() == 1),
    Case(family="minatar", id="MinAtar/SpaceInvaders-v1", steps=300, starts=lambda shown: shown[9, 5, 0] == 1),
    Case(
        family="minigrid",
        id="MiniGrid-DoorKey-5x5-v0",
        steps=260,
        starts=lambda shown: (shown[..., :11].sum(-1) == 1).all(),
        limit=250,
        backends=BOTH,
    ),
    Case(family="vizdoom", id="VizdoomBasic-v1", steps=180, starts=lambda shown: bool(shown.any()), limit=75),
    Case(family="smax", id="SMAX/3m-v0", steps=250, starts=new_battle, limit=100),
    Case(family="probe", id="probe/Truncation", steps=30, starts=near(0, 0), limit=10),
)
EACH = [pytest.param(case, backend, id=f"{case.id}-{backend}") for case in CASES for backend in case.backends]
each = pytest.mark.parametrize(("case", "backend"), EACH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What random actions met: observations [T + 1] of [B, ...], each also as it was when returned; the rest [T, B]."""

    actions: Array
    observations: list[Array]
    when_returned: list[Array]
    rewards: Array
    terminated: Array
    truncated: Array

    @property
    def after_ends(self) -> Array:
        """Steps after an end, which reset, [T, B]."""
        resets: Array = np.zeros_like(self.terminated)
        resets[1:] = (self.terminated | self.truncated)[:-1]
        return resets

    def same_as(self, other: "Play") -> bool:
        return (
            all(np.array_equal(a, b) for a, b in zip(self.observations, other.observations, strict=True))
            and np.array_equal(self.rewards, other.rewards)
            and np.array_equal(self.terminated, other.terminated)
            and np.array_equal(self.truncated, other.truncated)
        )


def playing(env: Any, actions: Array, seed: int) -> Play:
    observations = [env.reset(seed=seed)[0]]
    when_returned = [observations[0].copy()]
    rows = []
    for row in actions:
        observation, *row = env.step(row)
        observations.append(observation)
        when_returned.append(observation.copy())
        rows.append([column.copy() for column in row[:3]])
    rewards, terminated, truncated = (np.array(column) for column in zip(*rows, strict=True))
    return Play(
        actions=actions,
        observations=observations,
        when_returned=when_returned,
        rewards=rewards,
        terminated=terminated,
        truncated=truncated,
    )


def play(spec: EnvSpec, actions: Array, seed: int) -> Play:
    env = make_vector(spec, actions.shape[1])
    try:
        return playing(env, actions, seed)
    finally:
        env.close()


def random_actions(spec: EnvSpec, steps: int, num_envs: int) -> Array:
    env = make_vector(spec, num_envs)
    env.action_space.seed(0)
    actions = np.array([env.action_space.sample() for _ in range(steps)])
    env.close()
    return actions


@cache
def outcome(id_: str, backend: str) -> EnvSpec | str:
    try:
        return resolve(id_, backend=backend)
    except EnvironmentUnavailable as error:
        return str(error)


def spec_or_skip(id_: str, backend: str) -> EnvSpec:
    found = outcome(id_, backend)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@cache
def long_play(id_: str, backend: str, steps: int) -> Play:
    """Two copies, seed 7, long enough for episodes to end."""
    spec = spec_or_skip(id_, backend)
    return play(spec, random_actions(spec, steps, 2), 7)


def test_every_family_that_installs_has_a_case() -> None:
    assert {case.family for case in CASES} == set(FAMILIES) - {"dmlab", "starcraft2", "gymnasium"}


@each
def test_observations_lie_in_a_box_and_are_the_callers(case: Case, backend: str) -> None:
    spec = spec_or_skip(case.id, backend)
    assert spec.family == case.family and spec.backend == backend
    env = make_vector(spec, 2)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert isinstance(env.single_observation_space, Box) and env.observation_space.shape[0] == env.num_envs == 2
    env.close()
    done = long_play(case.id, backend, case.steps)
    assert all(env.observation_space.contains(shown) for shown in done.observations)
    assert all(np.array_equal(shown, copy) for shown, copy in zip(done.observations, done.when_returned, strict=True))


@each
def test_the_step_after_an_end_pays_nothing_and_shows_a_first_observation(case: Case, backend: str) -> None:
    done = long_play(case.id, backend, case.steps)
    resets = done.after_ends
    assert resets.any(), "play on for longer"
    assert not done.rewards[resets].any() and not done.terminated[resets].any() and not done.truncated[resets].any()
    firsts = [shown for step, row in enumerate(resets) for shown in done.observations[step + 1][row]]
    assert all(case.starts(shown) for shown in [*done.observations[0], *firsts])


@each
def test_the_step_after_an_end_ignores_its_action(case: Case, backend: str) -> None:
    done = long_play(case.id, backend, case.steps)
    changed = done.actions.copy()
    resets = done.after_ends
    changed[resets] = done.actions.max() - changed[resets] if changed.ndim == 2 else -changed[resets]
    assert not np.array_equal(changed, done.actions)
    assert play(spec_or_skip(case.id, backend), changed, 7).same_as(done)


@each
def test_time_limits_truncate_and_other_ends_terminate(case: Case, backend: str) -> None:
    done = long_play(case.id, backend, case.steps)
    assert not (done.terminated & done.truncated).any()
    length = np.zeros(2, int)
    for terminated, truncated, reset in zip(done.terminated, done.truncated, done.after_ends, strict=True):
        length = np.where(reset, 0, length + 1)
        assert not truncated.any() or set(length[truncated]) == {case.limit}
        assert case.limit is None or not terminated.any() or (length[terminated] <= case.limit).all()
        assert case.limit is None or (truncated[length == case.limit] | terminated[length == case.limit]).all()


@each
def test_a_seed_fixes_everything_and_another_seed_changes_it(case: Case, backend: str) -> None:
    spec = spec_or_skip(case.id, backend)
    actions = long_play(case.id, backend, case.steps).actions[:60]
    first, again, other = (play(spec, actions, seed) for seed in (3, 3, 4))
    assert first.same_as(again)
    if case.family != "probe":
        assert not first.same_as(other)


@each
def test_copies_are_independent_and_reusable_as_the_spec_says(case: Case, backend: str) -> None:
    spec = spec_or_skip(case.id, backend)
    actions = long_play(case.id, backend, case.steps).actions
    alone = play(spec, actions[:, 1:], 8)
    together = long_play(case.id, backend, case.steps)
    second = [shown[1:] for shown in together.observations]
    alike = all(np.array_equal(a, b) for a, b in zip(alone.observations, second, strict=True))
    assert alike or not spec.copies_are_independent
    if spec.reusable:
        env = make_vector(spec, 2)
        playing(env, actions[30:60], 1)
        assert playing(env, actions[:60], 3).same_as(play(spec, actions[:60], 3))
        env.close()


def test_a_seeded_reset_leaves_a_trace_in_minatar() -> None:
    """Why its environments are made for each interval; if this fails, the package has changed and they can be reused."""
    pytest.importorskip("minatar")
    spec = resolve("MinAtar/Breakout-v1", options={"sticky_action_prob": 0.5})
    assert not spec.reusable
    actions, differs = np.zeros((1, 1), int), []
    for seed in range(8):
        env = make_vector(spec, 1)
        playing(env, np.ones((5, 1), int), seed=99)
        differs.append(not playing(env, actions, seed).same_as(play(spec, actions, seed)))
        env.close()
    assert any(differs) and not all(differs), "the first step repeats the action that the episode before ended with, or does not"


class BesideAnother:
    """An environment that is stepped while another one is: begun after it, waited for before it."""

    def __init__(self, spec: EnvSpec, num_envs: int) -> None:
        self.other, self.env = (make_vector(spec, num_envs) for _ in range(2))

    def reset(self, *, seed: int) -> Any:
        self.other.reset(seed=seed + 50)
        return self.env.reset(seed=seed)

    def step(self, actions: Array) -> Any:
        wait_for_other, wait = (begin_step(env, actions) for env in (self.other, self.env))
        step = wait()
        wait_for_other()
        return step

    def close(self) -> None:
        self.other.close()
        self.env.close()


@each
def test_steps_that_are_begun_together_are_the_same_steps(case: Case, backend: str) -> None:
    spec = spec_or_skip(case.id, backend)
    actions = long_play(case.id, backend, case.steps).actions[:60]
    beside = BesideAnother(spec, 2)
    assert playing(beside, actions, 3).same_as(play(spec, actions, 3))
    beside.close()


@pytest.mark.parametrize("backend", BOTH)
def test_rewards_are_true_scores(backend: str) -> None:
    """Invaders are worth 5 to 30 points."""
    done = long_play("ALE/SpaceInvaders-v5", backend, 120)
    paid = done.rewards[done.rewards > 0]
    assert paid.size and (paid >= 5).all() and (paid % 5 == 0).all()


def episodes(spec: EnvSpec, num_envs: int) -> tuple[Array, Array]:
    """Returns and lengths of the first whole episode of each copy under random actions."""
    env = make_vector(spec, num_envs, threads=2)
    env.action_space.seed(1)
    env.reset(seed=11)
    going = np.ones(num_envs, bool)
    returns, lengths = np.zeros(num_envs), np.zeros(num_envs)
    while going.any():
        _, rewards, terminated, truncated, _ = env.step(env.action_space.sample())
        returns += np.where(going, rewards, 0)
        lengths += going
        going &= ~(terminated | truncated)
    env.close()
    return returns, lengths


def interval(values: Array) -> tuple[float, float]:
    """About 99 % for the mean."""
    mean, error = values.mean(), 2.6 * values.std() / np.sqrt(len(values))
    return mean - error - 1e-6, mean + error + 1e-6


@pytest.mark.parametrize(
    ("id_", "num_episodes"),
    [
        ("ALE/Breakout-v5", 12),
        ("CartPole-v1", 256),
        ("Pendulum-v1", 64),
        ("LunarLander-v3", 64),
        ("HalfCheetah-v5", 8),
        ("InvertedPendulum-v5", 128),
        ("MiniGrid-DoorKey-5x5-v0", 64),
    ],
)
def test_backends_play_the_same_environment(id_: str, num_episodes: int) -> None:
    ours, other = (spec_or_skip(id_, backend) for backend in BOTH)
    spaces = []
    for spec in (ours, other):
        env = make_vector(spec, 1)
        spaces.append((env.single_observation_space.shape, env.single_observation_space.dtype, env.single_action_space))
        env.close()
    assert spaces[0] == spaces[1]
    assert (ours.frame_skip, ours.max_episode_frames) == (other.frame_skip, other.max_episode_frames)
    for one, two in zip(episodes(ours, num_episodes), episodes(other, num_episodes), strict=True):
        (low, high), (other_low, other_high) = interval(one), interval(two)
        assert low <= other_high and other_low <= high, f"{low:.4g} to {high:.4g} against {other_low:.4g} to {other_high:.4g}"
