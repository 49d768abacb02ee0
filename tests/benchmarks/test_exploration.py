"""The script that varies settings of PBT: every variant can run, on as many frames as the others, on seeds of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import exploration
from benchmarks.exploration import BASE, CELLS, PAPER, VARIANTS, main, page, settings_of
from rl_pbt.making import configure
from rl_pbt.suites.definition import find_suite


@pytest.mark.parametrize("env", CELLS)
def test_variants_differ_in_what_their_name_says_and_not_in_their_budget(env: str) -> None:
    configs = {variant: configure(settings_of(env, variant)) for variant in VARIANTS}
    totals = {config.population * config.budget for config in configs.values()}
    assert len(totals) == 1, "as many frames"
    assert all(config.search == configs[BASE].search and len(config.methods) == 1 for config in configs.values())
    differing = {variant: tuple(config.difference(configs[BASE])) for variant, config in configs.items() if variant != BASE}
    same = [variant for variant, difference in differing.items() if not difference]
    assert same == ["40 intervals"] * (configs[BASE].interval * 40 == configs[BASE].budget)
    assert len(set(differing.values())) == len(differing), "no two others are the same"
    assert configs["100 intervals"].interval * 100 == configs["100 intervals"].budget
    episodes = [configs[variant].task_options["eval_episodes"] for variant in ("twice the episodes", BASE)]
    assert episodes[0] == 2 * episodes[1]  # type: ignore[operator]
    assert configs["burn-in of a quarter"].method_options["burn_in"] * 4 == configs[BASE].budget  # type: ignore[operator]


@pytest.mark.parametrize("env", CELLS)
def test_the_base_is_the_pbt_of_the_suite(env: str) -> None:
    suite = find_suite(CELLS[env])
    (cell,) = [one for one in suite.cells if one.name == env]
    theirs = configure({**cell.settings, "methods": ["pbt"], "seeds": exploration.SEEDS, "anytime_tests": 0})
    assert configure(settings_of(env, BASE)).difference(theirs) == []


def test_the_rule_says_what_runs(tmp_path: Path) -> None:
    def row(score: float) -> dict[str, object]:
        return {"normalised": [score] * len(exploration.SEEDS)}

    worst_first = {variant: row(place) for place, variant in enumerate(VARIANTS)}
    best = ["16 members", "32 members", "burn-in of a quarter", "twice the episodes", *VARIANTS[-2:]]
    assert exploration.finalists({"acrobot": worst_first, "mountain-car": worst_first}) == [BASE, PAPER, *best]  # type: ignore[dict-item]
    out = tmp_path / "exploration.json"
    rows = exploration.by_the_rule(out)
    first = [next(rows) for _ in range(2 * len(VARIANTS))]
    assert first[0] == ("acrobot", BASE) and first[-1] == ("mountain-car", VARIANTS[-1])
    out.write_text(json.dumps({"results": {"acrobot": worst_first, "mountain-car": worst_first}}))
    assert list(rows) == [(env, variant) for env in ("pendulum", "breakout") for variant in (BASE, PAPER, *best)]
    with pytest.raises(SystemExit):
        main([])


def test_its_seeds_are_in_no_suite() -> None:
    for name in set(CELLS.values()):
        assert not set(find_suite(name).seeds) & set(exploration.SEEDS)


def test_a_variant_runs_and_its_row_is_on_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = {"frames": 16_000, "interval": 4_000, "population": 4, "eval_episodes": 2, "test_episodes": 2}
    usual = settings_of
    monkeypatch.setattr(exploration, "settings_of", lambda env, variant: {**usual(env, variant), **small, "seeds": (100, 101)})
    monkeypatch.setattr(exploration, "SEEDS", (100, 101))
    out = tmp_path / "exploration.json"
    main(["--env", "acrobot", "--variant", BASE, "no resampling", "--out", str(out)])
    made = out.stat().st_mtime_ns
    main(["--env", "acrobot", "--variant", BASE, "--out", str(out)])
    assert out.stat().st_mtime_ns == made, "what was made is not made again"
    text = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| acrobot | no resampling |" in text and "| no resampling | acrobot |" in text
    kept = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "acrobot").rglob("*") if path.is_file()}
    files = {"manifest.json", "summary.json", *(f"pbt/seed-{seed}/ledger.jsonl.gz" for seed in (100, 101))}
    assert kept == {f"acrobot/{variant}/{file}" for variant in (BASE, "no-resampling") for file in files}
    row = json.loads(out.read_text(encoding="utf-8"))["results"]["acrobot"][BASE]
    assert all(1 < count <= 4 for count in row["generations"]) and all(0 < share < 1 for share in row["evaluation"])


def test_a_row_that_was_lost_is_made_from_the_ledgers_that_are_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = {"frames": 4_000, "interval": 2_000, "population": 4, "eval_episodes": 2, "test_episodes": 2, "seeds": (100,)}
    usual = settings_of
    monkeypatch.setattr(exploration, "settings_of", lambda env, variant: {**usual(env, variant), **small})
    monkeypatch.setattr(exploration, "SEEDS", (100,))
    first = exploration.explore("acrobot", "half", tmp_path)
    assert exploration.explore("acrobot", "half", tmp_path) == first


def test_differences_are_paired_by_seed_and_over_environments() -> None:
    base = {"mean_test_returns": [1.0, 2.0, 3.0], "normalised": [0.1, 0.2, 0.3], "founders": [1, 2, 1]}
    base |= {"copies_on_the_line": [3, 4, 5], "last_learning_rate": [1e-3, 1e-2, 1e-4]}
    base |= {"generations": [20, 20, 20], "evaluation": [0.1, 0.2, 0.3], "reliability": None}
    better = {**base, "normalised": [0.2, 0.3, 0.4]}
    text = page({"acrobot": {BASE: base, "half": better}, "pendulum": {BASE: base, "half": base}})  # type: ignore[dict-item]
    assert "| acrobot | half | 2 | 0.300 | +0.100 |" in text
    assert "| half | acrobot, pendulum | 0.250 | +0.050 |" in text
