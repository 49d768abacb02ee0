"""What weakens a search that copies: selection by noise, exploration that cannot go far, and a single founder left early."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rl_pbt.config import RunConfig
from rl_pbt.report.diagnostics import Diagnostics, reach_of, typical_reliability
from rl_pbt.report.evidence import Evidence
from rl_pbt.store.descent import copies
from rl_pbt.text import counted, listed

LEAST_RELIABILITY = 0.5  # of fitness: below it, more of what selection sees is noise than skill
LEAST_REACH = 0.25  # share of the range of a hyperparameter


def of_selection(evidence: Evidence, diagnostics: Mapping[str, Sequence[Diagnostics]]) -> Iterator[str]:
    """A sentence on noise and one on founders, each about all methods that copied and have ended, and those on exploration.

    `diagnostics` has one entry per seed for each method.
    """
    words = evidence.words
    noisy, narrowed = [], []
    for method, by_seed in evidence.histories.items():
        if not all(history.ended for history in by_seed.values()) or not any(copies(history) for history in by_seed.values()):
            continue
        found = diagnostics[method]
        share = typical_reliability(found, second_half=True)
        if share is not None and share < LEAST_RELIABILITY:
            noisy.append(f"{method} {share:.2f}")
        single = sum(one.founders_at_half == 1 for one in found)
        if 2 * single > len(found):
            narrowed.append(f"{method} on {single} of {counted(len(found), 'seed')}")
    if noisy:
        yield (
            "Selection was mostly noise in the second half of the generations (share of the variance of fitness that was between "
            f"members: {listed(noisy)}): a fitness of more {words.episodes} would tell members apart."
        )
    yield from too_short_to_explore(evidence.config)
    if narrowed:
        yield f"By half of the generations all members descended from one initial member: {listed(narrowed)}."


def too_short_to_explore(config: RunConfig) -> Iterator[str]:
    """A sentence for each set of methods whose perturbations cannot move some hyperparameter over a quarter of its range."""
    unmoved: dict[str, list[str]] = {}
    for method in config.methods:
        short = [f"{name} {share:.0%}" for name, share in (reach_of(method, config) or {}).items() if share < LEAST_REACH]
        if short:
            unmoved.setdefault(listed(short), []).append(method)
    for shares, methods in unmoved.items():
        yield (
            f"Exploration cannot go far in so few generations: all perturbations of {listed(methods)} together cover this "
            f"much of a range at most: {shares}. A shorter interval, factors farther from 1 or a resample_probability would "
            "cover more."
        )
