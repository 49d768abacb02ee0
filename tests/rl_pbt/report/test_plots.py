"""Figures are really drawn, from every shape of history, and family trees keep their promises."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from rl_pbt.records import TRAINING_SCORE, Cost, FinalTest, Hyper, Proposal, Result, Trial
from rl_pbt.report import anytime, family_tree, plots, schedules, score_tree, sheets
from rl_pbt.report.style import save
from rl_pbt.report.tree_layout import tree_layout
from rl_pbt.search import METHODS, Plan, Problem
from rl_pbt.space import Space
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.store.descent import copies, has_schedules
from rl_pbt.store.history import History, Incumbent
from rl_pbt.tasks.words import Words

WORDS = Words(unit="training sentence", short_unit="sentence", score="BLEU", episode="evaluation", baseline="copied source")

SEARCH = {
    "learning_rate": "log:1e-5:1e-2",
    "discount": "horizon:0.9:0.999",
    "layers": "choice:small:big",
    "n": "int:1:9",
}


def made_up(lr: Hyper) -> float:
    return -abs(np.log10(float(lr)) + 3.0)


def history(name: str, *, population: int = 6, generations: int = 5, seed: int = 0, fail: float = 0.0) -> History:
    plan = Plan(population=population, budget_per_member=1000 * generations, interval=1000)
    method = METHODS[name].make(Problem(space=Space.parse(SEARCH), plan=plan, root_seed=seed), METHODS[name].options())
    rng = np.random.default_rng(seed)
    age: dict[int | None, int] = {None: 0}
    trials: list[Trial] = []
    while proposals := method.ask():
        known = len(trials)
        for proposal in proposals:
            age[proposal.id] = age[proposal.parent] + proposal.units
            failed, judged = rng.random() < fail, proposal.evaluates
            score = made_up(proposal.hypers["learning_rate"])
            result = Result(
                proposal=proposal.id,
                fitness=score if judged and not failed else None,
                failure="diverged" if failed else None,
                cost=Cost(train_units=proposal.units, eval_units=20 if judged else 0),
                metrics={TRAINING_SCORE: score},
                lineage_units=age[proposal.id],
                foreseen_units=0 if judged or failed else 20,
            )
            method.tell(result)
            trials.append(Trial(proposal=proposal, result=result, asked_after=known))
    winner = method.winner()
    test = None if winner is None else FinalTest(proposal=winner, returns=(1.0, 2.0, 4.0), cost=Cost(eval_units=3))
    return History(trials=tuple(trials), chosen=winner, test=test, ended=True)


def test_choices_are_drawn_however_they_were_written_and_whatever_was_published() -> None:
    proposals = [Proposal(id=i, member=i, generation=0, hypers={"h": h}, parent=None, units=5) for i, h in enumerate((0.1, 0.7))]
    trials = [Trial(proposal=p, result=Result(proposal=p.id, fitness=1.0, lineage_units=5)) for p in proposals]
    figure = schedules.schedules(
        History(trials=tuple(trials), chosen=1), Space.parse({"h": "choice:1e-1:1e-3"}), title="choices", words=WORDS
    )
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["0.1", "0.001"]


def pixels(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    buffer.seek(0)
    return np.asarray(matplotlib.image.imread(buffer, format="png"))


def tree_of(family: History) -> Figure:
    return family_tree.family_tree(family, tree_layout(family), title="tree")


def assert_drawn(figure: Figure) -> None:
    picture = pixels(figure)
    assert min(picture.shape[:2]) > 100
    assert np.mean(picture[..., :3].min(axis=2) < 0.9) > 0.003, "the picture is blank"


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("fail", [0.0, 0.2])
def test_all_figures_are_drawn(seeds: int, fail: float) -> None:
    histories = {
        "pbt": [history("pbt", seed=seed, fail=fail) for seed in range(seeds)],
        "random": [history("random", seed=seed, fail=fail) for seed in range(seeds)],
    }
    curves = plots.learning_curves(histories, words=WORDS)
    assert_drawn(curves)
    assert [text.get_text() for text in curves.legends[0].get_texts()][:2] == ["pbt", "random (training episodes)"]
    assert_drawn(plots.winners_scores(histories, words=WORDS, baseline=[0.5, 1.0]))
    for by_seed in histories.values():
        assert_drawn(schedules.schedules(by_seed[0], Space.parse(SEARCH), title="schedules", words=WORDS))
        assert_drawn(tree_of(by_seed[0]))


def test_a_run_that_has_just_begun_or_wholly_failed_can_be_drawn() -> None:
    for scarce in (History(), history("pbt", fail=1.0), History(trials=history("pbt").trials[:4])):
        for figure in (
            plots.learning_curves({"pbt": [scarce]}, words=WORDS),
            plots.winners_scores({"pbt": [scarce]}, words=WORDS),
            schedules.schedules(scarce, Space.parse(SEARCH), title="", words=WORDS),
            tree_of(scarce),
        ):
            assert pixels(figure).size > 0


def test_the_legend_never_lies_on_the_curves() -> None:
    histories = {name: [history("pbt", seed=seed) for seed in range(3)] for name in ("a", "b", "c", "d", "e")}
    figure = plots.learning_curves(histories, words=WORDS)
    assert_drawn(figure)
    (axes,) = figure.axes
    bands = [drawn for drawn in axes.collections if isinstance(drawn, PolyCollection)]
    assert axes.get_legend() is None and len(bands) == 5, "a band for each mean"
    below = figure.legends[0].get_window_extent().y1
    assert below <= axes.get_window_extent().y0


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("names", [
    ["pbt", "random"],
    ["better: pbt", "usual: random"],
    [f"{'a run with a rather long name'}-{index}: hypers-only" for index in range(6)],
    [f"method {index}" for index in range(40)],
], ids=["default", "two runs", "long", "many"])  # fmt: skip
def test_a_legend_lies_inside_its_figure_and_leaves_room_for_the_axes(names: list[str], seeds: int) -> None:
    methods = ["pbt", *["random"] * (len(names) - 1)]
    tests = tuple(float(value) for value in range(8))
    tested = FinalTest(proposal=0, returns=(*tests, 1000.0), cost=Cost(eval_units=3))
    led = (Incumbent(units=1000, test=tested), Incumbent(units=9000, test=tested))
    histories = {
        name: [replace(history(method, seed=seed), test=tested, incumbents=led) for seed in range(seeds)]
        for name, method in zip(names, methods, strict=True)
    }
    family = histories[names[0]][0]
    beside = dict.fromkeys(names[:2], family)
    for figure in (
        plots.learning_curves(histories, words=WORDS, title="title"),
        plots.winners_scores(histories, words=WORDS, baseline=[0.5, 1.0], title="title"),
        anytime.anytime_curves(histories, words=WORDS, baseline=[0.5, 1.0], title="title"),
        schedules.schedules(family, Space.parse(SEARCH), title="schedules", words=WORDS, beside=beside),
        tree_of(family),
        tree_of(history("pbt", population=2, generations=2)),
        score_tree.score_tree(family, tree_layout(family), words=WORDS, title="tree"),
    ):
        assert_drawn(figure)
        (legend,) = figure.legends
        inside, whole = legend.get_window_extent(), figure.bbox
        assert inside.x0 >= 0 and inside.x1 <= whole.x1 and inside.y0 >= 0 and inside.y1 <= whole.y1
        assert all(axes.get_position().height * figure.get_figheight() > 0.8 for axes in figure.axes)
        assert all(axes.get_position().width > 0.3 for axes in figure.axes)


def test_a_legend_too_long_for_one_line_is_in_smaller_letters() -> None:
    figure = plots.learning_curves({"l" * 150: [history("random")]}, words=WORDS)
    assert_drawn(figure)
    assert figure.legends[0].get_window_extent().x0 >= 0


@pytest.mark.parametrize("evaluated", [True, False])
def test_every_line_of_the_learning_curves_has_a_length(evaluated: bool) -> None:
    """Also that of a method which is evaluated only at its end."""
    histories = {"pbt" if evaluated else "random": [history("pbt" if evaluated else "random")]}
    for line in plots.learning_curves(histories, words=WORDS).axes[0].lines:
        assert len(set(line.get_xdata())) >= 2, line.get_label()


@pytest.mark.parametrize(("baseline", "far"), [(-500.0, True), (-150.0, False), (-100.0, False), (400.0, True)])
def test_a_baseline_far_away_does_not_flatten_the_scores_but_is_written_at_the_edge(baseline: float, far: bool) -> None:
    returns = tuple(float(value) for value in range(-120, -60, 5))
    tested = FinalTest(proposal=0, returns=(*returns, -250.0), cost=Cost())
    histories = {"pbt": [replace(history("pbt"), test=tested)]}
    figure = plots.winners_scores(histories, words=WORDS, baseline=[baseline])
    assert_drawn(figure)
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    assert low < min(returns) and max(returns) < high, "all but the outlier are shown"
    written = [text.get_text() for text in axes.texts if WORDS.baseline in text.get_text()]
    named = [text.get_text() for text in figure.legends[0].get_texts() if WORDS.baseline in text.get_text()]
    assert (written, named) == (([f"copied source: {baseline:.4g}"], []) if far else ([], [f"copied source: {baseline:.4g}"]))
    assert (low <= baseline <= high) is not far
    assert not far or (max(returns) - min(returns)) > 0.4 * (high - low)


def test_where_all_scores_are_equal_the_baseline_is_a_line() -> None:
    tested = FinalTest(proposal=0, returns=(500.0,) * 12, cost=Cost())
    figure = plots.winners_scores({"pbt": [replace(history("pbt"), test=tested)]}, words=WORDS, baseline=[22.0])
    low, high = figure.axes[0].get_ylim()
    assert low < 22 and high > 500


def standing_at(fitness: list[list[float]], cost: int = 10) -> History:
    """Generations of so many members, with these fitnesses."""
    trials: list[Trial] = []
    for generation, values in enumerate(fitness):
        for member, value in enumerate(values):
            id_ = generation * len(values) + member
            parent = None if generation == 0 else id_ - len(values)
            proposal = Proposal(id=id_, member=member, generation=generation, hypers={"h": 0.5}, parent=parent, units=cost)
            result = Result(proposal=id_, fitness=value, cost=Cost(train_units=cost), lineage_units=cost * (generation + 1))
            trials.append(Trial(proposal=proposal, result=result, asked_after=generation * len(values)))
    return History(trials=tuple(trials), chosen=len(trials) - 1, ended=True)


def test_the_median_is_bold_the_best_thin_and_the_middle_half_a_band() -> None:
    figure = plots.learning_curves({"pbt": [standing_at([[1, 2, 3, 4, 10], [2, 3, 4, 5, 20]])]}, words=WORDS, title="a title")
    (axes,) = figure.axes
    best, median = sorted(axes.lines, key=lambda line: line.get_linewidth())
    assert [list(line.get_xydata()[:, 1]) for line in (best, median)] == [[10, 20], [3, 4]]  # type: ignore[index,call-overload]
    assert list(median.get_xdata()) == [50, 100]
    (band,) = [drawn for drawn in axes.collections if isinstance(drawn, PolyCollection)]
    corners = {(x, y) for x, y in band.get_paths()[0].vertices}  # type: ignore[union-attr]
    assert {(50, 2), (50, 4), (100, 3), (100, 5)} <= corners
    assert axes.get_title(loc="left") == "a title"


def test_a_seed_that_spent_less_stays_where_it_ended_and_does_not_end_the_curve() -> None:
    short, long = standing_at([[0, 0], [2, 2]]), standing_at([[0, 0], [4, 4], [6, 6]])
    (axes,) = plots.learning_curves({"pbt": [short, long]}, words=WORDS).axes
    median = max(axes.lines, key=lambda line: line.get_linewidth())
    places, values = np.asarray(median.get_xdata(), dtype=float), np.asarray(median.get_ydata(), dtype=float)
    assert (places[0], places[-1]) == (20, 60) and values[-1] == pytest.approx((2 + 6) / 2)
    assert np.interp(40, places, values) == pytest.approx(3, abs=0.05)


def test_an_outlier_does_not_flatten_the_test_scores_and_is_named_at_the_edge() -> None:
    usual = [float(value % 10) for value in range(30)]
    tested = replace(standing_at([[1, 2]]), test=FinalTest(proposal=0, returns=(*usual, 200.0, 300.0), cost=Cost()))
    figure = plots.winners_scores({"pbt": [tested], "random": [tested]}, words=WORDS, baseline=[-2.0])
    (axes,) = figure.axes
    assert axes.get_ylim()[0] < -2 and axes.get_ylim()[1] < 60
    assert [text.get_text() for text in axes.texts if "to" in text.get_text()] == ["2, to 300"] * 2
    assert_drawn(figure)
    (calm,) = plots.winners_scores(
        {"pbt": [replace(tested, test=FinalTest(proposal=0, returns=(1.0, 9.0), cost=Cost()))]}, words=WORDS
    ).axes
    assert calm.get_ylim()[1] > 9 and not any("beyond" in str(line.get_label()) for line in calm.lines)


def test_a_mean_is_on_the_axis_however_far_its_outlier_takes_it() -> None:
    usual = [float(value % 3) for value in range(30)]
    tested = replace(standing_at([[1, 2]]), test=FinalTest(proposal=0, returns=(*usual, 1e6), cost=Cost()))
    (axes,) = plots.winners_scores({"pbt": [tested]}, words=WORDS).axes
    low, high = axes.get_ylim()
    assert low < np.mean([*usual, 1e6]) < high


def test_bounds_are_drawn_and_hyperparameters_without_any_have_none() -> None:
    figure = schedules.schedules(history("pbt"), Space.parse(SEARCH), title="", words=WORDS)
    dashed = {axes.get_ylabel(): sum(line.get_linestyle() == "--" for line in axes.lines) for axes in figure.axes}
    assert dashed == {"learning_rate": 2, "discount": 2, "layers": 0, "n": 2, "fitness": 0}


def test_a_schedule_that_was_made_by_hand_is_drawn_beside_the_one_that_was_found() -> None:
    trials: list[Trial] = []
    for generation, rate in enumerate((1e-4, 1e-3, 5e-4)):
        parent = generation - 1 if generation else None
        hypers = {"learning_rate": rate, "discount": 0.99, "layers": "small", "n": 1}
        proposal = Proposal(id=generation, member=0, generation=generation, hypers=hypers, parent=parent, units=5)
        trials.append(Trial(proposal=proposal, result=Result(proposal=generation, fitness=1.0, lineage_units=5 + 5 * generation)))
    by_hand = History(trials=tuple(trials), chosen=2)
    found, held = history("pbt"), history("random")
    searched = {name: history(name) for name in ("explore-only", "hypers-only", "exploit-only")}
    assert has_schedules(searched["explore-only"]) and not copies(searched["explore-only"]), "one that was not made by hand"
    others = {"random": held, "pbt": found, "replay-schedule": by_hand, **searched}
    beside = schedules.made_by_hand({"default-warmup": by_hand, "default-annealed": held, **others})
    assert list(beside) == ["default-warmup"], "the other has no schedule yet"
    figure = schedules.schedules(found, Space.parse(SEARCH), title="", words=WORDS, beside=beside)
    (axes,) = [axes for axes in figure.axes if axes.get_ylabel() == "learning_rate"]
    (dotted,) = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted.get_ydata().tolist() == [1e-4, 1e-4, 1e-3, 1e-3, 5e-4, 5e-4]
    assert dotted.get_xdata().tolist() == [0, 5, 5, 10, 10, 15]
    assert "the winner of default-warmup" in [text.get_text() for text in figure.legends[0].get_texts()]


LONG_TITLE = "Transformer on 7,602 pairs of sentences: pbt-tournament, seed 0"


def assert_inside(figure: Figure) -> None:
    """Nothing is cut off at an edge of the file."""
    figure.draw_without_rendering()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= width and drawn.y1 <= height, (drawn, width, height)


def test_the_schedules_legend_lies_inside_the_figure_with_every_entry() -> None:
    by_hand = {"default-warmup": history("explore-only"), "default-annealed-by-another": history("pbt", seed=1)}
    figure = schedules.schedules(history("pbt"), Space.parse(SEARCH), title=LONG_TITLE, words=WORDS, beside=by_hand)
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 6
    assert_inside(figure)


@pytest.mark.parametrize("population", [3, 4, 8, 20])
@pytest.mark.parametrize("draw", [family_tree.family_tree, partial(score_tree.score_tree, words=WORDS)], ids=["tree", "scores"])
def test_trees_lie_inside_the_figure_however_few_their_members_are(draw: Callable[..., Figure], population: int) -> None:
    family = history("pbt", population=population)
    assert copies(family)
    figure = draw(family, tree_layout(family), title=LONG_TITLE)
    assert_inside(figure)
    assert figure.get_size_inches()[0] <= 12


def test_the_fitter_the_larger_and_the_last_generation_has_its_number() -> None:
    family = standing_at([[1, 2, 3]] * 28)
    figure = tree_of(family)
    (axes,) = figure.axes
    assert axes.get_yticks()[-1] == 27 and len(axes.get_yticks()) <= 14
    ranks = family_tree._fitness_ranks(family, tree_layout(family))
    assert [ranks[proposal] for proposal in range(3)] == [0.0, 0.5, 1.0]


def test_many_methods_have_a_colour_each() -> None:
    histories = {f"method {index}": [history("pbt", seed=seed) for seed in (index, index + 1)] for index in range(18)}
    figure = plots.learning_curves(histories, words=WORDS)
    assert_drawn(figure)
    lines = figure.axes[0].lines
    assert len(lines) == len({line.get_color() for line in lines}) == 18
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(histories)


def test_the_whole_tree_is_a_picture_of_sensible_size() -> None:
    for population, generations in ((2, 1), (8, 5), (32, 100)):
        figure = tree_of(history("pbt", population=population, generations=generations))
        width, height = figure.get_size_inches()
        assert 2 < width < 13 and 1.5 < height < 15


@pytest.mark.parametrize("name", ["pbt", "random"])
@pytest.mark.parametrize("fail", [0.0, 0.1])
def test_branches_of_the_family_tree_never_cross(name: str, fail: float) -> None:
    family = history(name, population=12, generations=12, fail=fail)
    places = tree_layout(family)
    assert set(places) == set(family.by_id)
    for trials in family.rounds:
        row = sorted(trials, key=lambda trial: places[trial.proposal.id][0])
        assert all(places[b.proposal.id][0] - places[a.proposal.id][0] > 1 - 1e-6 for a, b in pairwise(row))
        parents = [places[t.proposal.parent][0] for t in row if t.proposal.parent is not None]
        assert parents == sorted(parents)


def test_lines_without_copies_are_straight() -> None:
    family = history("random", population=5, generations=6)
    places = tree_layout(family)
    for trial in family.trials:
        if trial.proposal.parent is not None:
            assert places[trial.proposal.id][0] == pytest.approx(places[trial.proposal.parent][0])


def test_the_same_history_is_the_same_file(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        save(tree_of(history("pbt")), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_in_the_tree_of_scores_each_is_as_high_as_its_score_and_lines_part_at_copies() -> None:
    family = history("pbt", population=8, generations=6, fail=0.1)
    figure = score_tree.score_tree(family, tree_layout(family), words=WORDS, title="tree")
    assert_drawn(figure)
    (axes,) = figure.axes
    heights = sorted(float(y) for drawn in axes.collections if isinstance(drawn, PathCollection) for _, y in drawn.get_offsets())
    scores = [trial.result.score for trial in family.trials if trial.result.score is not None]
    assert heights == pytest.approx(sorted([*scores, family.by_id[family.chosen].result.score])), "and the winner's star"
    lines = [line for drawn in axes.collections if isinstance(drawn, LineCollection) for line in drawn.get_segments()]
    by_id = {trial.proposal.id: trial for trial in family.trials}
    pairs = [(by_id[t.proposal.parent], t) for t in family.trials if t.proposal.parent is not None and t.result.score is not None]
    ends = np.array(sorted((float(start[1]), float(end[1])) for start, end in lines))
    assert ends == pytest.approx(np.array(sorted((before.result.score, after.result.score) for before, after in pairs)))
    starts = Counter((float(a[0]), float(a[1])) for a, _ in lines)
    assert max(starts.values()) > 1, "who was copied has several children"
    points = [drawn for drawn in axes.collections if isinstance(drawn, PathCollection)]
    colours = {
        (float(x), float(y)): tuple(colour[:3])
        for drawn in points[:-1]
        for (x, y), colour in zip(drawn.get_offsets(), drawn.get_facecolors(), strict=True)
    }
    places = tree_layout(family)
    first = [colours[places[p][0], by_id[p].result.score] for p in family_tree.surviving(family) if places[p][1] == 0]
    last = colours[places[family.chosen][0], by_id[family.chosen].result.score]
    assert first[0] == pytest.approx(to_rgb(family_tree.FIRST)) and last == pytest.approx(to_rgb(family_tree.LAST)), (
        "pink to blue"
    )


def test_there_is_a_tree_of_scores_where_judging_was_free_and_not_of_training_episodes() -> None:
    def judged(eval_units: int, metrics: dict[str, float]) -> History:
        family = history("pbt")
        return replace(family, trials=tuple(
            replace(one, result=replace(one.result, cost=Cost(eval_units=eval_units), metrics=metrics)) for one in family.trials
        ))  # fmt: skip

    by_training = {TRAINING_SCORE: 1.0}
    found = {(units, bool(told)): judged(units, told) for units in (0, 20) for told in ({}, by_training)}
    assert [kind for kind, family in found.items() if score_tree.has_score_tree(family)] == [(0, False)]
    assert not score_tree.has_score_tree(History())


def test_a_tree_of_scores_can_be_drawn_of_what_has_just_begun() -> None:
    for scarce in (History(), history("pbt", fail=1.0), History(trials=history("pbt").trials[:4])):
        assert pixels(score_tree.score_tree(scarce, tree_layout(scarce), words=WORDS, title="")).size > 0


def test_a_sheet_has_a_row_for_each_generations_best_and_no_more_than_can_be_seen(tmp_path: Path) -> None:
    class Pictures:
        def pictures(self, exhibit: dict[str, np.ndarray]) -> np.ndarray | None:
            return exhibit.get("pictures")

    family = standing_at([[1, 5, 2], [7, 6, 3], [4, 4, 8], [1, 1, 9]])
    kept = FolderCheckpoints(tmp_path / "checkpoints", tmp_path / "exhibits")
    for trial in family.trials:
        if trial.proposal.id != 3:  # the best of the second generation has left nothing
            kept.exhibit(trial.proposal.id, {"pictures": np.full((5, 8, 8), 10 * trial.proposal.id, np.uint8)})
    rows = sheets.rows_of(family, kept, Pictures())
    assert [(row.label, int(row.pictures[0, 0, 0])) for row in rows] == [("0: 5", 10), ("2: 8", 80), ("3: 9", 110)]
    assert pixels(sheets.sheet(rows, title="sheet")).size > 0
    long = standing_at([[generation] for generation in range(90)])
    for trial in long.trials:
        kept.exhibit(trial.proposal.id, {"pictures": np.zeros((5, 8, 8), np.uint8)})
    labels = [row.label for row in sheets.rows_of(long, kept, Pictures())]
    assert len(labels) == sheets.MOST_ROWS and (labels[0], labels[-1]) == ("0: 0", "89: 89")
