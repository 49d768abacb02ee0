"""From what a user sets to every setting of a reinforcement-learning run, and to the lines of its dry run.

Torch is loaded only to ask a device whether it computes in bfloat16, and only after all else is known to be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rl_pbt import options
from rl_pbt.agents import AGENTS
from rl_pbt.agents.hypers import ACTING, UNROLL_LENGTH, HyperSpec
from rl_pbt.config import RunConfig
from rl_pbt.envs import EnvSpec, chosen_of, resumable_form
from rl_pbt.errors import BadSetting, did_you_mean, near_names
from rl_pbt.options import Settings
from rl_pbt.ranges import Searched, read_search
from rl_pbt.records import JSON, Hyper
from rl_pbt.space import Choice, Integer
from rl_pbt.tasks.completing import SHARED_DEFAULTS, by_name, half
from rl_pbt.tasks.on_environments.limits import cut_episodes, longest_episode
from rl_pbt.tasks.on_environments.resolving import check_resumed, environment_settings, in_words, resolved
from rl_pbt.tasks.on_environments.whole_episodes import fitted, seen_in_words, unseen_from_step
from rl_pbt.tasks.on_environments.words import in_a_word
from rl_pbt.tasks.other_words import our_word
from rl_pbt.tasks.rl.defaults import defaults_of, defaults_of_unknown, is_unknown
from rl_pbt.tasks.rl.learners import Defaults
from rl_pbt.tasks.rl.options import ALIASES, RLOptions
from rl_pbt.tasks.rl.unknown import nature_of
from rl_pbt.text import listed, readable


def completed(given: Settings, recorded: Settings | None) -> Settings:
    """`tasks.base.TaskType.complete` for reinforcement learning."""
    whole = _checked(given, recorded)
    fixed = whole["agent_options"]
    if not recorded and fixed["autocast"] and "autocast" not in given.get("agent_options", {}):  # it is its family's default
        from rl_pbt.agents.networks import computes_in_bfloat16  # noqa: PLC0415 - it loads torch

        fixed["autocast"] = computes_in_bfloat16(given.get("device", "cpu"))
    return whole


def foreseen(given: Settings) -> Settings | None:
    """All settings of a new run, except what the device decides; loads nothing large. Raises UserError for what is wrong.

    None for an environment without defaults: what it is like is found out once, when settings are completed.
    """
    env = resolved(environment_settings(given, {}))
    return None if is_unknown(env.family, env.id) else _checked(given, None)


def _checked(given: Settings, recorded: Settings | None) -> Settings:
    """All settings, except what the device decides."""
    env = _environment(given, recorded)
    base = recorded or _defaults(env, given)
    agent = _agent(given, base["agent"])
    check_resumed(given, recorded, agent=agent)
    whole = {
        **base,
        **given,
        "env": env.id,
        "agent": agent,
        **_learned_with(agent, given, base),
        "env_options": dict(env.options),
        "frame_skip": env.frame_skip,
    }
    if recorded:  # perhaps by a version with fewer options: those that came later have their defaults
        known_then = {*recorded["agent_options"], *given.get("agent_options", {})}
        whole["agent_options"] = {name: value for name, value in whole["agent_options"].items() if name in known_then}
    if whole["carry_episodes"] and resumable_form(env) is None:
        raise BadSetting("carry_episodes", f"cannot be: episodes of {env.id} cannot be left and continued")
    return whole if recorded else {**whole, **_seen(env, whole)}


def _environment(given: Settings, recorded: Settings | None) -> EnvSpec:
    """The environment that is asked for. Raises UserError if there is none, or if it is not that of the resumed run."""
    check_resumed(given, recorded, backend=given.get("backend"))
    env = resolved(environment_settings(given, recorded or {}))
    check_resumed(given, recorded, env=env.id, env_options=dict(chosen_of(env.options)))
    if given.get("frame_skip", env.frame_skip) != env.frame_skip:
        raise BadSetting("frame_skip", f"is a record of what {env.id} is, {env.frame_skip}, and cannot be set")
    return env


def _learned_with(agent: str, given: Settings, base: Settings) -> dict[str, Any]:
    """The agent's hyperparameters, their ranges, and its options: those `given` over those of `base`."""
    learning = AGENTS[agent].hypers
    known = {**learning, **ACTING}
    hypers, search = searched(known, given.get("search", {}), base["hypers"], base["search"])
    for name, value in by_name(given.get("hypers", {}), "hypers", lambda word: _known(known, word, "hypers")).items():
        hypers[name] = _legal(known, name, value, "hypers")
    if missing := [name for name in learning if name not in hypers and name not in search]:
        raise BadSetting("hypers", f"must have a value of each hyperparameter: add {', '.join(missing)}")
    fixed = agent_options(agent, given.get("agent_options", {}), base["agent_options"])
    if UNROLL_LENGTH in search:  # its published value is the agent's option
        hypers.setdefault(UNROLL_LENGTH, int(str(fixed[UNROLL_LENGTH])))
    elif UNROLL_LENGTH in hypers:  # held
        fixed[UNROLL_LENGTH] = int(hypers.pop(UNROLL_LENGTH))
    return {"hypers": hypers, "search": search, "agent_options": fixed}


