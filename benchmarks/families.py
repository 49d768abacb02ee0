"""Speed of every agent in every family of environments, and of EnvPool against the default backend, in agent steps per second.

    python -m benchmarks.families [--env ID ...] [--repeats N] [--seconds S] [--out FILE.json]

Agents are timed on one worker, training alone: four members with the family's defaults, without evaluation, and without what it
takes to make their environments. One worker takes one core; `impala, overlapped` is what IMPALA does where there is a second one
for it, as in a run with fewer workers than cores: with images to observe, it acts and learns at the same time, which A2C must
not. Atari's environments step side by side then, as they would for A2C (`benchmarks.overlap` tells the two apart).

Environments are timed alone, 32 copies on one thread with random actions, on each backend that has them. Candidates take turns,
each in a process of its own; medians are reported. What is not installed is left out and said so.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.learning import AGENTS, CASES, configuration
from benchmarks.measuring import alone, is_made, provenance, read, spread, write
from rl_pbt.records import UserError

MEMBERS = 4
COPIES = 32
BACKENDS = ("gymnasium", "envpool")
OVERLAPPED = "impala, overlapped"
TIMED = (*AGENTS, OVERLAPPED)


def agent_speed(question: tuple[str, str, float]) -> float | str:
    """Agent steps per second of an environment and one of TIMED, in about so many seconds; or why there is none."""
    from rl_pbt.bench.command import make_task
    from rl_pbt.estimate import measure

    env, timed, seconds = question
    overlap = timed == OVERLAPPED
    case = next(case for case in CASES if case.env == env)
    try:
        config = configuration(case, "impala" if overlap else timed)
        config = replace(config, population=MEMBERS, group_size=MEMBERS)
        pace, _ = measure(config, replace(make_task(config, workers=1), overlap=overlap), seconds=seconds)
        return pace.frames_per_s / config.frame_skip
    except UserError as error:
        return str(error)


def environment_speed(question: tuple[str, str, float]) -> float | str:
    """Steps per second of an environment on a backend, in so many seconds; or why there is none."""
    import envs

    env, backend, seconds = question
    try:
        vector = envs.make_vector(envs.resolve(env, backend=backend), COPIES)
    except (envs.EnvironmentUnavailable, envs.UnknownEnvironment) as error:
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


def of_environment(env: str, *, repeats: int, seconds: float) -> dict[str, Any]:
    """All agents and backends of one environment in turn."""
    candidates: list[tuple[str, Callable[[Any], float | str], str]] = [
        *(("agents", agent_speed, agent) for agent in TIMED),
        *(("environment alone", environment_speed, backend) for backend in BACKENDS),
    ]
    found: dict[str, dict[str, Any]] = {"agents": {}, "environment alone": {}}
    for _ in range(repeats):
        for kind, ask, name in candidates:
            answer = alone(ask, (env, name, seconds))
            found[kind].setdefault(name, []).append(answer)
    return {kind: {name: _spread_or_reason(answers) for name, answers in of_kind.items()} for kind, of_kind in found.items()}


def _spread_or_reason(answers: Sequence[float | str]) -> dict[str, float] | str:
    reasons = [answer for answer in answers if isinstance(answer, str)]
    return reasons[0] if reasons else asdict(spread([answer for answer in answers if not isinstance(answer, str)]))


def table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Medians and their ratios as a Markdown table."""
    lines = ["| environment | " + " | ".join(TIMED) + " | impala / a2c | overlapped / a2c |"]
    lines[0] += " environment alone | EnvPool alone | EnvPool / default |"
    lines.append("| --- |" + " ---: |" * (len(TIMED) + 5))
    for env, found in results.items():
        # An entry may be older than a candidate.
        agents, alone_ = {timed: found["agents"].get(timed, "not timed") for timed in TIMED}, found["environment alone"]
        cells = [_median(agents[timed]) for timed in TIMED]
        cells += [_ratio(agents[timed], agents["a2c"]) for timed in ("impala", OVERLAPPED)]
        cells += [_median(alone_[backend]) for backend in BACKENDS] + [_ratio(alone_["envpool"], alone_["gymnasium"])]
        lines.append(f"| {env} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _median(one: Mapping[str, float] | str) -> str:
    return "–" if isinstance(one, str) else f"{one['median']:,.0f}"


def _ratio(one: Mapping[str, float] | str, other: Mapping[str, float] | str) -> str:
    return "–" if isinstance(one, str) or isinstance(other, str) else f"{one['median'] / other['median']:.2f}x"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the file after each environment."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--env", nargs="+", choices=[case.env for case in CASES], help="only these")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement (default 10)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the figures there as well")
    said = parser.parse_args(arguments)
    results = read(said.out)
    for case in CASES:
        asked = {"repeats": said.repeats, "seconds": said.seconds}
        if (said.env and case.env not in said.env) or is_made(results.get(case.env), asked):
            continue
        results[case.env] = {**provenance(), **asked, **of_environment(case.env, **asked)}
        write(said.out, results, table(results))
    print(table(results))


if __name__ == "__main__":
    main()
