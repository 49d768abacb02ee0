"""How much of an episode training sees if every interval begins new ones.

A copy of the environment plays interval / copies / frame skip steps in an interval. What comes later would never be trained on.
"""

from __future__ import annotations

from rl_pbt.envs import FAMILIES, EnvSpec
from rl_pbt.options import Settings
from rl_pbt.records import JSON

PARTS = 2  # an interval may be half as long as planned if evaluation is costly, and should see an end even then
STEPS_IF_UNKNOWN = 5_000  # of a copy in an interval, if it is not known how long an episode can be
FEWEST = 4  # copies: with fewer, the steps of one update would be too much alike


def fitted(spec: EnvSpec, options: Settings, interval: int) -> dict[str, JSON]:
    """The options of an agent with so few copies that half an interval can hold an episode, and with unrolls longer by as much.

    So an update has as many steps as before. There are never fewer than `FEWEST` copies: if even these do not come to the end of
    an episode, they come as far as is possible.
    """
    copies, unroll = int(options["envs_per_member"]), int(options["unroll_length"])
    enough = _enough(spec)
    while steps_seen(spec, copies, interval) < enough and copies % 2 == 0 and copies // 2 >= FEWEST:
        copies, unroll = copies // 2, unroll * 2
    return {**options, "envs_per_member": copies, "unroll_length": unroll}


def _enough(spec: EnvSpec) -> int:
    """Steps of a copy in an interval beyond which more are no use."""
    if spec.max_episode_frames is not None:
        return PARTS * spec.max_episode_frames // spec.frame_skip
    return 0 if FAMILIES[spec.family].limits_itself else STEPS_IF_UNKNOWN


def steps_seen(spec: EnvSpec, copies: int, interval: int) -> int:
    """The most steps that are seen of an episode that begins with an interval."""
    return interval // (copies * spec.frame_skip)


def unseen_from_step(spec: EnvSpec, copies: int, interval: int) -> int | None:
    """The step of an episode from which on nothing is trained on; None if all is, or if it is not known how long one can be."""
    seen = steps_seen(spec, copies, interval)
    longest = None if spec.max_episode_frames is None else spec.max_episode_frames // spec.frame_skip
    return None if longest is None or longest <= seen else seen


def seen_in_words(spec: EnvSpec, copies: int, interval: int) -> str | None:
    """What a dry run says if training may not see episodes to their end; otherwise None."""
    seen = steps_seen(spec, copies, interval)
    if spec.max_episode_frames is None:
        how_long = "set by the environment" if FAMILIES[spec.family].limits_itself else "not known"
        return f"the first {seen:,} steps of an episode; its longest possible length is {how_long}"
    if unseen_from_step(spec, copies, interval) is None:
        return None
    longest = spec.max_episode_frames // spec.frame_skip
    return f"the first {seen:,} steps of an episode, of up to {longest:,}, since every interval begins new ones"