def _seen(env: EnvSpec, whole: Settings) -> dict[str, int | None]:
    """How much of an episode a new run sees: where episodes are cut, and what training sees nothing of."""
    interval, copies = whole["interval"], int(whole["agent_options"]["envs_per_member"])
    return {
        "cut_after_frames": longest_episode(env, whole.get("max_episode_frames"), interval),
        "unseen_from_step": None if whole["carry_episodes"] else unseen_from_step(env, copies, interval),
    }


def _agent(given: Settings, otherwise: str) -> str:
    """The name of the agent that is asked for, in either case. Raises UserError for an unknown one."""
    agent = str(given.get("agent", otherwise)).lower()
    if agent not in AGENTS:
        raise did_you_mean("agent", agent, AGENTS)
    return agent


def _defaults(env: EnvSpec, given: Settings) -> Settings:
    """Defaults of a new run. What depends on the budget or the population depends on the given ones."""
    known = _defaults_for(env)
    agent = _agent(given, known.agent)
    budget = given.get("budget", known.frames)
    population = given.get("population", known.population)
    learner = known.learner(agent)
    fixed, hypers = dict(learner.options), dict(learner.hypers)
    if agent_options(agent, given.get("agent_options", {}), fixed)["core"] != "none":
        fixed |= learner.recurrent_options
        hypers |= learner.recurrent_hypers
    interval = given.get("interval", min(known.interval, max(budget, 1)))
    carried = given.get("carry_episodes", env.resumable)
    chosen = {name for place in ("agent_options", "search", "hypers") for name in given.get(place, {})}
    if not carried and not {"envs_per_member", UNROLL_LENGTH} & chosen:
        fixed = fitted(env, agent_options(agent, {}, fixed), interval)
    return {
        **SHARED_DEFAULTS,
        "agent": agent,
        "population": population,
        "budget": budget,
        "interval": interval,
        "group_size": half(population),
        "hypers": {name: hypers.get(name, hyper.default) for name, hyper in AGENTS[agent].hypers.items()},
        "search": {**known.search, **learner.search},
        "eval_episodes": known.eval_episodes,
        "carry_episodes": carried,
        "test_episodes": known.test_episodes,
        "agent_options": fixed,
    }


def _defaults_for(env: EnvSpec) -> Defaults:
    if not is_unknown(env.family, env.id):
        return defaults_of(env.family, env.id)
    nature = nature_of(env)
    return defaults_of_unknown(continuous=nature.continuous, pictures=nature.pictures)


def searched(
    known: Mapping[str, HyperSpec], given: Settings, hypers: Mapping[str, Hyper], search: Mapping[str, str]
) -> tuple[dict[str, Hyper], dict[str, str]]:
    """Values and ranges of all hyperparameters: a `given` range replaces the one before, and a given number fixes it."""
    held, ranges = dict(hypers), dict(search)
    for name, written in by_name(given, "search", lambda word: _known(known, word, "search")).items():
        found = read_search(name, written, search.get(name))
        if isinstance(found, Searched):
            for extreme in found.dimension.extremes:
                _legal(known, name, extreme, "search")
            if known[name].whole and not isinstance(found.dimension, Choice | Integer):
                raise BadSetting("search", f"cannot use {name}: it is a whole number, so write {name}=int:LOW:HIGH")
            ranges[name] = found.text
        else:
            held[name] = _legal(known, name, found.value, "search")
            ranges.pop(name, None)
    return held, ranges


