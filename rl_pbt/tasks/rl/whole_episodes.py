"""How much of an episode training sees, where every interval begins new ones.

A copy of the environment plays interval / copies / frame skip steps of an interval. What an episode holds beyond them would never
be trained on.
"""

from __future__ import annotations

from rl_pbt.envs import FAMILIES, EnvSpec
from rl_pbt.options import Settings
from rl_pbt.records import JSON

PARTS = 2  # an interval may be half as long as planned, where evaluation is costly, and must reach an end even then
STEPS_IF_UNKNOWN = 5_000  # of a copy in an interval, where nobody knows how long an episode can be
FEWEST = 4  # copies, or what is learned from at once would be too much alike


def fitted(spec: EnvSpec, options: Settings, interval: int) -> dict[str, JSON]:
    """The options of an agent with so few copies that an interval can hold an episode, and unrolls longer by as much.

    So an update has as many steps as before. They are as they were where `FEWEST` copies would not be few enough.
    """
    copies, unroll = int(options["envs_per_member"]), int(options["unroll_length"])
    needed = _needed(spec)
    while steps_seen(spec, copies, interval) < needed:
        if copies % 2 or copies // 2 < FEWEST:
            return dict(options)
        copies, unroll = copies // 2, unroll * 2
    return {**options, "envs_per_member": copies, "unroll_length": unroll}


def _needed(spec: EnvSpec) -> int:
    """Steps of a copy in an interval."""
    if spec.max_episode_frames is not None:
        return PARTS * spec.max_episode_frames // spec.frame_skip
    return 0 if FAMILIES[spec.family].limits_itself else STEPS_IF_UNKNOWN


def steps_seen(spec: EnvSpec, copies: int, interval: int) -> int:
    """Of an episode that begins with an interval, at most."""
    return interval // (copies * spec.frame_skip)


def unseen_from_step(spec: EnvSpec, copies: int, interval: int) -> int | None:
    """The step of an episode after which none is trained on; None where all are, or nobody knows how long one can be."""
    seen = steps_seen(spec, copies, interval)
    longest = None if spec.max_episode_frames is None else spec.max_episode_frames // spec.frame_skip
    return None if longest is None or longest <= seen else seen


def seen_in_words(spec: EnvSpec, copies: int, interval: int) -> str | None:
    """What a dry run says where training may not see episodes to their end."""
    seen = steps_seen(spec, copies, interval)
    if spec.max_episode_frames is None:
        how_long = "set by the environment" if FAMILIES[spec.family].limits_itself else "not known"
        return f"the first {seen:,} steps of an episode; its longest possible length is {how_long}"
    if unseen_from_step(spec, copies, interval) is None:
        return None
    longest = spec.max_episode_frames // spec.frame_skip
    return f"the first {seen:,} steps of an episode, of up to {longest:,}, since every interval begins new ones"
