"""Whole episodes of a method's winner, on the seeds of its final test, which nothing was selected on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
import torch

from rl_pbt import seeds
from rl_pbt.api import Run
from rl_pbt.envs import EnvSpec, Watched, quietly, watch
from rl_pbt.play.pictures import Shot
from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.on_environments.failing import environment_errors_in_one_line
from rl_pbt.tasks.on_environments.limits import longest_episode, longest_possible
from rl_pbt.tasks.on_environments.resolving import resolved

DRAWING = "drawing itself"


class Player(Protocol):
    """The winner of a run on an environment, as its task returns it."""

    def reset(self, seed: int) -> None:
        """Begin an episode; the seed is for the player's own random draws."""
        ...

    def act(self, observation: object) -> object:
        """The action for this observation."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """An episode that was played to its end, or until the test of the run would have cut it; `number` counts from 1.

    It holds no pictures, so any number can be kept.
    """

    number: int
    earned: float
    steps: int


@contextmanager
def staged(run: Run, method: str, seed: int) -> Iterator[Stage]:
    """The winner of a method on a seed of a run on an environment, with one copy of that. Raises UserError if it draws nothing.

    Within, torch computes in one thread: on one observation several threads mostly wait for one another. Where other work kept
    the cores busy, two took 20 times as long as one.
    """
    winner: Player = run.winner(method, seed)  # first, since it refuses code that only the run's folder names
    spec = resolved(run.config.task_options)
    with environment_errors_in_one_line(spec, DRAWING):
        watched = watch(spec)
    cut = longest_episode(spec, run.config.task_options["max_episode_frames"], run.config.interval)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield Stage(spec, watched, winner, seed, longest=longest_possible(spec, cut))
    finally:
        torch.set_num_threads(threads)
        with quietly():
            watched.close()


@final
class Stage:
    """A winner in its environment. `played` are the episodes that were shown, in order.

    An episode is the same every time it is played, as far as the environment respects its seed. It is cut after `longest` steps.
    """

    def __init__(self, spec: EnvSpec, watched: Watched, winner: Player, seed: int, *, longest: int | None = None) -> None:
        self._spec = spec
        self._watched = watched
        self._winner = winner
        self._seed = seed
        self._longest = longest
        self.played: list[Episode] = []

    def shots(self, numbers: Iterable[int]) -> Iterator[Shot]:
        """Play these episodes, and yield every picture of them."""
        for number in numbers:
            so_far = (0.0, 0)
            with environment_errors_in_one_line(self._spec, DRAWING):
                for so_far in self._steps(number):
                    picture, per_s = self._watched.picture(), self._watched.pictures_per_s
                    yield Shot(picture=picture, episode=number, earned=so_far[0], per_s=per_s)
            self.played.append(Episode(number=number, earned=so_far[0], steps=so_far[1]))

    def unseen(self, numbers: Iterable[int]) -> Iterator[Episode]:
        """Play these episodes without drawing them."""
        for number in numbers:
            with environment_errors_in_one_line(self._spec, "playing"):
                ((earned, steps),) = deque(self._steps(number), maxlen=1)
            yield Episode(number=number, earned=earned, steps=steps)

    def _steps(self, number: int) -> Iterator[tuple[float, int]]:
        """(return so far, steps so far), before the first step and after each."""
        observations = self._watched.reset(seeds.environment_seed(self._seed, split="test") + number - 1)
        self._winner.reset(seeds.seed(self._seed, purpose=f"play episode {number - 1}"))
        earned, steps, ended = 0.0, 0, False
        yield earned, steps
        while not ended:
            action = self._winner.act(observations[0])
            observations, rewards, terminated, truncated = self._watched.step(np.asarray([action]))
            earned, steps = earned + float(rewards[0]), steps + 1
            ended = bool(terminated[0] or truncated[0]) or steps == self._longest
            yield earned, steps


def tested(run: Run, method: str, seed: int) -> tuple[float, int] | None:
    """The mean return over the episodes of a winner's final test, and their number; None if none has a score."""
    test = read_history(RunFolder(run.folder), method, seed).test
    return (float(np.mean(test.returns)), len(test.returns)) if test is not None and test.returns else None
