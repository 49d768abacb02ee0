"""Atari: every option said, exact NEXT_STEP resets in the pooled environment, and the ghosts of Pacman."""

import inspect
import json
from typing import Any

import ale_py
import numpy as np
import pytest
from ale_py.vector_env import AtariVectorEnv

from envs import atari, make_vector, resolve

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


@pytest.mark.parametrize("cap", [398, 400])
def test_pooled_episodes_end_on_either_inner_step_and_the_next_begins_with_noops(cap: int) -> None:
    """An episode of 398 frames ends after the first inner step of its last agent step, one of 400 after the second."""
    options = quiet(max_num_frames_per_episode=cap)
    inner = AtariVectorEnv(
        num_envs=2, num_threads=1, **{name: value for name, value in options.items() if name != "pooled_block"}
    )
    frames = [inner.reset(seed=0)[0][:, 0], *(inner.step(np.full(2, atari.NOOP))[0][:, 0] for _ in range(2))]
    inner.close()
    env = atari.make(options, 2, 1)
    first, _ = env.reset(seed=0)
    assert (first[:, :3] == 0).all() and np.array_equal(first[:, 3], atari.block_means(frames[0], (3, 2)))
    left = cap  # of the episode's frames
    for _ in range(3):
        last = -(-left // 4)
        for step in range(1, last + 1):
            shown, _, terminated, truncated, _ = env.step(np.zeros(2, np.int64))
            assert not terminated.any() and (truncated == (step == last)).all()
        assert shown[:, :3].any(), "the true last observation, not that of the reset"
        idled = 2 if left % 4 == 0 else 4
        shown, reward, terminated, truncated, _ = env.step(np.full(2, 2))
        assert not (reward.any() or terminated.any() or truncated.any())
        begun = np.maximum(*frames[idled // 2 - 1 : idled // 2 + 1])
        assert (shown[:, :3] == 0).all() and np.array_equal(shown[:, 3], atari.block_means(begun, (3, 2)))
        left = cap - idled
    env.close()


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
    frames = np.random.default_rng(0).integers(0, 256, (2, 250, 160), dtype=np.uint8)
    shrunk = atari.block_means(frames, (3, 2))
    assert shrunk.dtype == np.uint8 and shrunk.shape == (2, 83, 80)
    assert all(np.array_equal(one, np.floor(area(frame.astype(float)) + 1e-9)) for one, frame in zip(shrunk, frames, strict=True))
    assert (atari.block_means(np.full((1, 250, 160), 255, np.uint8), (3, 2)) == 255).all()


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
    raw_game = ale_py.ALEInterface()
    raw_game.setInt("random_seed", seed)
    raw_game.setFloat("repeat_action_probability", 0.0)
    raw_game.loadROM(ale_py.roms.get_rom_path("pacman"))
    raw_game.reset_game()
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
