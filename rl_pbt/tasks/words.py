"""The nouns of a task: whatever speaks of its units and scores takes them from here, and knows nothing else of the task."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rl_pbt.errors import plain_text

LONGEST_WORD = 100  # characters of a word that pages repeat again and again


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What reports, axes, progress lines and TensorBoard call the things that a task counts and scores; nouns in the singular."""

    unit: str  # "environment frame", "update", "sentence"
    short_unit: str  # on axes and in progress lines: "frame"
    score: str  # what is better the higher it is: "return", "accuracy", "BLEU"
    episode: str  # what gives one score: "episode", "evaluation"
    baseline: str = ""  # what any training must beat: "random policy"; empty where a task has none
    held_out: str = "seeds"  # what only the test uses, in the plural: nothing was selected on these

    def __post_init__(self) -> None:
        for one in fields(self):  # they may come from a folder that somebody sent, and are shown on terminals and pages
            object.__setattr__(self, one.name, plain_text(getattr(self, one.name), LONGEST_WORD))

    @property
    def units(self) -> str:
        """The plural of `unit`."""
        return _plural(self.unit)

    @property
    def short_units(self) -> str:
        """The plural of `short_unit`."""
        return _plural(self.short_unit)

    @property
    def episodes(self) -> str:
        """The plural of `episode`."""
        return _plural(self.episode)


def _plural(noun: str) -> str:
    if noun.endswith("y") and not noun.endswith(("ay", "ey", "oy", "uy")):
        return f"{noun[:-1]}ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "tch", "sh")) else "s")