def _known(known: Mapping[str, HyperSpec], word: str, setting: str) -> str:
    """The agent's name for a hyperparameter, which may have an alias. Raises BadSetting for one that it does not have."""
    name = ALIASES.get(word, word)
    if name in known:
        return name
    if owners := [agent for agent, entry in AGENTS.items() if name in entry.hypers]:
        raise BadSetting(setting, f"names {word!r}, a hyperparameter of {listed(owners)}, which this agent does not have")
    if any(name in options.types_of(entry.config) for entry in AGENTS.values() if set(entry.hypers) <= set(known)):
        raise BadSetting(setting, f"names {word!r}, which stays fixed while an agent trains: set it among the agent_options")
    near = near_names(word, [*known, *(alias for alias, ours in ALIASES.items() if ours in known)])
    raise BadSetting(setting, f"names an unknown hyperparameter {word!r}: {near}")


def _legal(known: Mapping[str, HyperSpec], name: str, value: object, setting: str) -> float:
    """The value as a number. Raises BadSetting for a value that the agent cannot use."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        way_out = f"write {name}=SCALE:LOW:HIGH, as in {name}=log:1e-5:1e-2" if setting == "search" else "write a number"
        raise BadSetting(setting, f"cannot set {name} to {value!r:.100}: {way_out}")
    if complaint := known[name].complaint(value):
        raise BadSetting(setting, f"cannot use {name}: it {complaint}")
    return float(value)


def agent_options(agent: str, given: Settings, defaults: Settings) -> dict[str, JSON]:
    """Every option of the agent: those `given`, as values or as text, over `defaults` over those of its configuration.

    Raises BadSetting for an unknown option or an invalid value.
    """
    config = AGENTS[agent].config
    kinds = options.types_of(config)
    values = dict(defaults)
    for name, value in given.items():
        if name not in kinds:
            raise BadSetting("agent_options", f"has no {name!r}: {_where(agent, name) or near_names(name, kinds)}")
        try:
            values[name] = options.read(name, value, kinds[name]) if isinstance(value, str) else value
        except BadSetting as error:
            raise BadSetting("agent_options", f"cannot be used: {error}") from None
    try:
        return options.plain(options.built(config, values))
    except (ValueError, BadSetting) as error:
        raise BadSetting("agent_options", f"cannot be used: {error}") from None


def _where(agent: str, name: str) -> str | None:
    """Where a name belongs that is no option of the agent, if it is known."""
    hyper = ALIASES.get(name, name)
    if hyper in AGENTS[agent].hypers:
        return "it is a hyperparameter, so set it among the hypers, or search it"
    if owners := [owner for owner, entry in AGENTS.items() if hyper in entry.hypers]:
        return f"it is a hyperparameter of {listed(owners)}, which this agent does not have"
    ours = our_word(name)
    return f"it is {ours.split(' ')[1].rstrip('=')} here" if ours and ours.startswith("agent_options ") else None


def described(config: RunConfig, network: str) -> list[tuple[str, str]]:
    """Lines of the dry run; `network` describes the network that reads observations."""
    chosen = options.built(RLOptions, config.task_options)
    fixed = ", ".join(f"{name}={in_a_word(value)}" for name, value in chosen.agent_options.items())
    env = resolved(config.task_options)
    limits = [frames for frames in (env.max_episode_frames, chosen.max_episode_frames) if frames is not None]
    cut = cut_episodes(env, chosen.max_episode_frames, config.interval)
    copies = options.built(AGENTS[chosen.agent].config, chosen.agent_options).envs_per_member
    seen = None if chosen.carry_episodes else seen_in_words(env, copies, config.interval)
    if seen and resumable_form(env):
        seen += "; with carry_episodes, episodes continue in the next interval"
    return [
        ("environment", f"{in_words(config.task_options)}, frame skip {chosen.frame_skip}; agent {chosen.agent}"),
        ("evaluated on", _evaluation(config, chosen, min(limits, default=None))),
        *([("episodes", cut)] if cut else []),
        *([("trains on", seen)] if seen else []),
        ("agent", fixed),
        ("network", network),
    ]


def _evaluation(config: RunConfig, chosen: RLOptions, longest: int | None) -> str:
    if chosen.fitness == "training":
        return "the training episodes that end in a generation"
    text = f"{chosen.eval_episodes} episodes after each generation"
    if longest is None:
        return text
    most = chosen.eval_episodes * longest
    text += f", of at most {readable(longest)} frames each"
    return f"{text}; if they last that long, fewer or shorter generations are trained" if 2 * most > config.interval else text
