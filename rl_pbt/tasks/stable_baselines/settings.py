"""From what a user sets to every setting of a Stable-Baselines3 run, and to the lines of its dry run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from rl_pbt import options
from rl_pbt.config import RunConfig
from rl_pbt.envs import DEFAULT_BACKEND, EnvSpec, chosen_of
from rl_pbt.envs.spec import FRAME_STACK
from rl_pbt.errors import BadSetting, UserError, did_you_mean, near_names
from rl_pbt.options import Settings
from rl_pbt.ranges import Held, read_search
from rl_pbt.records import JSON, Hyper
from rl_pbt.space import is_range, range_or_value
from rl_pbt.tasks.completing import SHARED_DEFAULTS, by_name
from rl_pbt.tasks.on_environments.limits import cut_episodes, longest_episode
from rl_pbt.tasks.on_environments.resolving import check_resumed, environment_settings, in_words, resolved
from rl_pbt.tasks.on_environments.spaces import KnownSpaces, Spaces
from rl_pbt.tasks.on_environments.whole_episodes import seen_in_words, unseen_from_step
from rl_pbt.tasks.on_environments.words import in_a_word
from rl_pbt.tasks.stable_baselines import arguments
from rl_pbt.tasks.stable_baselines.arguments import ALGORITHMS, PREFIX
from rl_pbt.tasks.stable_baselines.defaults import SEARCH, defaults_of
from rl_pbt.tasks.stable_baselines.environments import make_one
from rl_pbt.tasks.stable_baselines.options import ALIASES, StableBaselinesOptions
from rl_pbt.text import readable

LEAST_CNN_SIDE = 36  # pixels: the smallest image that SB3's CnnPolicy can see
NUMBER_BYTES = 4
# Families in which the likeliest actions get stuck, so that actions are drawn, as in rl-baselines3-zoo's `enjoy`.
DRAWN_IN_EVALUATION = frozenset({"atari", "minigrid"})


def completed(given: Settings, recorded: Settings | None) -> Settings:
    """`tasks.base.TaskType.complete` for Stable-Baselines3."""
    before = recorded or {}
    env = resolved({**environment_settings(given, before), "backend": DEFAULT_BACKEND})
    check_resumed(given, recorded, env=env.id, env_options=dict(chosen_of(env.options)))
    algorithm = algorithm_of(given.get("agent", before.get("agent", f"{PREFIX}ppo")))
    check_resumed(given, recorded, agent=f"{PREFIX}{algorithm}")
    refuse_stacks(env)
    observations, actions = spaces_of(env)
    refuse_actions(env, algorithm, actions)
    base = recorded or _defaults(env, algorithm, given, observations)
    values = _Values(algorithm, dict(base["hypers"]), dict(base["search"]), dict(base["agent_options"]))
    for name, value in values.by_name(given, "agent_options").items():
        values.hold(name, value, "agent_options")
    for name, value in values.by_name(given, "hypers").items():
        values.publish(name, value)
    for name, value in values.by_name(given, "search").items():
        values.search_or_hold(name, value)
    values.refuse_idle()
    whole = {
        **base,
        **given,
        "env": env.id,
        "agent": f"{PREFIX}{algorithm}",
        "hypers": values.hypers,
        "search": values.search,
        "agent_options": values.fixed,
        # SB3 steps single environments, however ours are made.
        "env_options": {name: value for name, value in env.options.items() if name != "vectorization_mode"},
        "frame_skip": env.frame_skip,
    }
    if not recorded:
        copies = values.fixed["n_envs"]
        assert isinstance(copies, int)
        whole["cut_after_frames"] = longest_episode(env, whole.get("max_episode_frames"), whole["interval"])
        whole["unseen_from_step"] = unseen_from_step(env, copies, whole["interval"])
    return whole


def algorithm_of(agent: str) -> str:
    """`ppo` for `sb3:ppo`. Raises UserError for an agent that is not Stable-Baselines3's."""
    name = str(agent).lower().removeprefix(PREFIX)
    if name not in ALGORITHMS:
        raise did_you_mean("agent", agent, [f"{PREFIX}{known}" for known in ALGORITHMS])
    return name


def _spaces_of_one(spec: EnvSpec) -> Spaces:
    env = make_one(spec)
    env.close()
    return env.observation_space, env.action_space


spaces_of = KnownSpaces(_spaces_of_one)


