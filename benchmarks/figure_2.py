"""Jaderberg 2017, Fig. 2: two workers on the quadratic, with exploit and explore, with either, and with neither.

    python -m benchmarks.figure_2 [--seeds N ...] [--out FOLDER]

Each arm and seed is a search with a ledger, recorded and resumable like any other; the figure is drawn from the ledgers.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.turns import AddNoise, Arm, Turns
from rl_pbt.controller import Search
from rl_pbt.errors import exit_status
from rl_pbt.executors import InlineExecutor
from rl_pbt.records import Hypers
from rl_pbt.report.style import COLOURS, GREY, GRID, clean, save
from rl_pbt.search import Plan, Problem
from rl_pbt.space import Space
from rl_pbt.store.history import History, read_history
from rl_pbt.store.journal import Journal
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.quadratic import SEARCH, START, QuadraticTask, objective

INITIAL: tuple[Hypers, ...] = ({"h0": 1.0, "h1": 0.0}, {"h0": 0.0, "h1": 1.0})  # of each worker
PLAN = Plan(population=2, budget_per_member=200, interval=1)
READY = 10  # we do not know the paper's interval; this is the most common one in public reproductions
ARMS = {
    "pbt": Arm(exploit=True, explore=AddNoise(), ready=READY),
    "exploit-only": Arm(exploit=True, explore=None, ready=READY),
    "explore-only": Arm(exploit=False, explore=AddNoise(), ready=READY),
    "grid": Arm(exploit=False, explore=None, ready=READY),
}
COLOUR = dict(zip(ARMS, [*COLOURS[:3], GREY], strict=True))  # of each arm
MARKERS = ("o", "s")  # of each worker
MAXIMUM = 1.2  # of Q


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where a worker stood after `steps` gradient steps."""

    steps: int
    theta: tuple[float, float]
    fitness: float


def problem(seed: int) -> Problem:
    """The paper's problem, on one seed."""
    return Problem(space=Space.parse(SEARCH), plan=PLAN, root_seed=seed)


def run_arm(folder: RunFolder, name: str, seed: int) -> History:
    """Run one arm with one seed, or resume it from its ledger if there is one."""
    Search(
        title=name,
        population=PLAN.population,
        method=Turns(problem(seed), arm=ARMS[name], initial=INITIAL),
        executor=InlineExecutor(QuadraticTask()),
        journal=Journal(folder.ledger(name, seed)),
        checkpoints=folder.checkpoints(name, seed),
        root_seed=seed,
        group_size=PLAN.population,
        test_episodes=1,
    ).run()
    return read_history(folder, name, seed)


def path_of(history: History, worker: int) -> list[Point]:
    """A worker's path through the plane of theta, a point for each interval of the paper."""
    points = [Point(steps=0, theta=START, fitness=objective(np.array(START)))]
    for trial in history.trials:
        steps = (trial.proposal.generation + 1) * PLAN.interval
        if trial.proposal.member == worker and steps % READY == 0:
            assert trial.result.fitness is not None  # the quadratic never fails
            theta = trial.result.metrics["theta0"], trial.result.metrics["theta1"]
            points.append(Point(steps=steps, theta=theta, fitness=trial.result.fitness))
    return points


def final(history: History) -> float:
    """Q of the better worker at the end of a finished arm."""
    assert history.test is not None
    return history.test.returns[0]


def figure(histories: Mapping[str, History]) -> Figure:
    """The objective over time, and the paths of both workers through the plane of theta; one plane per arm, for one seed."""
    drawn = Figure(figsize=(13, 3.4), layout="constrained")
    curves, *planes = drawn.subplots(1, 1 + len(histories))
    for plane, (name, history) in zip(planes, histories.items(), strict=True):
        paths = [path_of(history, worker) for worker in range(PLAN.population)]
        for path, label in zip(paths, (name, None), strict=True):
            curves.plot([p.steps for p in path], [p.fitness for p in path], color=COLOUR[name], label=label, linewidth=1.6)
        _draw_plane(plane, paths, COLOUR[name])
        plane.set_title(f"{name}: Q = {final(history):.3f}")
    clean(curves)
    curves.axhline(MAXIMUM, color=GREY, linewidth=0.8, linestyle="--")
    curves.set(xlabel="gradient steps of a worker", ylabel="objective Q", title="both workers of each arm")
    curves.legend(fontsize=8, frameon=False)
    return drawn


def _draw_plane(axes: Axes, paths: Sequence[Sequence[Point]], colour: str) -> None:
    """Both workers' paths over the contours of Q."""
    grid = np.linspace(0, 1, 60)
    axes.contour(grid, grid, MAXIMUM - (grid[None, :] ** 2 + grid[:, None] ** 2), levels=12, colors=GRID, linewidths=0.8)
    for path, marker in zip(paths, MARKERS, strict=True):
        theta0, theta1 = zip(*(point.theta for point in path), strict=True)
        axes.plot(theta0, theta1, marker=marker, markersize=3.5, linewidth=0.7, color=colour, alpha=0.8)
    axes.set(xlabel="theta0", ylabel="theta1", xlim=(0, 1), ylim=(0, 1), aspect=1)


def draw(folder: Path, seeds: Sequence[int]) -> None:
    """Run or resume all arms on all seeds, draw the first seed, and print the mean of each arm. Raises UserError."""
    histories = {name: [run_arm(RunFolder(folder), name, seed) for seed in seeds] for name in ARMS}
    path = folder / "figure_2.png"
    save(figure({name: by_seed[0] for name, by_seed in histories.items()}), path)
    print("Jaderberg 2017, Fig. 2: the better of two workers after 200 steps; the maximum is 1.2, a worker alone reaches 0.39")
    for name, by_seed in histories.items():
        print(f"{name:13} Q = {np.mean([final(history) for history in by_seed]):.3f}  (mean over {len(by_seed)} seeds)")
    print(f"figure, of seed {seeds[0]}: {path}")


def main(words: Sequence[str] | None = None) -> None:
    """All four arms, the figure, and a line for each arm."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figure_2", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="root seeds; the figure shows the first (default 0)")
    parser.add_argument("--out", type=Path, default=Path("results/quadratic-figure-2"), metavar="FOLDER")
    args = parser.parse_args(words)
    raise SystemExit(exit_status(lambda: draw(args.out, args.seeds)))


if __name__ == "__main__":
    main()
