"""Environments that fail: an error of one becomes the failure of its member, once it has happened twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rl_pbt.envs import EnvironmentUnavailable, EnvSpec
from rl_pbt.errors import UserError, plain_text
from rl_pbt.records import Cost, FinalTest
from rl_pbt.tasks.answers import one_line

T = TypeVar("T")
LONGEST_REASON = 300  # characters


class EnvironmentFailed(UserError):
    """An environment raised an error; the message names the environment, what it was doing, and what it raised."""


@contextmanager
def environment_errors_in_one_line(spec: EnvSpec, doing: str) -> Iterator[None]:
    """Raise UserError for whatever an environment raises: EnvironmentFailed, unless it cannot be made here at all."""
    try:
        yield
    except (UserError, KeyboardInterrupt, GeneratorExit):
        raise
    except EnvironmentUnavailable as error:
        raise UserError(str(error)) from error
    except BaseException as error:
        raise EnvironmentFailed(failure_of(spec, doing, error)) from error


def failure_of(spec: EnvSpec, doing: str, error: BaseException) -> str:
    """The failure in one line, which is the same in every process."""
    try:
        said = str(error)
    except Exception:
        said = ""
    kind = type(error).__name__
    text = (
        f"environment {spec.id} failed in {doing}: {kind}: {said}" if said else f"environment {spec.id} failed in {doing}: {kind}"
    )
    return plain_text(one_line(text, LONGEST_REASON))


def tried_twice(work: Callable[[bool], T]) -> T:
    """`work(False)`; if an environment fails, all of it once more as `work(True)`, which goes on without what fails again.

    So an error that does not come again leaves no trace.
    """
    try:
        return work(False)
    except EnvironmentFailed:
        return work(True)


def or_excluded(proposal: int | None, episodes: int, played: Callable[[bool], FinalTest]) -> FinalTest:
    """The test that was `played`, by `tried_twice`; all episodes are excluded if the environment cannot even be made."""
    try:
        return tried_twice(played)
    except EnvironmentFailed as failed:
        return FinalTest(proposal=proposal, returns=(), cost=Cost(), excluded=episodes, failure=str(failed))
