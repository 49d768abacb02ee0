"""The search space: where hyperparameters are drawn from, how they are perturbed, and the bounds they never leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import ClassVar, Protocol, TypeGuard

import numpy as np

from rl_pbt.errors import UserError
from rl_pbt.records import Hyper, Hypers


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """How a plot shows a hyperparameter. A `log` axis is logarithmic only if all values on it are above 0.

    `ticks` are labels by position; without any, the axis shows numbers. `flipped`: the largest position is at the bottom.
    """

    label: str
    log: bool = False
    flipped: bool = False
    ticks: Mapping[float, str] = field(default_factory=dict)


def number_text(number: float) -> str:
    """A number as people write it, with as many digits as it takes to read the same number again."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


class Dimension(Protocol):
    """One hyperparameter's prior, and how it is perturbed."""

    def sample(self, rng: np.random.Generator) -> Hyper:
        """One draw from the prior."""
        ...

    def perturb(self, value: Hyper, factor: float) -> Hyper:
        """`value` moved by `factor` on the dimension's own scale, inside the bounds."""
        ...

    def unit(self, value: Hyper) -> float:
        """Where the value lies on the dimension's own scale: 0 at the low bound and below, 1 at the high bound and above."""
        ...

    def from_unit(self, u: float) -> Hyper:
        """The value whose `unit` is nearest to `u`."""
        ...

    def describe(self) -> str:
        """The text that `parse` reads."""
        ...

    @property
    def extremes(self) -> tuple[Hyper, ...]:
        """The values to check to know that all are legal: both bounds, or every choice."""
        ...

    @property
    def bounds(self) -> tuple[float, ...]:
        """The low and the high bound; empty for a choice."""
        ...

    def plotted(self, value: Hyper) -> float:
        """The position of the value on its axis."""
        ...

    def axis(self, name: str) -> Axis:
        """The axis that `plotted` values lie on, for the hyperparameter of this name."""
        ...


def spread(dimension: Dimension, values: Iterable[Hyper]) -> float:
    """How much of the dimension the values cover: their standard deviation as a share of its width, on its scale; 0 to 0.5."""
    return float(np.std([dimension.unit(value) for value in values]))