def refuse_stacks(env: EnvSpec) -> None:
    """Raises BadSetting for frames that we stack, since SB3's networks would not see them as images."""
    if env.frame_stack is not None:
        raise BadSetting("env_options", f"cannot set {FRAME_STACK} for agents of SB3: stack frames in an environment of your own")


def refuse_actions(env: EnvSpec, algorithm: str, actions: spaces.Space[object]) -> None:
    """Raises UserError for actions that the algorithm does not take."""
    if not isinstance(actions, arguments.ACTIONS[algorithm]):
        takers = [f"{PREFIX}{name}" for name, kinds in arguments.ACTIONS.items() if isinstance(actions, kinds)]
        way_out = f"use {' or '.join(takers)}" if takers else "no algorithm of SB3 takes them"
        raise UserError(f"{env.id} has {type(actions).__name__} actions, which {PREFIX}{algorithm} does not take: {way_out}")
    if isinstance(actions, spaces.Discrete) and actions.start != 0:
        raise UserError(f"{env.id} has actions from {actions.start} on, but SB3 counts from 0: use TransformAction (gymnasium)")
    if isinstance(actions, spaces.Box) and not actions.is_bounded():
        raise UserError(f"{env.id} has actions without bounds, which SB3 does not take: use RescaleAction (gymnasium.wrappers)")


