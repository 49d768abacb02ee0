"""How long an episode of an evaluation or a test can be: when it is cut, and what it may cost."""

from __future__ import annotations

from rl_pbt.envs import FAMILIES, EnvSpec
from rl_pbt.tasks.on_environments.episodes import Episodes, foreseen_steps
from rl_pbt.text import readable


def longest_episode(spec: EnvSpec, chosen: int | None, interval: int) -> int | None:
    """Frames after which an episode of an evaluation or test is cut, or None if it ends by itself in time.

    If neither the environment nor the user sets a limit, an episode may last as long as an interval.
    """
    if chosen is not None:
        return None if spec.max_episode_frames is not None and spec.max_episode_frames <= chosen else chosen
    ends = spec.max_episode_frames is not None or FAMILIES[spec.family].limits_itself
    return None if ends else interval


def longest_possible(spec: EnvSpec, cut: int | None) -> int | None:
    """Agent steps that an episode of an evaluation can last if it is cut after `cut` frames; None if that is not known."""
    limits = [frames for frames in (spec.max_episode_frames, cut) if frames is not None]
    return steps_within(spec, min(limits, default=None))


def steps_within(spec: EnvSpec, frames: int | None) -> int | None:
    """The agent steps that a limit of so many frames leaves, at least one; None without a limit."""
    return None if frames is None else max(1, frames // spec.frame_skip)


def foreseen_frames(spec: EnvSpec, trained: Episodes, trained_frames: int, *, copies: int, episodes: int, cut: int | None) -> int:
    """The frames that so many evaluation episodes of a member, cut after `cut` frames, are expected to cost.

    The estimate is from the episodes that `copies` of the environment ended in an interval of `trained_frames`, as in
    `foreseen_steps`.
    """
    steps = trained_frames // (copies * spec.frame_skip)
    return spec.frame_skip * foreseen_steps(trained, steps, episodes, longest_possible(spec, cut), copies)


def cut_episodes(spec: EnvSpec, chosen: int | None, interval: int) -> str | None:
    """What a dry run says about episodes that are cut; None if none are."""
    longest = longest_episode(spec, chosen, interval)
    if longest is None:
        return None
    own = "" if spec.max_episode_frames is not None or FAMILIES[spec.family].limits_itself else "have no limit of their own; "
    return f"{own}cut after {readable(longest)} frames in evaluation and test, and counted as capped"
