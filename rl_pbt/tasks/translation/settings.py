"""The settings of the translation task, completed and checked; loads nothing that trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, replace
from typing import Any

from rl_pbt.agents.hypers import FINITE, HyperSpec
from rl_pbt.errors import BadSetting, near_names
from rl_pbt.options import Settings, built, fields_of
from rl_pbt.space import parse_dimension
from rl_pbt.tasks.completing import blamed, completed
from rl_pbt.tasks.translation.bleu import signature
from rl_pbt.tasks.translation.catalogues import absolute, in_language, versions_of
from rl_pbt.tasks.translation.material import Material, material_of
from rl_pbt.tasks.translation.options import SPLITS, TranslationOptions

RATE = "learning_rate"
DROPOUT = HyperSpec(default=0.1, low=0.0, high=0.9)  # Vaswani 2017, Table 3, base: of sub-layers' outputs and of embeddings
# The rate was chosen on dev with two seeds and 4,000 updates, as the peak of the hand-made schedule: BLEU 15.8 and 15.6 at 3e-3,
# 14.0 and 15.0 at 4e-3, when a part of dev was still known from train. A constant rate was not tuned by itself. By the formula of
# Vaswani 2017, sec. 5.3, the peak would be 5.1e-3, for this width and 400 updates of warm-up; for 360, 5.4e-3.
HYPERS: Mapping[str, HyperSpec] = {
    RATE: HyperSpec(default=3e-3, low=0.0, high=FINITE),
    "attention_dropout": DROPOUT,
    "residual_dropout": DROPOUT,
    "relu_dropout": DROPOUT,
    "embedding_dropout": DROPOUT,
}
SEARCH = {
    RATE: "log:1e-4:1e-2",
    "attention_dropout": "linear:0:0.5",
    "residual_dropout": "linear:0:0.5",
    "relu_dropout": "linear:0:0.5",
    "embedding_dropout": "linear:0:0.5",
}
BUDGET, INTERVAL = 3600, 144
DEV_PARTS = 10  # that dev is cut into: as many scores as the paper's t-test compares
TEST_PARTS = 8  # that test is cut into at most: one job of the controller, since each job translates all of it


def complete(given: Settings, recorded: Settings | None) -> Settings:
    """All settings. A new run's corpus is read, so that what was found in it can be recorded. Raises UserError."""
    if "corpus" in given:
        given = {**given, "corpus": tuple(map(absolute, given["corpus"]))}
    whole = completed(given, recorded, None if recorded else _defaults(given))
    for name, text in whole["search"].items():
        for extreme in parse_dimension(text).extremes:
            _check("search", name, extreme)
    for name, value in whole["hypers"].items():
        _check(blamed(name, given), name, value)
    if missing := [name for name in HYPERS if name not in whole["search"] and name not in whole["hypers"]]:
        raise BadSetting("hypers", f"must have a value of each hyperparameter: add {', '.join(missing)}")
    if whole["test_episodes"] > TEST_PARTS:
        raise BadSetting(
            "test_episodes",
            f"must be {TEST_PARTS} or less, but is {whole['test_episodes']}: they are parts of one test, whose BLEU is of all",
        )
    return whole


def material_for(options: TranslationOptions) -> Material:
    """The material for these options, in which each split has at least one sentence for each part. Raises UserError."""
    return material_of(options.corpus, options.language, options.vocabulary, max(DEV_PARTS, TEST_PARTS))


def _defaults(given: Settings) -> dict[str, Any]:
    """Defaults of a new run, with what is found in its corpus."""
    own = {name: one.default for name, one in fields_of(TranslationOptions).items() if one.default is not MISSING}
    unknown = {"pairs": dict.fromkeys(SPLITS, 0), "packages": {}, "digest": "", "signature": ""}
    chosen = built(TranslationOptions, {**own, **unknown, **{n: v for n, v in given.items() if n in own}})
    if "corpus" not in given:
        chosen = replace(chosen, corpus=in_language(chosen.corpus, chosen.language))
    material = material_for(chosen)
    return {
        **own,
        "corpus": chosen.corpus,
        "search": SEARCH,
        "hypers": {name: spec.default for name, spec in HYPERS.items()},
        "budget": BUDGET,
        "interval": min(INTERVAL, max(1, given.get("budget", BUDGET))),
        "test_episodes": TEST_PARTS,
        "pairs": material.corpus.sizes,
        "packages": versions_of(chosen.corpus),
        "digest": material.digest,
        "signature": signature(),
    }


def _check(setting: str, name: str, value: object) -> None:
    """Raises BadSetting, of the setting that names it, for an unknown hyperparameter or a value that it cannot have."""
    if name not in HYPERS:
        raise BadSetting(setting, f"names an unknown hyperparameter {name!r}: {near_names(name, HYPERS)}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        example = f"write {name}=SCALE:LOW:HIGH, as in {name}={SEARCH[name]}" if setting == "search" else "write a number"
        raise BadSetting(setting, f"cannot set {name} to {value!r:.100}: {example}")
    if complaint := HYPERS[name].complaint(value):
        raise BadSetting(setting, f"cannot use {name}: it {complaint}")
