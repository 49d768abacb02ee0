"""From a configuration to the task."""

from __future__ import annotations

from pathlib import Path

from rl_pbt.config import RunConfig
from rl_pbt.errors import UserError
from rl_pbt.options import built
from rl_pbt.tasks.translation.bleu import signature
from rl_pbt.tasks.translation.interval import TranslationTask
from rl_pbt.tasks.translation.options import TranslationOptions
from rl_pbt.tasks.translation.settings import material_for
from rl_pbt.tasks.translation.transformer import Shape


def make(config: RunConfig) -> TranslationTask:
    """The task of a configuration. Raises UserError if its corpus, or sacrebleu, is not the one that the run began with."""
    chosen = built(TranslationOptions, config.task_options)
    material = material_for(chosen)
    if material.digest != chosen.digest:
        packages, files = _packages_and_files(chosen)
        what = [*(["install " + ", ".join(packages)] if packages else []), *(["restore " + ", ".join(files)] if files else [])]
        raise UserError(
            f"the corpus is not the one that this run began with: {' and '.join(what)}, with the sentencepiece of then"
        )
    if signature() != chosen.signature:
        raise UserError(f"BLEU is computed in another way than this run began with ({chosen.signature}): install that version")
    return TranslationTask(
        material=material,
        shape=_shape_of(chosen),
        batch_tokens=chosen.batch_tokens,
        label_smoothing=chosen.label_smoothing,
        test_parts=config.test_episodes,
        hypers={name: float(value) for name, value in config.hypers.items()},
    )


def described(config: RunConfig) -> list[tuple[str, str]]:
    """Lines of the dry run."""
    chosen = built(TranslationOptions, config.task_options)
    packages, files = _packages_and_files(chosen)
    sizes = ", ".join(f"{name} {number:,}" for name, number in chosen.pairs.items())
    return [
        ("task", f"translation of {', '.join([*packages, *files])}: pairs {sizes}"),
        ("network", _shape_of(chosen).words),
        ("evaluated on", f"dev, after each generation: {chosen.signature}"),
    ]


def _shape_of(chosen: TranslationOptions) -> Shape:
    return Shape(
        vocabulary=chosen.vocabulary,
        width=chosen.width,
        heads=chosen.heads,
        feedforward=chosen.feedforward,
        layers=chosen.layers,
    )


def _packages_and_files(chosen: TranslationOptions) -> tuple[list[str], list[str]]:
    """What the corpus was made from: packages with their versions, and the names of files."""
    files = [Path(entry).name for entry in chosen.corpus if entry not in chosen.packages]
    return [f"{name} {version}" for name, version in chosen.packages.items()], files
