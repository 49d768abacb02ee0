"""Families of environments: which package has them, what a typed name looks like, and what is usually set for all of them."""

from __future__ import annotations

import importlib
import importlib.util
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gymnasium.envs.registration import EnvSpec as GymnasiumSpec

from rl_pbt.envs import dmlab, minigrid, smax, starcraft2, vizdoom
from rl_pbt.envs.aliases import Env, Options, UnknownEnv
from rl_pbt.envs.spec import EnvironmentUnavailable


class Wrap(Protocol):
    """A wrapper that is given the options of its EnvSpec."""

    def __call__(self, env: UnknownEnv, options: Options) -> Env: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Environments that share a package. `entry` is how the module of a registered entry point begins.

    `needs` are the modules without which they cannot be made, and `install` the command that brings them. `imports` is the
    module, or module:function, that is imported, and called, before the first one is made; where that registers the ids,
    `typed` is how a name that people type for one of them begins, in small letters and digits. `options` are recorded in the
    EnvSpec: `make_kwargs` go to the environment itself, the others to `wrap`, which is put around each single environment.
    `limits_itself` says that every episode ends in time by a limit that is not registered with Gymnasium. `lacks` says what is
    not here beside modules, to follow the name of an environment, and what to do; "" where nothing is missing.
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
    limits_itself: bool = False
    lacks: Callable[[], str] = str  # nothing


def _extra(name: str) -> str:
    return f"pip install -e '.[{name}]'"


FAMILIES: Mapping[str, Family] = {
    "atari": Family(entry="ale_py"),
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
        # The package's own, as in Young & Tian 2019, "MinAtar"; said here so that they are recorded.
        options={"make_kwargs": {"sticky_action_prob": 0.1, "difficulty_ramping": True}},
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
    ),
    "dmlab": Family(
        entry="dmlab_gym",
        typed=("dmlab", "deepmindlab"),
        imports="dmlab_gym",
        needs=("dmlab_gym", "deepmind_lab"),
        install="pip install dmlab-gym && dmlab-gym build",
        frame_skip=dmlab.FRAME_SKIP,
        vectorization_mode="async",  # the engine runs once a process
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
    ),
    "starcraft2": Family(
        entry=starcraft2.__name__,
        typed=("starcraft2", "starcraftii"),
        imports=f"{starcraft2.__name__}:register_mini_games",
        needs=("pysc2",),
        install=starcraft2.INSTALL,
        lacks=starcraft2.lacks,
        frame_skip=starcraft2.FRAME_SKIP,
        vectorization_mode="async",  # so that the games, which are programs of their own, play at once
        options=starcraft2.OPTIONS,
        limits_itself=True,
    ),
    "probe": Family(entry="rl_pbt.envs.probes"),
    "gymnasium": Family(entry=""),  # any other
}


def family_of(spec: GymnasiumSpec) -> str:
    """By the module of the entry point; `gymnasium` where that is in none of the others' packages."""
    entry = spec.entry_point or spec.vector_entry_point
    module = entry.partition(":")[0] if isinstance(entry, str) else getattr(entry, "__module__", "")
    return next(name for name, family in FAMILIES.items() if _within(module, family.entry))


def _within(module: str, package: str) -> bool:
    return not package or module == package or module.startswith(f"{package}.")


def family_of_name(name: str) -> str | None:
    """The family whose ids a typed name looks like, among those whose ids are registered only when one is asked for."""
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((key for key, family in FAMILIES.items() if family.typed and letters.startswith(family.typed)), None)


def register(name: str, what: str) -> None:
    """Import what a family needs to be known and made; again does no harm. Raises EnvironmentUnavailable for `what`.

    The package's own deprecation warnings are not ours to fix; as errors they would crash Python in Box2D.
    """
    require(name, what)
    module, _, function = FAMILIES[name].imports.partition(":")
    if not module or name in _registered_families:
        return
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
    """Why `module` could not be imported, and what is really missing, in one line."""
    absent = error.name if isinstance(error, ModuleNotFoundError) else None
    if absent is None:
        said = " ".join(str(error).split())
        return f"{type(error).__name__}: {said}" if said else type(error).__name__
    if absent == module or module.startswith(f"{absent}."):
        return f"there is no module {absent!r}, install it, or set PYTHONPATH"
    package = absent.partition(".")[0]
    return f"it needs the package {package!r}, which is not installed: pip install {package}"


_registered_families: set[str] = set()  # Gymnasium complains of a second registration


def require(name: str, what: str) -> None:
    """Raise EnvironmentUnavailable, in the name of `what`, where a module that a family needs is not installed."""
    family = FAMILIES[name]
    for module in family.needs:
        if importlib.util.find_spec(module) is None:
            raise EnvironmentUnavailable(missing(what, module, family.install))
    if lacking := family.lacks():
        raise EnvironmentUnavailable(f"{what} {lacking}")


def missing(what: str, module: str, install: str) -> str:
    """The line that says so, and what to do."""
    return f"{what} needs the package {module!r}, which is not installed: {install}"
