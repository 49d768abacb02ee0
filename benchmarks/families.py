"""Speed of every agent in every family of environments, and of EnvPool against the default backend, in agent steps per second.

    python -m benchmarks.families [--env ID ...] [--repeats N] [--seconds S] [--out FILE.json]

Agents are timed on one worker: four members train with the family's defaults. Evaluation and the making of environments are not
included. A worker uses one core. `impala, overlapped` is IMPALA with a second core, as in a run with fewer workers than cores:
with images as observations it acts and learns at the same time, which A2C must not. Atari's environments step side by side then,
as they would for A2C (`benchmarks.overlap` tells the two effects apart).

Environments are timed alone, 32 copies on one thread with random actions, on each backend that has them. Candidates take turns,
each in a process of its own; medians are reported. What is not installed is reported and left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TypeAlias

from benchmarks.learning import AGENTS, CASES, configuration
from benchmarks.measuring import Measurement, alone, parser, run, spread
from rl_pbt.errors import UserError
from rl_pbt.text import NOTHING, table

MEMBERS = 4  # with which an agent is timed
COPIES = 32  # of an environment that is timed alone
BACKENDS = ("gymnasium", "envpool")  # that are compared
OVERLAPPED = "impala, overlapped"
TIMED = (*AGENTS, OVERLAPPED)  # the candidates among the agents
Timed: TypeAlias = Mapping[str, float] | str  # a `measuring.Spread` in JSON, or why there is none


def agent_speed(question: tuple[str, str, float]) -> float | str:
    """Agent steps per second of an environment and one of TIMED, measured for about that many seconds; or why there are none.

    The question is (environment, candidate, seconds).
    """
    from rl_pbt.cli.dry_run import measure
    from rl_pbt.making import machine
    from rl_pbt.tasks.rl.making import make

    env, timed, seconds = question
    overlapped = timed == OVERLAPPED
    case = next(case for case in CASES if case.env == env)
    try:
        config = configuration(case, "impala" if overlapped else timed, {"population": MEMBERS, "group_size": MEMBERS})
        task = replace(make(config, machine(workers=1)), learn_beside=overlapped, step_together=overlapped)
        pace, _ = measure(config, task, seconds=seconds)
        return pace.units_per_s / task.env.frame_skip
    except UserError as error:
        return str(error)


def environment_speed(question: tuple[str, str, float]) -> float | str:
    """Steps per second of an environment on a backend, measured for that many seconds; or why there are none.

    The question is (environment, backend, seconds).
    """
    from rl_pbt.envs import EnvironmentUnavailable, UnknownEnvironment, make_vector, resolve

    env, backend, seconds = question
    try:
        vector = make_vector(resolve(env, backend=backend), COPIES)
    except (EnvironmentUnavailable, UnknownEnvironment) as error:
        return str(error)
    vector.reset(seed=0)
    vector.action_space.seed(0)
    actions = [vector.action_space.sample() for _ in range(64)]
    for action in actions[:8]:
        vector.step(action)
    calls, started = 0, time.perf_counter()
    while (wall_s := time.perf_counter() - started) < seconds:
        vector.step(actions[calls % len(actions)])
        calls += 1
    vector.close()
    return calls * COPIES / wall_s


def compare(env: str, *, repeats: int, seconds: float) -> dict[str, dict[str, Timed]]:
    """All agents and backends of one environment in turn."""
    candidates: list[tuple[str, Callable[[tuple[str, str, float]], float | str], str]] = [
        *(("agents", agent_speed, agent) for agent in TIMED),
        *(("environment alone", environment_speed, backend) for backend in BACKENDS),
    ]
    found: dict[str, dict[str, list[float | str]]] = {"agents": {}, "environment alone": {}}
    for _ in range(repeats):
        for kind, ask, name in candidates:
            found[kind].setdefault(name, []).append(alone(ask, (env, name, seconds)))
    return {kind: {name: _spread_or_reason(answers) for name, answers in by_name.items()} for kind, by_name in found.items()}


def _spread_or_reason(answers: Sequence[float | str]) -> Timed:
    reasons = [answer for answer in answers if isinstance(answer, str)]
    return reasons[0] if reasons else asdict(spread([answer for answer in answers if not isinstance(answer, str)]))


def page(results: Mapping[str, Mapping[str, Mapping[str, Timed]]]) -> str:
    """Medians and their ratios as a Markdown table."""
    header = ["environment", *TIMED, "impala / a2c", "overlapped / a2c"]
    header += ["environment alone", "EnvPool alone", "EnvPool / default"]
    rows = []
    for env, found in results.items():
        # An entry may be older than a candidate.
        agents = {timed: found["agents"].get(timed, "not timed") for timed in TIMED}
        backends = found["environment alone"]
        cells = [median_text(agents[timed]) for timed in TIMED]
        cells += [ratio_text(agents[timed], agents["a2c"]) for timed in ("impala", OVERLAPPED)]
        cells += [median_text(backends[backend]) for backend in BACKENDS]
        rows.append([env, *cells, ratio_text(backends["envpool"], backends["gymnasium"])])
    return table(header, rows)


def median_text(one: Timed) -> str:
    """The median of a spread; a dash if there is a reason instead."""
    return NOTHING if isinstance(one, str) else f"{one['median']:,.0f}"


def ratio_text(one: Timed, other: Timed) -> str:
    """The ratio of the medians of two spreads; a dash if there is a reason instead of one of them."""
    return NOTHING if isinstance(one, str) or isinstance(other, str) else f"{one['median'] / other['median']:.2f}x"


def main(words: Sequence[str] | None = None) -> None:
    """Measure each environment, write the file, print its page."""
    arguments = parser("families", __doc__)
    arguments.add_argument("--env", nargs="+", choices=[case.env for case in CASES], help="only these")
    arguments.add_argument("--repeats", type=int, default=3, help="measurements of each candidate (default 3)")
    arguments.add_argument("--seconds", type=float, default=10.0, help="of each measurement (default 10)")
    args = arguments.parse_args(words)
    asked = {"repeats": args.repeats, "seconds": args.seconds}
    envs = [case.env for case in CASES if not args.env or case.env in args.env]
    run([Measurement(place=(env,), asked=asked, make=partial(compare, env, **asked)) for env in envs], out=args.out, page=page)


if __name__ == "__main__":
    main()
