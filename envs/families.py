"""Families of environments: the package they come from, what a typed name looks like, and what is set for all of them."""

from __future__ import annotations

import importlib
import importlib.util
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gymnasium.envs.registration import EnvSpec as GymnasiumSpec

from rl_pbt.envs import atari, dmlab, minigrid, smax, starcraft2, vizdoom
from rl_pbt.envs.aliases import Env, Options, UnknownEnv, Vector
from rl_pbt.envs.spec import EnvironmentUnavailable, EnvSpec

if TYPE_CHECKING:
    from rl_pbt.envs.watching import Watched

OURS = __name__.rpartition(".")[0]  # the package of our own environments


class Wrap(Protocol):
    """A wrapper that takes the options of its EnvSpec."""

    def __call__(self, env: UnknownEnv, options: Options) -> Env: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Environments that share a package. `entry` is the package that the module of a registered entry point is in.

    `needs` are the modules without which they cannot be made, and `install` is the command that installs those. `imports` is the
    module that is imported, or the module:function that is also called, before the first environment is made. If that registers
    the ids, `typed` are the beginnings of the names that people type for them, in lower-case letters and digits. `options` are
    recorded in the EnvSpec: `make_kwargs` go to the environment itself, the others to `wrap`, which wraps each single
    environment. `chosen_by_id` are the constructor's arguments that an id stands for, such as the map: with another value, the id
    would name another environment. `limits_itself` says that every episode ends through a limit that is not registered with
    Gymnasium. `lacks` returns what else is missing and what to do, to follow the name of an environment; "" if nothing is.

    The rest is for a family whose environments Gymnasium does not make one at a time. `namespace` may be left out of a typed
    name; ids without it are old, and must be typed in full. `specify` turns a registered environment into an EnvSpec, `choose`
    records what a user sets, any of `settable`, `make` makes that many copies with that many threads, and `watch` one copy with
    pictures for people. With `vectors_only`, even a single environment is made as a vector of one copy. With `resumes_slower`,
    episodes can be left and continued at the price of speed, where the EnvSpec says so.
    """

    entry: str
    typed: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    install: str = ""
    imports: str = ""
    frame_skip: int = 1
    vectorization_mode: str = "sync"
    options: Options = field(default_factory=dict)
    wrap: Wrap | None = None
    chosen_by_id: tuple[str, ...] = ()
    limits_itself: bool = False
    lacks: Callable[[], str] = str  # "", nothing
    namespace: str | None = None
    specify: Callable[[GymnasiumSpec], EnvSpec] | None = None
    settable: tuple[str, ...] = ()
    choose: Callable[[EnvSpec, Options], EnvSpec] | None = None
    make: Callable[[EnvSpec, int, int], Vector] | None = None
    watch: Callable[[EnvSpec], Watched] | None = None
    vectors_only: bool = False
    resumes_slower: bool = False


def _extra(name: str) -> str:
    return f"pip install -e '.[{name}]'"


FAMILIES: Mapping[str, Family] = {
    "atari": Family(
        entry="ale_py",
        namespace=atari.NAMESPACE,
        specify=atari.specify,
        settable=tuple(atari.SETTABLE),
        choose=atari.choose,
        make=atari.make_vector,
        watch=atari.Filmed,
        vectors_only=True,
        resumes_slower=True,
    ),
    "classic_control": Family(entry="gymnasium.envs.classic_control"),
    "toy_text": Family(entry="gymnasium.envs.toy_text"),
    "box2d": Family(entry="gymnasium.envs.box2d", needs=("Box2D",), install=_extra("box2d"), imports="Box2D"),
    "mujoco": Family(entry="gymnasium.envs.mujoco", needs=("mujoco",), install=_extra("mujoco")),
    "minatar": Family(
        entry="minatar",
        typed=("minatar",),
        imports="minatar.gym:register_envs",
        needs=("minatar",),
        install=_extra("minatar"),
        # The package's defaults, as in Young & Tian 2019, "MinAtar"; set here so that they are recorded.
        options={"make_kwargs": {"sticky_action_prob": 0.1, "difficulty_ramping": True}},
        chosen_by_id=("game",),
    ),
    "minigrid": Family(
        entry="minigrid",
        typed=("minigrid", "babyai"),
        imports="minigrid",
        needs=("minigrid",),
        install=_extra("minigrid"),
        options=minigrid.OPTIONS,
        wrap=minigrid.OneHotView,
        limits_itself=True,
    ),
    "vizdoom": Family(
        entry="vizdoom",
        typed=("vizdoom",),
        imports="vizdoom.gymnasium_wrapper",
        needs=("vizdoom",),
        install=_extra("vizdoom"),
        frame_skip=vizdoom.FRAME_SKIP,
        options=vizdoom.OPTIONS,
        wrap=vizdoom.Screen,
        chosen_by_id=("scenario_config_file",),
    ),
    "dmlab": Family(
        entry="dmlab_gym",
        typed=("dmlab", "deepmindlab"),
        imports="dmlab_gym",
        needs=("dmlab_gym", "deepmind_lab"),
        install="pip install dmlab-gym && dmlab-gym build",
        frame_skip=dmlab.FRAME_SKIP,
        vectorization_mode="async",  # a process can run only one engine
        vectors_only=True,
        options=dmlab.OPTIONS,
        wrap=dmlab.SkipFrames,
        limits_itself=True,
    ),
    "smax": Family(
        entry=smax.__name__,
        typed=("smax",),
        imports=f"{smax.__name__}:register_maps",
        needs=("jaxmarl",),
        install=_extra("starcraft"),
        options=smax.OPTIONS,
        chosen_by_id=("map_name",),
    ),
    "starcraft2": Family(
        entry=starcraft2.__name__,
        typed=("starcraft2", "starcraftii"),
        imports=f"{starcraft2.__name__}:register_mini_games",
        needs=(starcraft2.PACKAGE,),
        install=starcraft2.INSTALL,
        lacks=starcraft2.lacks,
        frame_skip=starcraft2.FRAME_SKIP,
        vectorization_mode="async",  # so that the games, which are programs of their own, play at the same time
        options=starcraft2.OPTIONS,
        chosen_by_id=("map_name",),
        limits_itself=True,
    ),
    "probe": Family(entry="rl_pbt.envs.probes"),
    "gymnasium": Family(entry=""),  # any other
}


def family_of(spec: GymnasiumSpec) -> str:
    """The family whose package has the module of the entry point; `gymnasium` if none has."""
    entry = spec.entry_point or spec.vector_entry_point
    module = entry.partition(":")[0] if isinstance(entry, str) else getattr(entry, "__module__", "")
    return next(name for name, family in FAMILIES.items() if _within(module, family.entry))


def _within(module: str, package: str) -> bool:
    return not package or module == package or module.startswith(f"{package}.")


def family_of_name(name: str) -> str | None:
    """The family whose ids a typed name looks like, among those that register their ids only when one is asked for; or None."""
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((key for key, family in FAMILIES.items() if family.typed and letters.startswith(family.typed)), None)


def register(name: str, what: str) -> None:
    """Import what a family's environments need to be known and made; repeating it does no harm.

    Raises EnvironmentUnavailable for `what`.
    """
    require(name, what)
    register_ids(name, what)


def register_ids(name: str, what: str) -> None:
    """Make the ids of a family known. Only ids that its package registers need the package, so that a name which our own module
    does not register is an unknown one, whether the package is installed or not.

    Raises EnvironmentUnavailable for `what`. Deprecation warnings from within the package are ignored: they are not ours to fix,
    and turned into errors they would crash Python in Box2D.
    """
    module, _, function = FAMILIES[name].imports.partition(":")
    if not module or name in _registered_families:
        return
    if not _within(module, OURS):
        require(name, what)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            imported = importlib.import_module(module)
        except (Exception, SystemExit) as error:
            raise EnvironmentUnavailable(
                f"{what} cannot be made, for {module!r} cannot be imported: {import_failure(module, error)}"
            ) from error
    if function:
        getattr(imported, function)()
    _registered_families.add(name)


def import_failure(module: str, error: BaseException) -> str:
    """One line on why `module` could not be imported, which names what is really missing."""
    absent = error.name if isinstance(error, ModuleNotFoundError) else None
    if absent is None:
        said = " ".join(str(error).split())
        return f"{type(error).__name__}: {said}" if said else type(error).__name__
    if absent == module or module.startswith(f"{absent}."):
        return f"there is no module {absent!r}, install it, or set PYTHONPATH"
    package = absent.partition(".")[0]
    return f"it needs the package {package!r}, which is not installed: pip install {package}"


_registered_families: set[str] = set()  # Gymnasium complains about a second registration


def require(name: str, what: str) -> None:
    """Raise EnvironmentUnavailable for `what` where a module, or anything else that a family needs, is not installed."""
    family = FAMILIES[name]
    for module in family.needs:
        if importlib.util.find_spec(module) is None:
            raise EnvironmentUnavailable(missing(what, module, family.install))
    if lacking := family.lacks():
        raise EnvironmentUnavailable(f"{what} {lacking}")


def missing(what: str, module: str, install: str) -> str:
    """One line: `what` needs a module that is not installed, and the command that installs it."""
    return f"{what} needs the package {module!r}, which is not installed: {install}"
