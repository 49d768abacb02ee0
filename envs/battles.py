"""Battles of SMAX as dynamics on arrays: JaxMARL's own functions, compiled once per process, with many battles per call.

A state is a column of numbers: the two words of the random key with which the battle began, the source of all its randomness; the
state that JaxMARL keeps; and the observation. JaxMARL works in 32 bits, so a column in 64 bits holds everything exactly.
"""

from __future__ import annotations

import functools
import importlib
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np

from rl_pbt.envs.aliases import Array
from rl_pbt.envs.population import Dynamics, Moved

STOP = 4  # the order to stand still, which any unit can obey at any time
KEY = 2  # words of a random key
UNIT_FEATURES = 10  # health, place on the map (2), cooldown, type (6)
LONGEST_COOLDOWN = 2.0  # seconds: a stalker's, plus the most that chance adds to it
LANES = 16  # battles in one compiled call; fewer are padded to that, so that one program serves any number
CACHE_VARIABLE = "JAX_COMPILATION_CACHE_DIR"


@final
class Battles(Dynamics):
    """The battles of one map. JAX is loaded, and the program compiled, when the first battle begins."""

    def __init__(self, map_name: str) -> None:
        self._map_name = map_name

    @functools.cached_property
    def _program(self) -> Program:
        return Program(self._map_name)

    def begin(self, generator: np.random.Generator, copies: int) -> Array:
        return generator.integers(2**32, size=(KEY, 1), dtype=np.uint32).astype(np.float64)

    def opened(self, drawn: Array) -> Array:
        return np.concatenate((drawn, _called(self._program.begin, _keys(drawn))))

    def step(self, states: Array, actions: Array, first: Array) -> Moved:
        kept = states[KEY : KEY + self._program.kept].T.astype(np.float32)
        found = _called(self._program.step, _keys(states), kept, actions.astype(np.int32))
        return np.concatenate((states[:KEY], found[:-2])), found[-2], found[-1] != 0

    def observe(self, states: Array) -> Array:
        return states[KEY + self._program.kept :].T.astype(np.float32)


def _called(program: Callable[..., Any], *arguments: Array) -> Array:
    """A program's results for N battles, from arguments [N, ...], as columns [S, N]."""
    number = len(arguments[0])
    lanes = np.arange(-(-number // LANES) * LANES) % number
    blocks = [lanes[start : start + LANES] for start in range(0, len(lanes), LANES)]
    found = [np.asarray(program(*(argument[block] for argument in arguments))) for block in blocks]
    return np.concatenate(found)[:number].T.astype(np.float64)


def _keys(states: Array) -> Array:
    return states[:KEY].T.astype(np.uint32)


@functools.cache
def battles(map_name: str) -> Battles:
    """The battles of a map, one object for the whole process, since compiling takes seconds."""
    return Battles(map_name)


@final
class Program:
    """Two compiled functions for LANES battles, which return one row of numbers for each.

    `begin` takes keys; its rows are the `kept` numbers of JaxMARL's state and the observation. `step` takes keys, kept numbers
    and orders; its rows also end with the reward and whether the battle is over.
    """

    def __init__(self, map_name: str) -> None:
        self._jax, self._jnp = _jax()
        smax = _smax()
        self._game = smax.HeuristicEnemySMAX(scenario=smax.map_name_to_scenario(map_name))
        example = self._jax.eval_shape(self._game.reset, self._jax.random.key(0))[1]
        self._leaves, self._tree = self._jax.tree.flatten(example)
        self.kept = sum(leaf.size for leaf in self._leaves)
        self.begin = self._compiled(self._begun)
        self.step = self._compiled(self._stepped)

    def _compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        options = {"xla_cpu_multi_thread_eigen": False}
        compiled = self._jax.jit(self._jax.vmap(function), compiler_options=options)
        processor = self._jax.devices("cpu")[0]

        def on_the_processor(*arguments: Any) -> Any:
            with self._jax.default_device(processor):  # even if other code has set JAX up for another device
                return compiled(*arguments)

        return on_the_processor

    def _begun(self, key: Any) -> Any:
        _, battle = self._game.reset(self._jax.random.fold_in(self._random(key), 0))
        return self._jnp.concatenate((self._packed(battle), self._seen(battle)))

    def _stepped(self, key: Any, kept: Any, orders: Any) -> Any:
        battle = self._unpacked(kept)
        available = self._available(battle)
        orders = self._jnp.where(available[self._jnp.arange(len(orders)), orders] > 0, orders, STOP)
        key = self._jax.random.fold_in(self._random(key), 1 + battle.state.step)
        chosen = dict(zip(self._game.agents, orders, strict=True))
        _, battle, rewards, _, _ = self._game.step_env(key, battle, chosen)
        reward = rewards[self._game.agents[0]]  # the same for all units of a side
        alive, allies = battle.state.unit_alive, self._game.num_allies
        over = ~alive[:allies].any() | ~alive[allies:].any()
        last = self._jnp.stack((reward, over.astype(self._jnp.float32)))
        return self._jnp.concatenate((self._packed(battle), self._seen(battle), last))

    def _random(self, words: Any) -> Any:
        return self._jax.random.wrap_key_data(words, impl="threefry2x32")

    def _available(self, battle: Any) -> Any:
        """[allies, orders]: 1 where a unit can obey the order."""
        of_unit = self._game.get_avail_actions(battle)
        return self._jnp.stack([of_unit[unit] for unit in self._game.agents])

    def _seen(self, battle: Any) -> Any:
        """The features of every unit, allies first, scaled to 0 to 1, or zeros if it is dead; then which orders can be obeyed."""
        game, jnp = self._game, self._jnp
        units = game.num_allies + game.num_enemies
        features = game.get_world_state(battle)[: units * UNIT_FEATURES].reshape(units, UNIT_FEATURES)
        scales = jnp.array([1.0, game.map_width, game.map_height, LONGEST_COOLDOWN] + [1.0] * (UNIT_FEATURES - 4))
        scaled = jnp.clip(features / scales, 0.0, 1.0)
        return jnp.concatenate((scaled.ravel(), self._available(battle).ravel().astype(jnp.float32)))

    def _packed(self, battle: Any) -> Any:
        return self._jnp.concatenate([leaf.ravel().astype(self._jnp.float32) for leaf in self._jax.tree.leaves(battle)])

    def _unpacked(self, kept: Any) -> Any:
        parts, start = [], 0
        for leaf in self._leaves:
            parts.append(kept[start : start + leaf.size].reshape(leaf.shape).astype(leaf.dtype))
            start += leaf.size
        return self._jax.tree.unflatten(self._tree, parts)


def _jax() -> tuple[Any, Any]:
    """`jax` and `jax.numpy`, set up for small programs on a CPU, unless this process has already imported JAX."""
    known = "jax" in sys.modules
    jax, numpy = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    if not known:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_cpu_enable_async_dispatch", False)  # no extra thread
        if CACHE_VARIABLE not in os.environ:
            jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    return jax, numpy


def cache_folder() -> Path:
    """Where compiled programs are kept from process to process: the user's own cache, never a run's folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rl_pbt" / "xla"


def _smax() -> Any:
    """The module. Importing JaxMARL imports all of its games, prints what it does not find, and resets the standard streams to
    those that Python began with. What it prints is dropped, and the streams are restored.
    """
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr", "__stdout__", "__stderr__")}
    try:
        for name in streams:
            setattr(sys, name, io.StringIO())
        return importlib.import_module("jaxmarl.environments.smax")
    finally:
        for name, stream in streams.items():
            setattr(sys, name, stream)
