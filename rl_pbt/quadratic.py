"""The toy problem of Jaderberg 2017, Fig. 2: the method's known-answer test, through the same controller as everything else.

Two workers maximise Q = 1.2 - (theta0^2 + theta1^2), but each climbs a surrogate, 1.2 - (h0 theta0^2 + h1 theta1^2), with
h = (1, 0) for one and (0, 1) for the other: neither can get there alone. Without exploit and explore each is stuck at
1.2 - 0.9^2 = 0.39. A frame is a gradient step here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from matplotlib.figure import Figure

from rl_pbt.config import TOY
from rl_pbt.controller import Journal, search
from rl_pbt.executors import InlineExecutor, IntervalJob, TestJob
from rl_pbt.executors.base import Advance, unheeded
from rl_pbt.records import JSON, Cost, Hypers, Result, Test, UserError
from rl_pbt.search import Plan, Setup
from rl_pbt.search.turns import AddNoise, Arm, Turns
from rl_pbt.space import Linear, Space
from rl_pbt.store import Run

START = (0.9, 0.9)
INITIAL: tuple[Hypers, ...] = ({"h0": 1.0, "h1": 0.0}, {"h0": 0.0, "h1": 1.0})
SPACE = Space({"h0": Linear(low=0.0, high=1.5), "h1": Linear(low=0.0, high=1.5)})
# The paper's step size and interval are not known to us; these are the commonest of its public reproductions.
LEARNING_RATE = 0.01
PLAN = Plan(population=2, frames_per_member=200, interval=1)
READY = 10
ARMS = {
    "pbt": Arm(exploit=True, explore=AddNoise(), ready=READY),
    "exploit-only": Arm(exploit=True, explore=None, ready=READY),
    "explore-only": Arm(exploit=False, explore=AddNoise(), ready=READY),
    "grid": Arm(exploit=False, explore=None, ready=READY),
}
COLOURS = {"pbt": "#0072B2", "exploit-only": "#D55E00", "explore-only": "#009E73", "grid": "#666666"}


def objective(theta: np.ndarray[Any, Any]) -> float:
    """Q, the true objective; its maximum is 1.2 at the origin."""
    return 1.2 - float(np.sum(theta**2))


@final
@dataclass(frozen=True, slots=True)
class QuadraticTask:
    """Gradient ascent on the surrogate; the weights are theta."""

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        results, states = [], {}
        for proposal, age in zip(job.proposals, job.lineage_frames, strict=True):
            theta = np.array(START) if proposal.parent is None else job.checkpoints.load(proposal.parent)["theta"]
            shrink = 1.0 - 2.0 * LEARNING_RATE * np.array([float(proposal.hypers["h0"]), float(proposal.hypers["h1"])])
            theta = theta * shrink**proposal.frames  # each gradient step multiplies by it
            states[proposal.id] = {"theta": theta}
            fitness = objective(theta)
            results.append(
                Result(
                    id=proposal.id,
                    fitness=fitness,
                    returns=(fitness, fitness),  # two episodes, for operators that want a spread: here 0
                    cost=Cost(train_frames=proposal.frames, updates=proposal.frames),
                    metrics={"theta0": float(theta[0]), "theta1": float(theta[1])},
                    lineage_frames=age + proposal.frames,
                )
            )
        job.checkpoints.save_together(states)
        return results

    def test(self, job: TestJob) -> Test:
        return Test(id=job.id, returns=(objective(job.checkpoints.load(job.id)["theta"]),), cost=Cost())


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where a worker stood at the end of an interval."""

    member: int
    frames: int
    theta: tuple[float, float]
    fitness: float


