"""Atari: every option said, exact NEXT_STEP resets in the pooled environment, and the ghosts of Pacman."""

import inspect
import json
from typing import Any

import ale_py
import numpy as np
import pytest
from ale_py.vector_env import AtariVectorEnv

from rl_pbt.envs import atari, emulators, make_vector, resolve
from rl_pbt.envs.shrinking import block_means

Array = np.ndarray[Any, Any]


def quiet(**changes: Any) -> dict[str, Any]:
    """Pacman's options without randomness, so that one can say what must be seen."""
    return atari.options_of("pacman") | {"repeat_action_probability": 0.0, "noop_max": 0} | changes


@pytest.mark.parametrize("game", ["pacman", "breakout"])
def test_every_option_of_ale_py_is_set_and_recorded(game: str) -> None:
    known = set(inspect.signature(AtariVectorEnv.__init__).parameters) - {"self", "num_envs", "num_threads"}
    options = atari.options_of(game)
    assert set(options) - {"pooled_block"} == known
    assert json.loads(json.dumps(options)) == options
    assert options["repeat_action_probability"] == 0.25 and options["max_num_frames_per_episode"] == 18_000
    assert not (options["reward_clipping"] or options["episodic_life"] or options["use_fire_reset"])


@pytest.mark.parametrize("name", ["Pacman", "Breakout"])
def test_same_seed_same_everything_other_seed_other(name: str) -> None:
    def play(seed: int) -> list[Array]:
        env = make_vector(resolve(name), 3)
        actions = np.random.default_rng(0).integers(0, 4, (60, 3))
        seen = [env.reset(seed=seed)[0]]
        for row in actions:
            seen += env.step(row)[:4]
        env.close()
        return seen

    first, second, other = play(1), play(1), play(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


class Emulator:
    """Pacman played in ale_py's emulator itself, without this project's code."""

    def __init__(self, seed: int = 0, sticky: float = 0.0) -> None:
        self.ale = ale_py.ALEInterface()
        self.ale.setInt("random_seed", seed)
        self.ale.setFloat("repeat_action_probability", sticky)
        self.ale.loadROM(ale_py.roms.get_rom_path("pacman"))
        self.ale.reset_game()
        self.actions = self.ale.getMinimalActionSet()

    def frames(self, action: int, count: int = 4) -> list[Array]:
        """What is seen, in grey, while one action is taken for so many frames."""
        seen = []
        for _ in range(count):
            self.ale.act(self.actions[action])
            seen.append(self.ale.getScreenGrayscale())
        return seen


@pytest.mark.parametrize("cap", [397, 398, 400])
def test_pooled_episodes_are_the_emulators_frame_by_frame_and_end_on_any_of_them(cap: int) -> None:
    env = atari.make(quiet(max_num_frames_per_episode=cap), 2, 1)
    actions = np.random.default_rng(0).integers(0, 5, 100)
    for episode in range(3):
        emulator = Emulator()
        if episode == 0:
            shown, _ = env.reset(seed=0)
        else:  # the step after the end ignores its action, and shows the very first frame
            shown, reward, terminated, truncated, _ = env.step(np.full(2, 2))
            assert not (reward.any() or terminated.any() or truncated.any())
        stack = [np.zeros((83, 80), np.uint8)] * 3 + [block_means(emulator.ale.getScreenGrayscale(), (3, 2))]
        assert all(np.array_equal(one, np.stack(stack)) for one in shown)
        for step, action in enumerate(actions, 1):
            left = min(4, cap - 4 * (step - 1))
            stack = [*stack[1:], block_means(np.maximum.reduce(emulator.frames(action, left)), (3, 2))]
            shown, _, terminated, truncated, _ = env.step(np.full(2, action))
            assert all(np.array_equal(one, np.stack(stack)) for one in shown)
            assert not terminated.any() and (truncated == (step == 100)).all()
    env.close()


def test_a_pooled_reset_forgets_the_past() -> None:
    def play(env: Any) -> list[Array]:
        actions = np.random.default_rng(0).integers(0, 5, (80, 2))
        return [env.reset(seed=3)[0], *(env.step(row)[0] for row in actions)]

    fresh, used = atari.make(atari.options_of("pacman"), 2, 1), atari.make(atari.options_of("pacman"), 2, 1)
    used.reset(seed=8)
    for row in np.random.default_rng(1).integers(0, 5, (237, 2)):
        used.step(row)
    assert all(np.array_equal(a, b) for a, b in zip(play(fresh), play(used), strict=True))


def test_in_each_frame_the_action_of_the_frame_before_is_taken_again_with_probability_a_quarter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Machado 2018, Section 5.2: ours are drawn here, not in the emulator."""
    taken: list[Any] = []

    class Recorder(ale_py.ALEInterface):
        def act(self, action: Any, paddle_strength: float = 1.0) -> int:
            taken.append(action)
            return int(super().act(action, paddle_strength))

    monkeypatch.setattr(emulators, "ALEInterface", Recorder)
    env = atari.make(quiet(repeat_action_probability=0.25), 1, 1)
    actions = Emulator().actions
    changes = []
    for seed in range(4):
        taken.clear()
        env.reset(seed=seed)
        wanted = []
        for action in np.random.default_rng(seed).integers(0, 5, 150):
            assert not env.step(np.array([action]))[2].any()
            wanted += [actions[action]] * 4
        assert len(taken) == len(wanted)
        for wants, was, takes in zip(wanted, [actions[emulators.NOOP], *taken], taken, strict=False):
            assert takes in (wants, was)
            if wants != was:
                changes.append(takes == was)
    assert len(changes) > 400 and abs(np.mean(changes) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(changes))


@pytest.mark.parametrize("name", ["Pacman", "Breakout", "CartPole-v1"])
def test_what_was_returned_is_not_written_to_again(name: str) -> None:
    env = make_vector(resolve(name), 2)
    kept = [env.reset(seed=0)[0]]
    copies = [kept[0].copy()]
    for _ in range(40):
        kept.append(env.step(env.action_space.sample())[0])
        copies.append(kept[-1].copy())
    env.close()
    assert all(np.array_equal(a, b) for a, b in zip(kept, copies, strict=True))


def test_sticky_actions_are_effective_and_rewards_are_not_clipped() -> None:
    def play(**changes: Any) -> tuple[Array, float]:
        env = atari.make(quiet(**changes), 4, 2)
        env.reset(seed=0)
        actions, best = np.random.default_rng(1).integers(0, 5, (150, 4)), 0.0
        for row in actions:
            shown, reward, *_ = env.step(row)
            best = max(best, float(reward.max()))
        env.close()
        return shown, best

    plain, sticky = play(), play(repeat_action_probability=0.25)
    assert not np.array_equal(plain[0], sticky[0])
    unclipped, clipped = play(reward_clipping=False)[1], play(reward_clipping=True)[1]
    assert unclipped >= clipped > 0


def area(frame: Array) -> Array:
    """Pacman's screen in blocks of 3 x 2 pixels: their means, not rounded."""
    means: Array = frame[:249].reshape(83, 3, 80, 2).mean((1, 3))
    return means


def test_block_means_are_means_of_whole_blocks_rounded_down() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (250, 160), dtype=np.uint8)
    shrunk = block_means(frame, (3, 2))
    assert shrunk.dtype == np.uint8 and shrunk.shape == (83, 80)
    assert np.array_equal(shrunk, np.floor(area(frame.astype(float)) + 1e-9))
    assert (block_means(np.full((250, 160, 3), 255, np.uint8), (3, 2)) == np.full((83, 80, 3), 255)).all()


