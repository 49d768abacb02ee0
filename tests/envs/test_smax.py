"""SMAX under one player: JaxMARL's own battles, the same whoever plays beside them, and orders that cannot be obeyed."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

pytest.importorskip("jaxmarl", reason="needs the extra starcraft")

from rl_pbt.envs import battles as compiled
from rl_pbt.envs import make_population, make_vector, resolve, smax, watch
from rl_pbt.envs.battles import LANES, STOP

ID, MEMBERS, COPIES = "SMAX/3m-v0", 2, 3
SEEDS = (7, 9_000_000)
UNITS, ORDERS = 6, 8


def orders(steps: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(ORDERS, size=(steps, *shape, 3))


def population(members: int = MEMBERS, copies: int = COPIES):  # type: ignore[no-untyped-def]
    found = make_population(resolve(ID), members, copies)
    assert found is not None
    return found


def units(seen: np.ndarray) -> np.ndarray:
    """[..., units, features]."""
    return seen[..., : UNITS * 10].reshape(*seen.shape[:-1], UNITS, 10)


def allowed(seen: np.ndarray) -> np.ndarray:
    """[..., allies, orders]."""
    return seen[..., UNITS * 10 :].reshape(*seen.shape[:-1], 3, ORDERS)


def test_the_maps_are_those_of_the_package() -> None:
    from jaxmarl.environments.smax.smax_env import MAP_NAME_TO_SCENARIO

    sizes = {name: (scenario.num_allies, scenario.num_enemies) for name, scenario in MAP_NAME_TO_SCENARIO.items()}
    assert sizes == dict(smax.MAPS)


def test_what_it_is_called_says_that_it_is_no_starcraft() -> None:
    assert resolve(ID).options["called"] == "SMAX, StarCraft-like (JaxMARL)"
    for map_name, (allies, enemies) in smax.MAPS.items():
        seen, chosen = smax.spaces_of(map_name)
        assert chosen.nvec.tolist() == [5 + enemies] * allies
        assert seen.shape == ((allies + enemies) * 10 + allies * (5 + enemies),)


def test_battles_are_jaxmarls_own() -> None:
    """Ours against its functions, called one by one: the same key, the same orders, as long as every order can be obeyed."""
    import jax

    game = compiled._smax().HeuristicEnemySMAX(scenario=compiled._smax().map_name_to_scenario("3m"))
    ours = compiled.battles("3m")
    states = ours.opened(ours.begin(np.random.default_rng(3), 1))
    key = jax.random.wrap_key_data(states[:2, 0].astype(np.uint32), impl="threefry2x32")
    _, battle = game.reset(jax.random.fold_in(key, 0))
    step, see = jax.jit(game.step_env), jax.jit(game.get_avail_actions)
    over, earned = False, 0.0
    for number in range(60):
        available = {unit: np.flatnonzero(found) for unit, found in see(battle).items()}
        for unit, row in zip(game.agents, allowed(ours.observe(states))[0], strict=True):
            assert np.flatnonzero(row).tolist() == available[unit].tolist()
        chosen = {unit: int(available[unit][-1]) for unit in game.agents}  # to shoot, where it can
        _, battle, rewards, dones, _ = step(jax.random.fold_in(key, 1 + number), battle, chosen)
        states, paid, over = ours.step(states, np.array([list(chosen.values())]), np.zeros(1, bool))
        found = units(ours.observe(states))[0]
        alive = np.asarray(battle.state.unit_alive)
        np.testing.assert_array_equal(found[:, 0] > 0, alive)
        np.testing.assert_allclose(found[:, 1:3], np.clip(battle.state.unit_positions / 32, 0, 1) * alive[:, None], atol=1e-5)
        np.testing.assert_allclose(paid[0], rewards["ally_0"], atol=1e-5)
        earned += float(paid[0])
        assert bool(over[0]) == bool(dones["__all__"])
        if over[0]:
            break
    assert over and earned > 0


def test_a_battle_is_the_same_alone_in_a_vector_and_in_a_population() -> None:
    """Wherever it lies among the lanes of a call."""
    whole, spec = population(), resolve(ID)
    vectors = [make_vector(spec, COPIES) for _ in SEEDS]
    single = gymnasium.make(ID)
    first = whole.reset(SEEDS)
    np.testing.assert_array_equal(first, [env.reset(seed=seed)[0] for env, seed in zip(vectors, SEEDS, strict=True)])
    np.testing.assert_array_equal(first[1, 2], single.reset(seed=SEEDS[1] + 2)[0])
    ended = 0
    for chosen in orders(130, MEMBERS, COPIES):
        found = whole.step(chosen)
        of_vectors = [env.step(its)[:4] for env, its in zip(vectors, chosen, strict=True)]
        for ours, theirs in zip(found, zip(*of_vectors, strict=True), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        if not ended:
            alone = single.step(chosen[1, 2])[:4]
            for ours, one in zip(found, alone, strict=True):
                np.testing.assert_array_equal(ours[1, 2], np.asarray(one, ours.dtype))
            ended = int(found[2][1, 2] | found[3][1, 2])
    assert ended


def test_the_place_among_many_changes_nothing() -> None:
    """More battles than a call has lanes, in another order, and some of them resting."""
    ours = compiled.battles("3m")
    drawn = np.random.default_rng(0).integers(2**32, size=(2, LANES + 5)).astype(float)
    shuffled = np.random.default_rng(1).permutation(LANES + 5)
    states, moved = ours.opened(drawn), ours.opened(drawn[:, shuffled])
    np.testing.assert_array_equal(states[:, shuffled], moved)
    for chosen in orders(25, LANES + 5):
        stepped = ours.step(states, chosen, np.zeros(LANES + 5, bool))
        other = ours.step(moved, chosen[shuffled], np.zeros(LANES + 5, bool))
        few = ours.step(states[:, 3:6], chosen[3:6], np.zeros(3, bool))
        for all_, mixed, some in zip(stepped, other, few, strict=True):
            np.testing.assert_array_equal(all_[..., shuffled], mixed)
            np.testing.assert_array_equal(all_[..., 3:6], some)
        states, moved = stepped[0], other[0]


def test_what_a_unit_cannot_do_is_to_stop() -> None:
    """To shoot whom it cannot reach is the same as to stop, to the last number."""
    shooting, stopping = population(1, 1), population(1, 1)
    seen = shooting.reset([5])
    stopping.reset([5])
    assert not allowed(seen)[..., STOP + 1 :].any(), "nobody is in range"
    shot = shooting.step(np.full((1, 1, 3), STOP + 1))
    for one, other in zip(shot, stopping.step(np.full((1, 1, 3), STOP)), strict=True):
        np.testing.assert_array_equal(one, other)
    walked = population(1, 1)
    walked.reset([5])
    assert not np.array_equal(walked.step(np.full((1, 1, 3), 1))[0], shot[0])


def test_who_shoots_wins_more_than_who_stands_still() -> None:
    """An order to shoot is obeyed, and a battle that is won pays more than 1."""
    returns = []
    for shoots in (True, False):
        battle = population(1, 16)
        seen, paid = battle.reset([1]), np.zeros((1, 16))
        going = np.ones((1, 16), bool)
        while going.any():
            of_units = np.where(allowed(seen), np.arange(ORDERS), 0).max(-1) if shoots else np.full((1, 16, 3), STOP)
            of_units = np.where(of_units > STOP, of_units, STOP)
            seen, rewards, terminated, truncated = battle.step(of_units)
            paid += np.where(going, rewards, 0)
            going &= ~(terminated | truncated)
        returns.append(paid.mean())
    assert returns[0] > 0.5 > 0.01 > returns[1] >= 0


def test_it_goes_on_where_it_was_left() -> None:
    left, gone_on = population(), population(1)
    left.reset(SEEDS)
    chosen = orders(30, MEMBERS, COPIES)
    for row in chosen[:20]:
        left.step(row)
    state = left.state(1)
    gone_on.reset([77])
    gone_on.resume(0, state)
    for row in chosen[20:]:
        one, other = left.step(row), gone_on.step(row[1:])
        if left.state(1)["ended"].any():
            break
        for theirs, ours in zip(one, other, strict=True):
            np.testing.assert_array_equal(theirs[1:], ours)


def test_a_shorter_limit_and_stacked_observations() -> None:
    env = make_vector(resolve(ID, options={"max_episode_steps": 3, "frame_stack": 2}), 2)
    first = env.reset(seed=0)[0]
    assert first.shape == (2, 2 * (UNITS * 10 + 3 * ORDERS))
    still = np.full((2, 3), STOP)
    assert [bool(env.step(still)[3].all()) for _ in range(3)] == [False, False, True]
    env.close()


def test_a_person_can_watch() -> None:
    watched = watch(resolve(ID))
    watched.reset(4)
    before = watched.picture()
    watched.step(np.array([[1, 1, 1]]))
    after = watched.picture()
    watched.close()
    assert before.shape == (smax.SIDE, smax.SIDE, 3) and not np.array_equal(before, after)
    middle = smax.SIDE // 2
    blue, red = (np.array(colour) for colour in smax.COLOURS)
    assert (before[:, :middle] == blue).all(-1).any() and not (before[:, :middle] == red).all(-1).any()
    assert (before[:, middle:] == red).all(-1).any()


def test_compiled_programs_are_kept_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(compiled.cache_folder()) == "/somewhere/rl_pbt/xla"


@pytest.mark.nightly
@pytest.mark.parametrize("map_name", [name for name in smax.MAPS if name != "3m"])
def test_every_map_plays(map_name: str) -> None:
    env = make_vector(resolve(f"SMAX/{map_name}-v0"), 2)
    env.action_space.seed(0)
    seen = [env.reset(seed=0)[0]]
    rewards = []
    for _ in range(40):
        shown, paid, *_ = env.step(env.action_space.sample())
        seen.append(shown)
        rewards.append(paid)
    assert all(env.observation_space.contains(shown) for shown in seen)
    assert np.isfinite(rewards).all() and not np.array_equal(seen[0], seen[-1])