class Trace:
    """Observer that keeps what the figure shows."""

    def __init__(self) -> None:
        start = (float(START[0]), float(START[1]))
        self.points = [Point(member=m, frames=0, theta=start, fitness=objective(np.array(start))) for m in (0, 1)]

    def proposed(self, proposals: Sequence[Any]) -> None:
        """Nothing to draw yet."""

    def finished(self, proposal: Any, result: Result, *, replayed: bool) -> None:
        assert result.fitness is not None
        theta = (result.metrics["theta0"], result.metrics["theta1"])
        frames = (proposal.generation + 1) * PLAN.interval
        if frames % READY == 0:
            self.points.append(Point(member=proposal.member, frames=frames, theta=theta, fitness=result.fitness))

    def tested(self, test: Test) -> None:
        self.final = test.returns[0]


def run_arm(run: Run, name: str, arm: Arm, seed: int) -> Trace:
    """One arm with one seed, recorded and resumable like any other search."""
    trace = Trace()
    search(
        Turns(Setup(space=SPACE, plan=PLAN, root_seed=seed), arm=arm, initial=INITIAL),
        executor=InlineExecutor(QuadraticTask()),
        journal=Journal(run.ledger(name, seed)),
        checkpoints=run.checkpoints(name, seed),
        root_seed=seed,
        group_size=PLAN.population,
        test_episodes=1,
        observers=(trace,),
    )
    return trace


def figure(traces: dict[str, Trace]) -> Figure:
    """The paper's Fig. 2: the objective over time, and the paths of both workers through the plane of theta."""
    drawn = Figure(figsize=(13, 3.4), layout="constrained")
    panels = drawn.subplots(1, 1 + len(traces))
    curves = panels[0]
    grid = np.linspace(0, 1, 60)
    surface = 1.2 - (grid[None, :] ** 2 + grid[:, None] ** 2)
    for panel, (name, trace) in zip(panels[1:], traces.items(), strict=True):
        panel.contour(grid, grid, surface, levels=12, colors="#dddddd", linewidths=0.8)
        for member, marker in ((0, "o"), (1, "s")):
            points = [point for point in trace.points if point.member == member]
            label = name if member == 0 else None
            curves.plot([p.frames for p in points], [p.fitness for p in points], color=COLOURS[name], label=label, lw=1.6)
            theta0, theta1 = zip(*(p.theta for p in points), strict=True)
            panel.plot(theta0, theta1, marker=marker, ms=3.5, lw=0.7, color=COLOURS[name], alpha=0.8)
        panel.set(title=f"{name}: Q = {trace.final:.3f}", xlabel="theta0", ylabel="theta1", xlim=(0, 1), ylim=(0, 1), aspect=1)
    curves.axhline(1.2, color="#bbbbbb", lw=0.8, ls="--")
    curves.set(xlabel="gradient steps of a worker", ylabel="objective Q", title="both workers of each arm")
    curves.legend(fontsize=8)
    return drawn


def bench(out: Path | None, seeds: Sequence[int]) -> None:
    """`--env quadratic`: all four arms, the figure, and a line for each arm. Raises UserError where `out` holds another run."""
    run = Run(out or Path("results") / TOY / time.strftime("%Y%m%d-%H%M%S"))
    manifest: dict[str, JSON] = {"status": "finished", "config": {"env": TOY, "seeds": list(seeds), "methods": list(ARMS)}}
    if run.manifest_path.exists() and run.manifest() != manifest:
        raise UserError(f"{run.folder} holds another run: choose another --out")
    if run.folder.exists() and not run.manifest_path.exists() and any(run.folder.iterdir()):
        raise UserError(f"{run.folder} exists and is no run: choose another --out")
    run.write_manifest(manifest)
    traces = {name: [run_arm(run, name, arm, seed) for seed in seeds] for name, arm in ARMS.items()}
    (run.folder / "plots").mkdir(exist_ok=True)
    path = run.folder / "plots" / "quadratic.png"
    figure({name: of_arm[0] for name, of_arm in traces.items()}).savefig(path, dpi=150)
    print("Jaderberg 2017, Fig. 2: best of two workers after 200 steps; the maximum is 1.2, a worker alone reaches 0.39")
    for name, of_arm in traces.items():
        print(f"{name:13} Q = {np.mean([trace.final for trace in of_arm]):.3f}  (mean of {len(of_arm)} seeds)")
    print(f"figure: {path}")