GHOST = 110  # the ghosts' colour in the emulator's palette


def ghosts(raw: list[Array], grey: list[Array], observations: list[Array]) -> list[list[bool]]:
    """For each raw frame with a ghost of its own, apart from those of the other frames: which observations show it.

    An observation shows it where the ghost's brightest spot, shrunk, is nearer to the ghost than to what is behind it.
    """
    behind = area(np.minimum.reduce(grey).astype(float))
    rows = []
    for frame, shade in zip(raw, grey, strict=True):
        own = (frame == GHOST) & (np.sum([other == GHOST for other in raw], axis=0) == 1)
        extra = np.where(area(own.astype(float)) > 0.9, area(shade.astype(float)) - behind, 0.0)
        if own.sum() >= 30 and extra.max() > 5:
            spot = np.unravel_index(np.argmax(extra), extra.shape)
            rows.append([bool(shown[spot] - behind[spot] > 0.5 * extra[spot]) for shown in observations])
    return rows


def watch(seed: int) -> list[list[bool]]:
    """Random play in the emulator itself, and side by side in the pooled and the plain environment."""
    raw_game = Emulator(seed).ale
    pooled = atari.make(quiet(), 1, 1)
    plain = atari.make(quiet(pooled_block=None, frameskip=4), 1, 1)
    pooled.reset(seed=seed)
    plain.reset(seed=seed)
    actions = raw_game.getMinimalActionSet()
    found = []
    for step, action in enumerate(np.random.default_rng(seed).integers(0, 5, 120)):
        raw, grey = [], []
        for _ in range(4):
            raw_game.act(actions[action])
            raw.append(raw_game.getScreen().copy())
            grey.append(raw_game.getScreenGrayscale())
        shown = [env.step(np.array([action]))[0][0, -1].astype(float) for env in (pooled, plain)]
        shown[1] = area(shown[1])
        if step >= 40:  # before that the ghosts sit in their house, one upon the other
            found += ghosts(raw, grey, shown)
    pooled.close()
    plain.close()
    return found


def test_pooled_frames_show_every_ghost_and_plain_ones_do_not() -> None:
    """In some games the ghosts sit in their house, one upon the other, nearly all the time: judge five games together."""
    found = [row for seed in range(5) for row in watch(seed)]
    in_pooled, in_plain = np.mean(found, axis=0)
    assert len(found) > 150
    assert in_pooled > 0.97
    assert in_plain < 0.7, "if plain frame skip shows them too, the pooling can go"
