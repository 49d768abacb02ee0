"""From names to objects: the one place where settings become a configuration, and a configuration the objects it names.

Users see one flat list of settings: keywords, a TOML file or flags. `configure` sorts them into those of the search
(`RunConfig`), of the task and of the methods.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import final

from rl_pbt import options
from rl_pbt.config import RunConfig, check_contrasts, check_extent
from rl_pbt.errors import BadSetting, did_you_mean, near_names
from rl_pbt.executors import EXECUTORS, Executor, ExecutorOptions
from rl_pbt.options import Settings
from rl_pbt.ranges import read_search
from rl_pbt.schedule import PREFIX, check_replay, read_schedules, replaying
from rl_pbt.search import METHODS, Method, Plan, Problem
from rl_pbt.search.annealed import names_of
from rl_pbt.space import Linear
from rl_pbt.tasks.base import Machine, Task, TaskType
from rl_pbt.tasks.completing import SHARED_DEFAULTS, by_name
from rl_pbt.tasks.other_words import our_word
from rl_pbt.tasks.registry import named, task_type

OWN = frozenset({"task_options", "method_options"})  # fields of RunConfig that users fill by naming the options themselves


def configure(settings: Settings, recorded: RunConfig | None = None, *, elsewhere: AbstractSet[str] = frozenset()) -> RunConfig:
    """The configuration of these settings, on top of the defaults of their task or of the configuration of a resumed run.

    Names that are set `elsewhere` are not proposed in place of an unknown one. Raises UserError for an unknown name or an invalid
    value.
    """
    sorted_out = sort_out(settings, recorded, elsewhere=elsewhere)
    kind = task_type(sorted_out.task)
    whole = kind.complete(sorted_out.given, _flat(recorded) if recorded else None)
    config = _assembled(sorted_out, whole, recorded.method_options if recorded else whole)
    if recorded is None:
        _check_annealed(config)
    check_replay(config)
    return config


def _assembled(sorted_out: SortedOut, whole: Settings, of_methods: Settings) -> RunConfig:
    """The configuration of all settings of the search and of the task, with usual or recorded options `of_methods`."""
    kind = task_type(sorted_out.task)
    chosen = tuple(sorted_out.methods or whole["methods"])
    return RunConfig(
        task=sorted_out.task,
        methods=chosen,
        **{s: options.checked(s, whole[s], options.types_of(RunConfig)[s]) for s in SHARED},
        task_options=options.plain(options.built(kind.options, {s: v for s, v in whole.items() if s in _names(kind.options)})),
        method_options=_method_options(chosen, _our_names(sorted_out, whole), of_methods),
    )


def _our_names(sorted_out: SortedOut, whole: Settings) -> Settings:
    """The given options of methods, with our names for the hyperparameters that they name."""
    aliases = {word: name for word, name in task_type(sorted_out.task).hyper_aliases.items() if word not in whole["search"]}
    given = dict(sorted_out.of_methods)
    for entry in METHODS.values():
        for option, one in options.fields_of(entry.options).items():
            if option in sorted_out.of_methods and options.about(one).of_hypers:
                given[option] = _renamed(option, sorted_out.of_methods[option], aliases)
    return given


def _renamed(option: str, named: object, aliases: Mapping[str, str]) -> object:
    """Names of hyperparameters, as keys or separated by commas, without aliases. Raises BadSetting for two names of one."""
    if isinstance(named, Mapping):
        return by_name(named, option, lambda word: aliases.get(word, word))
    if not isinstance(named, str):
        return named
    words = dict.fromkeys(word.strip() for word in named.split(","))
    return ",".join(by_name(words, option, lambda word: aliases.get(word, word)))


def check_methods(sorted_out: SortedOut, whole: Settings) -> None:
    """Raises UserError for options, or a budget, with which a method cannot be made, before the task is: that may load torch."""
    config = _assembled(sorted_out, whole, whole)
    _check_annealed(config)
    plan = Plan.nominal(config)
    for name in config.methods:
        _method(name, config, config.seeds[0], plan)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SortedOut:
    """Settings by owner. `given` are those of the search and of the task, converted to the types of their fields.

    `methods` is None if none were named; `of_methods` are the options of the methods, not checked yet.
    """

    task: str
    given: Settings
    methods: tuple[str, ...] | None
    of_methods: Settings


def sort_out(settings: Settings, recorded: RunConfig | None = None, *, elsewhere: AbstractSet[str] = frozenset()) -> SortedOut:
    """The first half of `configure`; loads no training code. Raises UserError."""
    name, others = named(settings, recorded.task if recorded else None)
    kind = task_type(name)
    flat = {kind.aliases.get(setting, setting): value for setting, value in others.items()}
    methods, replay = _methods(flat.pop("methods", None))
    of_task = _names(kind.options)
    of_methods = {setting for entry in METHODS.values() for setting in _names(entry.options)}
    for setting in flat:
        if setting not in SHARED | of_task | of_methods:
            known = _proposals(kind) - elsewhere
            ours = our_word(setting)
            hint = f"here that is {ours}" if ours and ours.split(" ")[0] in known else near_names(setting, sorted(known))
            raise BadSetting(setting, f"is not a setting of the task {name}: {hint}")
    given: Settings = {
        s: _checked(s, v, RunConfig if s in SHARED else kind.options) for s, v in flat.items() if s in SHARED | of_task
    }
    chosen = methods or (recorded.methods if recorded else SHARED_DEFAULTS["methods"])
    check_contrasts(chosen, given.get("primary"), given.get("against"))
    return SortedOut(
        task=name, given=given, methods=methods, of_methods={**{s: v for s, v in flat.items() if s in of_methods}, **replay}
    )


def _proposals(kind: TaskType) -> set[str]:
    """The names that a user may set with a task of that kind: not those of what the task itself finds, such as a digest."""
    of_methods = {setting for entry in METHODS.values() for setting in options.settable(entry.options)}
    of_all = {"task", "methods", *(SHARED & options.settable(RunConfig))}
    return of_all | options.settable(kind.options) | of_methods | set(kind.aliases)


def _check_annealed(config: RunConfig) -> None:
    """Raises BadSetting for a method with a schedule made by hand, for a hyperparameter that the training lowers itself."""
    own = task_type(config.task).anneals(config.task_options)
    by_hand = [name for name in config.methods if METHODS[name].made_by_hand]
    if by_hand and (twice := [name for name in names_of(config.method_options["annealed"]) if name in own]):
        told = f"cannot have {by_hand[0]} of a training that anneals its {twice[0]}: it would be lowered twice"
        raise BadSetting("methods", f"{told}; leave out one of the two")


def check_early(settings: Settings) -> None:
    """Raises UserError for settings that are invalid for every task; known before anything large is loaded."""
    types = options.types_of(RunConfig)
    for name, written in options.checked("search", settings.get("search", {}), types["search"]).items():
        read_search(name, written, Linear.scale)  # whose bounds every scale allows: the usual one is not known yet
    usual = {"methods": (), "seeds": (0,), "population": 2, "group_size": 1, "test_episodes": 1}
    extent = {name: options.checked(name, settings.get(name, value), types[name]) for name, value in usual.items()}
    interval = options.checked("interval", settings.get("interval", 1), types["interval"])
    budget = options.checked("budget", settings.get("budget", interval), types["budget"])
    check_extent(**extent)
    Plan(population=extent["population"], budget_per_member=budget, interval=interval)


def check_workers(workers: int | None) -> None:
    """Raises BadSetting for fewer than one."""
    if workers is not None and workers < 1:
        raise BadSetting("workers", f"must be 1 or more, but is {workers}")


def _checked(setting: str, value: object, cls: type) -> object:
    """The value, converted to the type of its field; a class is taken as it is, in place of its name."""
    return value if isinstance(value, type) else options.checked(setting, value, options.types_of(cls)[setting])


def _names(cls: type) -> set[str]:
    """The names of the options that a dataclass declares."""
    return set(options.types_of(cls))


SHARED = frozenset(_names(RunConfig) - OWN - {"task", "methods"})  # settings of every search


def _flat(config: RunConfig) -> Settings:
    """A configuration as one flat list of settings, without the options of methods."""
    return {s: getattr(config, s) for s in _names(RunConfig) - OWN - {"task"}} | dict(config.task_options)


def _methods(listed: object) -> tuple[tuple[str, ...] | None, Settings]:
    """The names of the methods, with `replay:RUN` expanded to those that replay it; and the schedules read from that run."""
    if listed is None:
        return None, {}
    words = options.checked("methods", listed, tuple[str, ...])
    runs = [word.removeprefix(PREFIX) for word in words if word.startswith(PREFIX)]
    if "" in runs:
        raise BadSetting("methods", f"must name the run that is replayed, as in {PREFIX}results/CartPole-v1/RUN")
    if len(runs) > 1:
        raise BadSetting("methods", "can replay one run, not several")
    replay = {"replay": read_schedules(Path(runs[0]))} if runs else {}
    names: list[str] = []
    for word in words:
        names += replaying(replay["replay"]) if word.startswith(PREFIX) else [word]
    for name in names:
        if name not in METHODS:
            raise did_you_mean("method", name, [*METHODS, f"{PREFIX}RUN"])
    if not names:
        raise BadSetting("methods", f"names no method: known are {', '.join(METHODS)}")
    return tuple(names), replay


def _method_options(methods: tuple[str, ...], given: Settings, usual: Settings) -> Settings:
    """A value for every option of the methods: the given one, else the recorded or usual one of the task, else the default."""
    declared: dict[str, type] = {}
    for method in methods:
        declared |= dict.fromkeys(_names(METHODS[method].options), METHODS[method].options)
    for name in given:
        if name not in declared:
            owners = [method for method, entry in METHODS.items() if name in _names(entry.options)]
            raise BadSetting(name, f"is an option of {', '.join(owners)}, and none of these is among the methods")
    known = {**usual, **given}
    whole = {}
    for name, cls in declared.items():
        one = options.fields_of(cls)[name]
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        whole[name] = options.checked(name, known.get(name, default), options.types_of(cls)[name])
    return {name: list(value) if isinstance(value, tuple) else value for name, value in whole.items()}


def check_recorded(config: RunConfig) -> None:
    """Raises UserError if a configuration read from a folder has a range or a value that its task does not accept."""
    task_type(config.task).complete({"search": config.search, "hypers": config.hypers}, _flat(config))


def make_task(config: RunConfig, workers: int) -> Task:
    """The task of a configuration, for that many workers on this machine. Raises UserError for what the task does not accept."""
    return task_type(config.task).make(config, machine(workers))


def machine(workers: int) -> Machine:
    """This machine, with that many workers."""
    return Machine(workers=workers, cores=os.cpu_count() or 1)


def plan_of(config: RunConfig, task: Task) -> Plan:
    """The budget of one method on one seed. Raises BadSetting for an impossible one."""
    return replace(Plan.nominal(config), quantum=task.quantum, free_evaluation=task.free_evaluation)


def make_method(name: str, config: RunConfig, seed: int, task: Task) -> Method:
    """A search method on one seed. Raises BadSetting for options, a space or a plan that it cannot work with."""
    return _method(name, config, seed, plan_of(config, task))


def _method(name: str, config: RunConfig, seed: int, plan: Plan) -> Method:
    entry = METHODS[name]
    problem = Problem(space=config.space, plan=plan, root_seed=seed, published=dict(config.hypers))
    own = {s: v for s, v in config.method_options.items() if s in _names(entry.options)}
    return entry.make(problem, options.built(entry.options, own))


def for_executor(settings: Settings) -> tuple[Settings, Settings]:
    """The settings of a run and, separately, those that are options of an executor, which change no result."""
    of_executors = {setting for entry in EXECUTORS.values() for setting in _names(entry.options)}
    return (
        {setting: value for setting, value in settings.items() if setting not in of_executors},
        {setting: value for setting, value in settings.items() if setting in of_executors},
    )


def executor_options(name: str, given: Settings) -> ExecutorOptions:
    """The options of an executor. Raises UserError for an unknown name, and BadSetting for an option of another executor."""
    if name not in EXECUTORS:
        raise did_you_mean("executor", name, EXECUTORS)
    for setting in given:
        if setting not in _names(EXECUTORS[name].options):
            owners = [owner for owner, entry in EXECUTORS.items() if setting in _names(entry.options)]
            raise BadSetting(setting, f"is an option of the executor {', '.join(owners)}, and this one is {name}")
    return options.built(EXECUTORS[name].options, given)


def make_executor(task: Task, workers: int, name: str | None = None, options: ExecutorOptions | None = None) -> Executor:
    """The executor of that name or, without a name, the simplest one with that many workers."""
    entry = EXECUTORS[name or default_executor(workers)]
    return entry.make(task, workers, options or entry.options())


def default_executor(workers: int) -> str:
    """The name of the simplest executor with that many workers."""
    return "inline" if workers == 1 else "processes"


def default_workers(config: RunConfig) -> int:
    """As many as can be busy at once, but no more than one per core."""
    return min(config.jobs_at_once, os.cpu_count() or 1)


def searches_at_once(config: RunConfig, workers: int) -> int:
    """As many searches as keep the workers busy, and one more for the gaps: a worker that is done waits for the last of its
    generation. One worker has no gaps.
    """
    return 1 if workers == 1 else -(-workers // config.groups) + 1
