"""A member's unfinished episodes in its checkpoint, for its own next interval to continue; they are no part of the agent."""

from __future__ import annotations

import numpy as np

from rl_pbt.arrays import State

# Prefix of their names in a checkpoint, and the name of the entry that says whose they are.
UNFINISHED, MEMBER = "unfinished.", "member"


def parted(state: State) -> tuple[State, State]:
    """What the agent takes of a checkpoint, and the rest: the unfinished episodes, if there are any."""
    episodes = {name.removeprefix(UNFINISHED): array for name, array in state.items() if name.startswith(UNFINISHED)}
    return {name: array for name, array in state.items() if not name.startswith(UNFINISHED)}, episodes


def continued_by(member: int, episodes: State) -> State | None:
    """The unfinished episodes for this member to continue; None if another member left them, since a copy begins new ones."""
    if MEMBER not in episodes or int(episodes[MEMBER]) != member:
        return None
    return {name: array for name, array in episodes.items() if name != MEMBER}


def left_by(member: int, episodes: State) -> State:
    """The entries of a checkpoint for the unfinished episodes of that member."""
    return {UNFINISHED + name: array for name, array in {MEMBER: np.array(member), **episodes}.items()}
