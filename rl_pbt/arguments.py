"""The command line's words into one checked configuration."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, get_args, get_type_hints

import torch

from agents import AGENTS, HYPERS
from envs import BACKENDS, EnvironmentUnavailable, EnvSpec, UnknownEnvironment, resolve
from rl_pbt.config import TOY, RunConfig
from rl_pbt.defaults import defaults_of
from rl_pbt.records import Hyper, UserError
from rl_pbt.schedule import FINAL, PREFIX, RANDOM, SCHEDULE, check_replay, read_schedules
from rl_pbt.search import METHODS
from rl_pbt.search.explore import UNBIASED_FACTORS
from rl_pbt.space import parse_dimension

# What people call the hypers elsewhere.
ALIASES = {
    "lr": "learning_rate",
    "ent_coef": "entropy_cost",
    "entropy": "entropy_cost",
    "gamma": "discount",
    "vf_coef": "value_cost",
    "gae_lambda": "trace_lambda",
    "lambda": "trace_lambda",
    "eps": "epsilon",
    "rms_prop_eps": "epsilon",
}


class _Parser(argparse.ArgumentParser):
    """Errors in one line that says the way out; exit status 2."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see --help")


def build_parser() -> argparse.ArgumentParser:
    """Flags default to None: the family of the environment decides, and a resume can tell what was said."""
    parser = _Parser(
        prog="python -m rl_pbt.bench",
        description="Train a population with PBT and with its baselines on the same budget, and compare the winners.",
        allow_abbrev=False,
        argument_default=None,
    )
    add = parser.add_argument
    add("--env", help="Pacman, MsPacman, CartPole-v1, any Gymnasium id, module:Id, or quadratic (the paper's toy)")
    add("--agent", help=f"one of: {', '.join(AGENTS)}")
    choosable = ", ".join(name for name in METHODS if not name.startswith("replay"))
    add("--methods", nargs="+", help=f"any of: {choosable}, {PREFIX}RUN (default: pbt random); 'help' explains them")
    add("--population", type=int, help="members of the population")
    add(
        "--frames",
        type=_count,
        help="budget of each member in environment frames, evaluation included (200000, 200k, 1.5M)",
    )
    add("--interval", type=_count, help="frames of a generation")
    add("--seeds", type=_seed, nargs="+", help="root seeds; each is one run of every method (default: 0)")
    add("--search", nargs="+", metavar="NAME=RANGE", help="lr=log:1e-5:1e-2, or lr=7e-4 to hold it there")
    add("--fitness", choices=("evaluation", "training"), help="what selection looks at (default: evaluation)")
    add("--eval-episodes", type=int, help="episodes a member is judged on at the end of an interval")
    add("--test-episodes", type=int, help="episodes the winner is tested on, on seeds nothing was selected on")
    add("--fraction", type=float, help="bottom and top part of truncation selection (default: 0.2)")
    add("--factors", type=float, nargs="+", help="perturbation factors (default: 1.2 and 1/1.2; the paper's: 1.2 0.8)")
    add("--resample-probability", type=float, help="chance that an explored hyper is drawn anew (default: 0)")
    add("--burn-in", type=_count, help="frames of a member before which nobody copies (default: 0)")
    add(
        "--any-age",
        action="store_true",
        default=None,
        help="pbt-async compares with checkpoints that have trained for longer too (default: never)",
    )
    add("--group-size", type=int, help="members trained together in one tensor (default: half the population)")
    add(
        "--agent-options",
        nargs="+",
        metavar="NAME=VALUE",
        help="what stays fixed in the agent: envs_per_member=8 unroll_length=20 hidden=64,64 rewards=clip",
    )
    add("--policy-lag", type=int, help="updates between the weights that act and those that learn (default: a2c 0, impala 1)")
    add("--backend", choices=BACKENDS, help="what makes the environments (default: gymnasium)")
    add("--device", help="cpu or cuda (default: cpu)")
    add(
        "--workers",
        type=int,
        help="worker processes (default: one a group, at most one a core); never changes a result",
    )
    add("--out", type=Path, help="the run's own folder (default: results/ENV/TIME)")
    add("--resume", type=Path, metavar="DIR", help="go on with the run in DIR")
    add("--dry-run", action="store_true", help="print the plan, its cost and an estimate of the time, and stop")
    return parser


