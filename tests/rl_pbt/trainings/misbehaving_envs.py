"""Environments that misbehave, one class, by its keyword arguments; importing this registers one id for each way.

`misbehaving_envs:Bad/nan_reward-v0` misbehaves about once in 1,000 steps, drawn from its own seed. With `only`, a range of seeds,
it does so in those copies alone, in their step number `at`; with `action` only where that action is chosen.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

EPISODE = 10
RATE = 1 / 1000
happened: set[str] = set()  # the ways that misbehave once in a process


class Unspeakable(RuntimeError):
    """Fails when it is asked what went wrong."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Misbehaving(gymnasium.Env[Any, Any]):
    """Ten steps an episode; shows two random numbers and pays 1 for action 1."""

    observation_space: Any = Box(-1, 1, (2,), np.float32)
    action_space: Any = Discrete(2)

    def __init__(
        self, how: str, only: tuple[int, int] | None = None, at: int = 5, action: int | None = None, rate: float = RATE
    ) -> None:
        self.how, self.only, self.at, self.action, self.rate = how, only, at, action, rate
        self.steps = self.made = 0
        self.seed: int | None = None
        if how == "raise_in_constructor":
            raise RuntimeError("no licence for this machine")
        if how == "raise_in_constructor_once" and how not in happened:
            happened.add(how)
            raise RuntimeError("no licence at the moment")

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self.seed, self.made = seed, 0
        self.steps = 0
        if self.how == "chdir":
            os.chdir(tempfile.gettempdir())
        if self.how == "infos":
            return self.shown(), {"path": np.zeros(self.made % 5), "winner": None}
        if self.how in RESETS and self.due(reset=True):
            return RESETS[self.how](self)
        return self.shown(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.made += 1
        if self.how in STEPS and self.due(action=action):
            return STEPS[self.how](self)
        return self.usual(float(action))

    def usual(self, reward: Any, shown: Any = None, info: Any = None) -> Any:
        ended = self.steps >= EPISODE and self.how != "endless"
        return self.shown() if shown is None else shown, reward, ended, False, {} if info is None else info

    def shown(self) -> Any:
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)

    def due(self, *, reset: bool = False, action: Any = None) -> bool:
        if self.action is not None and action != self.action:
            return False
        if self.only is None:
            return bool(self.np_random.random() < self.rate * (EPISODE if reset else 1))
        low, high = self.only
        here = self.seed is not None and low <= self.seed < high
        return here and (reset or self.made >= self.at) and (not reset or self.made >= self.at or self.at == 0)

    def close(self) -> None:
        if self.how == "raise_in_close":
            raise AttributeError("nothing to close")
        if self.how == "exit_in_close":
            sys.exit(3)


def raising(error: BaseException | type[BaseException]) -> Callable[[Misbehaving], Any]:
    def misbehave(env: Misbehaving) -> Any:
        raise error

    return misbehave


def _once(env: Misbehaving) -> Any:
    if env.how not in happened:
        happened.add(env.how)
        raise ConnectionError("the simulator is busy")
    return env.usual(1.0)


def _endlessly_deep(env: Misbehaving) -> Any:
    return _endlessly_deep(env)


def _reseeds(env: Misbehaving) -> Any:
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    return env.usual(1.0)


def _prints(env: Misbehaving) -> Any:
    os.write(1, b"\x1b[2J the engine says hello\n")
    return env.usual(1.0)


def _threads(env: Misbehaving) -> Any:
    threading.Thread(target=time.sleep, args=(0.01,), daemon=True).start()
    return env.usual(1.0)


STEPS: dict[str, Callable[[Misbehaving], Any]] = {
    "raise": raising(RuntimeError("physics exploded")),
    "raise_once": _once,
    "raise_without_words": raising(Unspeakable()),
    "raise_at_length": raising(RuntimeError("\x1b[31mred\n" + "very " * 100_000 + "wrong")),
    "exit": raising(SystemExit(0)),
    "generator_exit": raising(GeneratorExit()),
    "cancelled": raising(asyncio.CancelledError("by a loop of its own")),
    "memory": raising(MemoryError("a big table")),
    "recursion": _endlessly_deep,
    "wrong_shape": lambda env: env.usual(1.0, np.zeros(3, np.float32)),
    "scalar_observation": lambda env: env.usual(1.0, 0.5),
    "text_observation": lambda env: env.usual(1.0, "left"),
    "no_observation": lambda env: (None, 1.0, False, False, {}),
    "nan_observation": lambda env: env.usual(1.0, np.full(2, np.nan, np.float32)),
    "infinite_observation": lambda env: env.usual(1.0, np.full(2, np.inf, np.float32)),
    "short_tuple": lambda env: (env.shown(), 1.0, False),
    "nothing": lambda env: None,
    "nan_reward": lambda env: env.usual(float("nan")),
    "infinite_reward": lambda env: env.usual(float("inf")),
    "minus_infinite_reward": lambda env: env.usual(float("-inf")),
    "no_reward": lambda env: (env.shown(), None, False, False, {}),
    "text_reward": lambda env: env.usual("1.0"),
    "two_rewards": lambda env: env.usual(np.ones(2)),
    "dict_reward": lambda env: env.usual({"goal": 1.0}),
    "enormous_reward": lambda env: env.usual(1e300),
    "vague_end": lambda env: (env.shown(), 1.0, np.ones(2), False, {}),
    # From here on nothing is wrong with what the learner gets.
    "array_reward": lambda env: env.usual(np.array([1.0])),
    "large_negative_reward": lambda env: env.usual(-1e6),
    "infos": lambda env: env.usual(1.0, info={"path": np.zeros(env.made % 5), "winner": None}),
    "reseeds": _reseeds,
    "prints": _prints,
    "threads": _threads,
    # For executors: these end the process, or never come back.
    "crash": lambda env: ctypes.string_at(0),
    "hard_exit": lambda env: os._exit(0),
    "hang": lambda env: time.sleep(10**6),
    "interrupt": raising(KeyboardInterrupt()),
}
RESETS: dict[str, Callable[[Misbehaving], Any]] = {
    "raise_in_reset": raising(OSError("no such level")),
    "wrong_shape_in_reset": lambda env: (np.zeros(3, np.float32), {}),
    "reset_without_info": lambda env: env.shown(),
    "nan_in_reset": lambda env: (np.full(2, np.nan, np.float32), {}),
}
OTHERS = ("good", "raise_in_constructor", "raise_in_constructor_once", "raise_in_close", "exit_in_close", "chdir", "endless")
WAYS = (*STEPS, *RESETS, *OTHERS)
DEADLY = ("crash", "hard_exit", "hang", "interrupt")
HARMLESS = (
    "good", "raise_once", "raise_in_constructor_once", "raise_in_close", "exit_in_close", "chdir", "endless", "array_reward",
    "large_negative_reward", "infos", "reseeds", "prints", "threads",
)  # fmt: skip

for way in WAYS:
    gymnasium.register(f"Bad/{way}-v0", Misbehaving, kwargs={"how": way})