def _defaults(env: EnvSpec, algorithm: str, given: Settings, observations: spaces.Space[object]) -> Settings:
    """Defaults of a new run. What depends on the budget depends on the given one."""
    known = defaults_of(algorithm, env.family, env.id)
    budget = given.get("budget", known.frames)
    fixed = {**arguments.agent_options(algorithm)[1], "policy": policy_of(observations), **known.agent_options}
    if "buffer_size" in fixed:  # no larger than can be filled
        fixed["buffer_size"] = min(fixed["buffer_size"], max(1, budget // env.frame_skip))
    return {
        **SHARED_DEFAULTS,
        "budget": budget,
        "interval": min(known.interval, max(budget, 1)),
        "group_size": 1,  # members train one after the other
        "hypers": {**arguments.defaults_of(algorithm), **known.hypers},
        "search": dict(SEARCH[algorithm]),
        "eval_episodes": known.eval_episodes,
        "deterministic": env.family not in DRAWN_IN_EVALUATION,
        "test_episodes": known.test_episodes,
        "agent_options": fixed,
    }


def policy_of(observations: spaces.Space[object]) -> str:
    """SB3's name for the network that suits these observations."""
    shape = sorted(observations.shape or ())
    return "CnnPolicy" if is_image_space(observations) and shape[1] >= LEAST_CNN_SIDE else "MlpPolicy"


@final
@dataclass(frozen=True, slots=True)
class _Values:
    """Hyperparameters, ranges and fixed options of one agent, which change together: a value is held, or a range is searched."""

    algorithm: str
    hypers: dict[str, Hyper]
    search: dict[str, str]
    fixed: dict[str, JSON]

    def by_name(self, given: Settings, setting: str) -> Settings:
        """What the setting gives, by SB3's names."""
        return by_name(given.get(setting, {}), setting, lambda word: self._known(word, setting))

    def search_or_hold(self, word: str, written: object) -> None:
        name = self._known(word, "search")
        searchable = arguments.searchable(self.algorithm)
        if is_range(written) and name not in searchable:
            why = arguments.fixed(self.algorithm).get(name, "is not a number")
            raise BadSetting("search", f"cannot vary {name}, which {why}: hold it, as in {name}={self.fixed[name]}")
        found = read_search(name, written, self.search.get(name))
        if isinstance(found, Held):
            self.hold(name, found.value, "search")
            return
        middle = found.dimension.from_unit(0.5)
        for value in (*found.dimension.extremes, middle):
            complaint = "must be a number in a range" if isinstance(value, str) else searchable[name].complaint(value)
            if complaint:
                hint = f"; write {name}=int:LOW:HIGH" if "whole" in complaint else ""
                raise BadSetting("search", f"cannot use {found.text} for {name}: it {complaint}{hint}")
        self.search[name] = found.text
        if not isinstance(self.hypers.get(name), int | float):  # hand tuning needs a number too
            self.hypers[name] = searchable[name].value(middle)

    def hold(self, word: str, value: object, setting: str) -> None:
        name = self._known(word, setting)
        if name not in arguments.searchable(self.algorithm):
            self.fixed[name] = self._option(name, value, setting)
            return
        self.publish(name, value)
        self.search.pop(name, None)

    def publish(self, word: str, value: object) -> None:
        """Set the hand-tuned value, also for a name that is searched; `none` unsets it if SB3 has no default either."""
        name = self._known(word, "hypers")
        argument = arguments.searchable(self.algorithm).get(name)
        if argument is None:
            raise BadSetting("hypers", f"cannot set {name}: set it among the agent_options")
        number = range_or_value(value)
        if number in (None, "none") and argument.default is None:
            self.hypers.pop(name, None)
        elif complaint := argument.complaint(number):
            raise BadSetting("hypers", f"cannot use {name}: it {complaint}")
        elif isinstance(number, int | float | str):
            self.hypers[name] = argument.value(number)

    def refuse_idle(self) -> None:
        """Raises BadSetting for a range that would have no effect, since SB3 reads the argument only with another choice."""
        for name, (other, wanted) in arguments.NEEDS.items():
            chosen = {**self.fixed, **self.hypers}.get(other)
            if name in self.search and chosen != wanted:
                raise BadSetting("search", f"cannot vary {name}: SB3 reads it only with {other}={wanted}, and it is {chosen}")

    def _known(self, word: str, setting: str) -> str:
        known = {**arguments.searchable(self.algorithm), **arguments.agent_options(self.algorithm)[0]}
        name = word if word in known else ALIASES.get(word, word)
        if name not in known:
            near = near_names(word, [*known, *(alias for alias, ours in ALIASES.items() if ours in known)])
            raise BadSetting(setting, f"names {word!r}, which {PREFIX}{self.algorithm} does not have: {near}")
        return name

    def _option(self, name: str, value: object, setting: str) -> JSON:
        kind = arguments.agent_options(self.algorithm)[0][name]
        value = [] if (name, value) == ("net_arch", "default") else value
        try:
            if kind is int and isinstance(value, float) and value == int(value):
                value = int(value)  # on the command line it was read as a number
            found: object = options.read(name, value, kind) if isinstance(value, str) else options.checked(name, value, kind)
        except BadSetting as error:
            raise BadSetting(setting, f"cannot be used: {error}") from None
        if kind is int and isinstance(found, int) and found < 1:
            raise BadSetting(setting, f"cannot be used: {name} must be 1 or more, but is {found}")
        return options.as_json(found)


def described(config: RunConfig) -> list[tuple[str, str]]:
    """Lines of the dry run."""
    chosen = options.built(StableBaselinesOptions, config.task_options)
    algorithm = algorithm_of(chosen.agent)
    how = "the likeliest actions" if chosen.deterministic else "actions drawn as in training"
    evaluated = f"{chosen.eval_episodes} episodes after each generation, {how}"
    if chosen.fitness == "training":
        evaluated = "the training episodes that end in a generation"
    fixed = ", ".join(f"{name}={in_a_word(value, empty='default')}" for name, value in chosen.agent_options.items())
    quantum = arguments.quantum_of(algorithm, chosen.agent_options) * chosen.frame_skip
    env = resolved(config.task_options)
    cut = cut_episodes(env, chosen.max_episode_frames, config.interval)
    seen = seen_in_words(env, int(chosen.agent_options["n_envs"]), config.interval)
    lines = [
        ("environment", f"{in_words(config.task_options)}, frame skip {chosen.frame_skip}; agent {chosen.agent}"),
        ("evaluated on", evaluated),
        *([("episodes", cut)] if cut else []),
        *([("trains on", seen)] if seen else []),
        ("agent", fixed),
        ("trains for", f"multiples of {readable(quantum)} frames: whole rounds of steps and updates"),
    ]
    return lines if arguments.on_policy(algorithm) else [*lines, ("replay buffer", _replay(chosen, env))]


def _replay(chosen: StableBaselinesOptions, env: EnvSpec) -> str:
    if not chosen.replay_buffer:
        return "not in checkpoints: every interval begins with an empty one, copied or not"
    observations, actions = spaces_of(env)
    size = chosen.agent_options["buffer_size"]
    assert observations.dtype is not None
    seen = math.prod(observations.shape or ()) * observations.dtype.itemsize
    done = math.prod(actions.shape or (1,)) * (8 if isinstance(actions, spaces.Discrete) else NUMBER_BYTES)
    total = size * (2 * seen + done + 3 * NUMBER_BYTES)
    return f"in checkpoints, copied with the weights: up to {readable(size)} steps, {total / 1e6:.1f} MB"
