"""What an environment is to the rest of the project: one specification, and the errors where there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

from rl_pbt.envs.aliases import Options

DEFAULT_BACKEND = "gymnasium"
# Options that are recorded only where they were set: arguments of the constructor, and how many observations are stacked.
ARGUMENTS, FRAME_STACK = "make_kwargs", "frame_stack"
AS_ARRAYS = "vector_entry_point"  # the mode of an environment that steps all its copies as arrays


class UnknownEnvironment(ValueError):
    """A name that stands for no environment, or for several; the message is one line with the nearest ones."""


class EnvironmentUnavailable(RuntimeError):
    """A known environment that cannot be made here; the message is one line: why, and what to do, such as what to install."""


class WrongOption(ValueError):
    """An option that an environment does not have, or a value it cannot take; one line that follows the name of the setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSpec:
    """One environment. `frame_skip` is emulator frames per agent step; `options` is what is set, in plain JSON types: the record,
    whose control values are also properties.

    If `frame_skip` is 1, a frame is a step, and `max_episode_frames` is Gymnasium's `max_episode_steps`. Raises ValueError for a
    `frame_skip` below 1.
    """

    id: str
    family: str  # one of envs.families.FAMILIES
    frame_skip: int = 1
    max_episode_frames: int | None = None  # None also where the environment has a limit of its own
    options: Options = field(default_factory=dict)
    resumable: bool = False  # whether its episodes can be left and continued, as in `resuming`
    reusable: bool = False  # whether a seeded reset is known to leave no trace of earlier episodes

    def __post_init__(self) -> None:
        if self.frame_skip < 1:
            raise ValueError(f"{self.id}: frame_skip is {self.frame_skip}, not positive")

    @property
    def backend(self) -> str:
        """The name of the backend that steps it, one of envs.backends.BACKENDS."""
        return str(self.options.get("backend", DEFAULT_BACKEND))

    @property
    def vectorization_mode(self) -> str | None:
        """How Gymnasium makes a vector of it; None where something else does."""
        mode: str | None = self.options.get("vectorization_mode")
        return mode

    @property
    def arguments(self) -> Options:
        """What its constructor is given beside the registered arguments."""
        arguments: Options = self.options.get(ARGUMENTS, {})
        return arguments

    @property
    def frame_stack(self) -> int | None:
        """How many observations are shown as one; None where that was not set."""
        depth: int | None = self.options.get(FRAME_STACK)
        return depth

    @property
    def pools_all_frames(self) -> bool:
        """Whether all skipped frames are pooled, since sprites are drawn in turns."""
        return self.options.get("pooled_block") is not None

    @property
    def copies_are_independent(self) -> bool:
        """Whether copy i of a vector environment reset with seed s plays like a single copy reset with seed s + i.

        True for Atari, EnvPool and Gymnasium's sync and async vector environments. Vector environments that step all copies as
        arrays have one random stream for all of them, unless their options say `own_streams`.
        """
        return self.vectorization_mode != AS_ARRAYS or self.options.get("own_streams") is True