def _within(u: float) -> float:
    return min(max(u, 0.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interval:
    scale: ClassVar[str]  # the word for it in a text

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UserError(f"bounds must be finite with low < high, but are {self.low:g} and {self.high:g}")

    def _clip(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def describe(self) -> str:
        return f"{self.scale}:{number_text(self.low)}:{number_text(self.high)}"

    @property
    def extremes(self) -> tuple[Hyper, ...]:
        return self.low, self.high

    @property
    def bounds(self) -> tuple[float, ...]:
        return self.low, self.high

    def plotted(self, value: Hyper) -> float:
        return float(value)

    def axis(self, name: str) -> Axis:
        return Axis(label=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(_Interval):
    """Log-uniform on [low, high]; perturbed by multiplication."""

    scale = "log"

    def __post_init__(self) -> None:
        _Interval.__post_init__(self)
        if self.low <= 0:
            raise UserError(f"a log scale needs bounds above 0, but low is {self.low:g}: use linear:{self.low:g}:{self.high:g}")

    def sample(self, rng: np.random.Generator) -> float:
        return self._clip(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))

    def perturb(self, value: Hyper, factor: float) -> float:
        return self._clip(float(value) * factor)

    def unit(self, value: Hyper) -> float:
        return math.log(self._clip(float(value)) / self.low) / math.log(self.high / self.low)

    def from_unit(self, u: float) -> float:
        return self._clip(self.low * (self.high / self.low) ** _within(u))

    def axis(self, name: str) -> Axis:
        return Axis(label=name, log=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(_Interval):
    """Uniform on [low, high]; perturbed by multiplication, as the paper does with every hyperparameter."""

    scale = "linear"

    def sample(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))

    def perturb(self, value: Hyper, factor: float) -> float:
        # 0 is a fixed point of multiplication (which stalls reproductions of the quadratic): move by a part of the range instead.
        value = float(value)
        moved = value * factor if value else (factor - 1.0) * (self.high - self.low)
        return self._clip(moved)

    def unit(self, value: Hyper) -> float:
        return (self._clip(float(value)) - self.low) / (self.high - self.low)

    def from_unit(self, u: float) -> float:
        return self._clip(self.low + _within(u) * (self.high - self.low))


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(_Interval):
    """Uniform on the whole numbers low..high; a perturbation moves by at least one, so small numbers do not get stuck."""

    scale = "int"

    def __post_init__(self) -> None:
        _Interval.__post_init__(self)
        if self.low != int(self.low) or self.high != int(self.high):
            raise UserError(f"integer bounds must be whole numbers, but are {self.low:g} and {self.high:g}")

    def sample(self, rng: np.random.Generator) -> int:
        return int(rng.integers(int(self.low), int(self.high) + 1))

    def perturb(self, value: Hyper, factor: float) -> int:
        value = int(value)
        moved = round(value * factor)
        if moved == value:
            moved = value + (1 if factor > 1 else -1)
        return int(self._clip(moved))

    def unit(self, value: Hyper) -> float:
        return (self._clip(float(value)) - self.low) / (self.high - self.low)

    def from_unit(self, u: float) -> int:
        return round(self.low + _within(u) * (self.high - self.low))


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon(_Interval):
    """A discount, log-uniform and perturbed on the scale of 1-discount, whose inverse is the horizon.

    Multiplying a discount of 0.99 by 1.2 would leave [0, 1). Instead, a perturbation multiplies the horizon by the factor.
    """

    scale = "horizon"

    def __post_init__(self) -> None:
        _Interval.__post_init__(self)
        if self.low < 0 or self.high >= 1:
            raise UserError(f"discounts lie in [0, 1), but the bounds are {self.low:g} and {self.high:g}")

    def sample(self, rng: np.random.Generator) -> float:
        return self._clip(1.0 - math.exp(rng.uniform(math.log(1.0 - self.high), math.log(1.0 - self.low))))

    def perturb(self, value: Hyper, factor: float) -> float:
        return self._clip(1.0 - (1.0 - float(value)) / factor)

    def unit(self, value: Hyper) -> float:
        return math.log((1.0 - self.low) / (1.0 - self._clip(float(value)))) / math.log((1.0 - self.low) / (1.0 - self.high))

    def from_unit(self, u: float) -> float:
        return self._clip(1.0 - (1.0 - self.low) * ((1.0 - self.high) / (1.0 - self.low)) ** _within(u))

    def plotted(self, value: Hyper) -> float:
        return 1.0 - float(value)

    def axis(self, name: str) -> Axis:
        """Labelled as discounts are usually written, 0.9, 0.99, 0.999: at the bounds, and between them where there is room."""
        decades = [1.0 - 10.0**-nines for nines in range(1, 10)]
        between = [discount for discount in decades if 0.15 < self.unit(discount) < 0.85]
        ticks = {self.plotted(discount): f"{discount:.10g}" for discount in (self.low, *between, self.high)}
        return Axis(label=name, log=True, flipped=True, ticks=ticks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few choices in their given order; a perturbation moves to a neighbour."""

    choices: tuple[Hyper, ...]

    def __post_init__(self) -> None:
        if len(self.choices) < 2 or len(set(self.choices)) != len(self.choices):
            raise UserError("a choice needs two different values at least, as in choice:0.1:0.01")

    def sample(self, rng: np.random.Generator) -> Hyper:
        return self.choices[int(rng.integers(len(self.choices)))]

    def perturb(self, value: Hyper, factor: float) -> Hyper:
        index = self.choices.index(value) + (1 if factor > 1 else -1)
        return self.choices[min(max(index, 0), len(self.choices) - 1)]

    def unit(self, value: Hyper) -> float:
        # A published value need not be one of the choices; then it lies in the middle.
        return self.choices.index(value) / (len(self.choices) - 1) if value in self.choices else 0.5

    def from_unit(self, u: float) -> Hyper:
        return self.choices[round(_within(u) * (len(self.choices) - 1))]

    def describe(self) -> str:
        return "choice:" + ":".join(map(_text_of, self.choices))

    @property
    def extremes(self) -> tuple[Hyper, ...]:
        return self.choices

    @property
    def bounds(self) -> tuple[float, ...]:
        return ()

    def plotted(self, value: Hyper) -> float:
        return self.unit(value) * (len(self.choices) - 1)

    def axis(self, name: str) -> Axis:
        return Axis(label=name, ticks={float(place): str(choice) for place, choice in enumerate(self.choices)})


def _text_of(choice: Hyper) -> str:
    """The text of a choice, as `parse_dimension` reads it."""
    if isinstance(choice, bool):
        return str(choice).lower()
    return number_text(choice) if isinstance(choice, float) else str(choice)


SCALES = {kind.scale: kind for kind in (Log, Linear, Integer, Horizon)}


def parse_dimension(text: str) -> Dimension:
    """The dimension of a text: `log:1e-5:1e-2`, `linear:0:1`, `int:1:8`, `horizon:0.9:0.999` or `choice:a:b:c`.

    Raises UserError, with a one-line message, for any other text.
    """
    make = maker_of(text)
    try:
        return make()
    except UserError as error:
        raise UserError(f"cannot use {text!r}: {error}") from None


def maker_of(text: str) -> Callable[[], Dimension]:
    """What makes the dimension of a text, and checks its bounds or choices. Raises UserError for a text that cannot be read."""
    scale, _, rest = text.partition(":")
    if lacks_scale(text):
        scales = [f"{known}:{text}" for known in SCALES]
        raise UserError(f"{text!r} needs a scale: write {', '.join(scales[:-1])} or {scales[-1]}")
    if scale == "choice":
        return partial(Choice, choices=tuple(_number_or_text(word) for word in rest.split(":")))
    if scale not in SCALES:
        near = get_close_matches(scale, [*SCALES, "choice"], n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join([*SCALES, 'choice'])}"
        raise UserError(f"unknown scale {scale!r} in {text!r}: {hint}")
    try:
        low, high = (float(word) for word in rest.split(":"))
    except ValueError:
        raise UserError(f"cannot read {text!r}: write {scale}:LOW:HIGH, as in log:1e-5:1e-2") from None
    return partial(SCALES[scale], low=low, high=high)


def lacks_scale(text: str) -> bool:
    """Whether it is two bounds without a scale, as in `1e-5:1e-2`."""
    words = text.split(":")
    return len(words) == 2 and not any(isinstance(_number_or_text(word), str | bool) for word in words)


def is_range(written: object) -> TypeGuard[str]:
    """Whether what a user wrote for a hyperparameter is the text of a range, which has colons, and not one value."""
    return isinstance(written, str) and ":" in written


def range_or_value(written: object) -> object:
    """What a user wrote for a hyperparameter: the text of a range, or one value, as a number if it is one."""
    return _number_or_text(written) if isinstance(written, str) and not is_range(written) else written


TRUTH = {"true": True, "false": False}  # bool("false") would be True


def _number_or_text(word: str) -> Hyper:
    if word in TRUTH:
        return TRUTH[word]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


@dataclass(frozen=True, slots=True)
class Space:
    """The dimensions by name, always in alphabetical order: draws must not depend on the order in which they were written."""

    dimensions: Mapping[str, Dimension]

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise UserError("the search space is empty: give at least one range, as in search lr=log:1e-5:1e-2")
        object.__setattr__(self, "dimensions", dict(sorted(self.dimensions.items())))

    def sample(self, rng: np.random.Generator) -> Hypers:
        """One draw from the prior, each hyperparameter independently."""
        return {name: dimension.sample(rng) for name, dimension in self.dimensions.items()}

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Space:
        """The space of these texts, by name. Raises UserError for an invalid one, and if there are none."""
        return cls({name: parse_dimension(text) for name, text in texts.items()})
