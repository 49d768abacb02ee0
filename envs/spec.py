"""What an environment is to the rest of the project: one specification, and two ways in which there may be none."""

from __future__ import annotations

from dataclasses import dataclass, field

from rl_pbt.envs.aliases import Options

DEFAULT_BACKEND = "gymnasium"


class UnknownEnvironment(ValueError):
    """A name that stands for no environment, or for none in particular; one line with the nearest ones."""


class EnvironmentUnavailable(RuntimeError):
    """A known environment that cannot be made here; one line that says why and what to do, such as what to install."""


class WrongOption(ValueError):
    """An option that an environment does not have, or cannot have so; one line, to follow the name of the setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSpec:
    """One environment. `frame_skip` is emulator frames in an agent step; `options` is what is set, in plain JSON types.

    Where `frame_skip` is 1 a frame is a step, and `max_episode_frames` is Gymnasium's `max_episode_steps`.
    """

    id: str
    family: str  # one of envs.families.FAMILIES
    frame_skip: int = 1
    max_episode_frames: int | None = None  # None also where the environment sets a limit of its own
    options: Options = field(default_factory=dict)
    resumable: bool = False  # whether its episodes can be left and continued, as `resuming` says
    reusable: bool = False  # whether it is known that a seeded reset leaves nothing of what was played before

    def __post_init__(self) -> None:
        if self.frame_skip < 1:
            raise ValueError(f"{self.id}: frame_skip is {self.frame_skip}, not positive")

    @property
    def backend(self) -> str:
        """What steps it, one of envs.backends.BACKENDS."""
        return str(self.options.get("backend", DEFAULT_BACKEND))

    @property
    def copies_are_independent(self) -> bool:
        """Whether copy i of a vector environment reset with seed s plays as one copy alone reset with seed s + i.

        True of Atari, of EnvPool and of Gymnasium's sync and async vector environments; vector environments of the NumPy
        kind have one random stream for all copies, unless they say that copies have `own_streams`.
        """
        return self.options.get("vectorization_mode") != "vector_entry_point" or self.options.get("own_streams") is True