def _count(text: str) -> int:
    """`200000`, `200k`, `1.5M`."""
    units = {"k": 1e3, "M": 1e6, "G": 1e9}
    number, unit = (text[:-1], units[text[-1]]) if text and text[-1] in units else (text, 1.0)
    try:
        return round(float(number) * unit)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames: write 200000, 200k or 1.5M") from None


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: write whole numbers with spaces between, as in --seeds 0 1 2")
    return int(text)


def toy_arguments(said: argparse.Namespace) -> tuple[Path | None, list[int]]:
    """Folder and seeds for `--env quadratic`. Raises UserError for any flag that it would not heed."""
    unheeded = [name for name, value in vars(said).items() if value and name not in ("env", "out", "seeds")]
    if unheeded:
        flags = ", ".join("--" + name.replace("_", "-") for name in unheeded)
        raise UserError(
            f"--env {TOY} always runs the four arms of the paper's figure and takes --out and --seeds alone, not {flags}"
        )
    seeds: list[int] = said.seeds or [0]
    if len(set(seeds)) != len(seeds):
        raise UserError("--seeds must not name one twice")
    return said.out, seeds


def configure(said: argparse.Namespace, recorded: RunConfig | None = None) -> RunConfig:
    """What was said, over the defaults of the environment's family or over the recorded configuration of a resumed run."""
    try:
        env = resolve(
            said.env or (recorded.env if recorded else ""),
            backend=said.backend or (recorded.backend if recorded else "gymnasium"),
        )
    except (UnknownEnvironment, EnvironmentUnavailable) as error:
        raise UserError(str(error)) from None
    agent = _one_of("agent", said.agent or (recorded.agent if recorded else "a2c"), AGENTS)
    base = recorded or _defaults(env, agent, said)
    plain = {field.name for field in fields(RunConfig)} - {"env", "agent", "search", "agent_options"}
    hypers, search = parse_search(said.search or [], base.hypers, base.search)
    options = list(said.agent_options or [])
    if said.policy_lag is not None:
        options.append(f"policy_lag={said.policy_lag}")
    said, replay = _replayed(said)
    changes: dict[str, Any] = replay | {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(said).items()
        if name in plain and value is not None
    }
    config = replace(
        base,
        **changes,
        env=env.id,
        agent=agent,
        hypers=hypers,
        search=search,
        agent_options=parse_options(options, AGENTS[agent].config, base.agent_options),
        env_options=dict(env.options),
        frame_skip=env.frame_skip,
    )
    for method in config.methods:
        _one_of("method", method, METHODS)
    check_replay(config)
    _device(config.device)
    return config


def _replayed(said: argparse.Namespace) -> tuple[argparse.Namespace, dict[str, Any]]:
    """`replay:RUN` among the methods becomes those that replay it, and what they replay."""
    runs = [word.removeprefix(PREFIX) for word in said.methods or () if word.startswith(PREFIX)]
    if not runs:
        return said, {}
    if len(runs) > 1:
        raise UserError("--methods can replay one run, not several")
    replay = read_schedules(Path(runs[0]))
    replaying = [name for name in (SCHEDULE, FINAL, RANDOM) if all(name in of_seed for of_seed in replay["seeds"].values())]
    methods: list[str] = []
    for word in said.methods:
        methods += replaying if word.startswith(PREFIX) else [word]
    return argparse.Namespace(**{**vars(said), "methods": methods}), {"replay": replay}


def _defaults(env: EnvSpec, agent: str, said: argparse.Namespace) -> RunConfig:
    """Of a new run. What depends on the frames and the population depends on those that were said."""
    family = defaults_of(env.family, env.id)
    frames = family.frames if said.frames is None else said.frames
    population = family.population if said.population is None else said.population
    of_agent = {**family.agent_options, **family.of_agent.get(agent, {})}
    options = parse_options(said.agent_options or [], AGENTS[agent].config, of_agent)
    hypers = dict(family.hypers)
    if options["core"] != "none":
        options = parse_options(said.agent_options or [], AGENTS[agent].config, {**of_agent, **family.recurrent_options})
        hypers |= family.recurrent_hypers
    return RunConfig(
        env=env.id,
        agent=agent,
        methods=("pbt", "random"),
        seeds=(0,),
        population=population,
        frames=frames,
        interval=min(family.interval, max(frames, 1)),
        group_size=max(1, (population + 1) // 2),
        hypers={name: hypers.get(name, hyper.default) for name, hyper in HYPERS.items()},
        search=family.search,
        fitness="evaluation",
        eval_episodes=family.eval_episodes,
        test_episodes=family.test_episodes,
        fraction=0.2,
        factors=UNBIASED_FACTORS,
        resample_probability=0.0,
        burn_in=0,
        device="cpu",
        agent_options=options,
    )


def parse_search(
    words: list[str], hypers: Mapping[str, float], search: Mapping[str, str]
) -> tuple[dict[str, float], dict[str, str]]:
    """`lr=log:1e-5:1e-2` replaces that hyper's range; a plain number, `lr=7e-4`, holds it there. Values and ranges of all."""
    held, ranges = dict(hypers), dict(search)
    for word in words:
        name, equals, text = word.partition("=")
        name = ALIASES.get(name, name)
        if name not in HYPERS:
            raise did_you_mean("hyper", name, tuple(HYPERS))
        if not equals or not text:
            raise UserError(f"cannot read --search {word}: write {name}=SCALE:LOW:HIGH, as in {name}=log:1e-5:1e-2")
        try:
            held[name] = _legal(name, float(text))
            ranges.pop(name, None)
        except ValueError:
            for value in parse_dimension(text).extremes:
                _legal(name, value)
            ranges[name] = text
    return held, ranges


def _legal(name: str, value: Hyper) -> float:
    """Raises UserError for a value that the agent cannot use."""
    if isinstance(value, str):
        raise UserError(f"--search {name}: {value!r} is no number")
    if complaint := HYPERS[name].complaint(value):
        raise UserError(f"--search {name}: it {complaint}")
    return float(value)


def parse_options(words: list[str], config: type, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Every option: `torso=nature` over `defaults` over those of the dataclass `config`, by whose types values are read."""
    options = dict(defaults)
    kinds = get_type_hints(config)
    for word in words:
        name, _, text = word.partition("=")
        if name not in kinds:
            raise did_you_mean("agent option", name, tuple(kinds))
        try:
            options[name] = _value(text, kinds[name])
        except (ValueError, KeyError):
            raise UserError(f"cannot read --agent-options {word}: {name} is {_in_words(kinds[name])}") from None
    try:
        whole = asdict(config(**options))
    except ValueError as error:
        raise UserError(f"--agent-options: {error}") from None
    return {name: list(value) if isinstance(value, tuple) else value for name, value in whole.items()}


def _value(text: str, kind: Any) -> Any:
    alternatives = get_args(kind)
    if NoneType in alternatives and text == "none":
        return None
    if alternatives == (int,):  # a sequence
        return [int(part) for part in text.split(",")]
    if kind is bool:
        return {"true": True, "false": False}[text]
    return (alternatives[0] if alternatives else kind)(text)


def _in_words(kind: Any) -> str:
    alternatives = get_args(kind)
    if alternatives == (int,):
        return "whole numbers with commas between"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}[(*alternatives, kind)[0]]
    return f"{words} or none" if NoneType in alternatives else words


def did_you_mean(kind: str, name: str, known: tuple[str, ...]) -> UserError:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return UserError(f"unknown {kind} {name!r}: {hint}")


def _one_of(kind: str, name: str, known: Any) -> str:
    if name not in known:
        raise did_you_mean(kind, name, tuple(known))
    return name


def _device(name: str) -> str:
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError):
        raise UserError(f"device {name!r} is not available here: use --device cpu") from None
    return name
