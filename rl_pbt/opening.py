"""Opening a new or existing run: finding its folder, and checking the settings against what is there."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.making import check_recorded, configure
from rl_pbt.named_code import check_code
from rl_pbt.options import Settings, places_of
from rl_pbt.recorded import manifest_of
from rl_pbt.search import METHODS
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.owner import RUN_LOCK
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import task_type


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A run that can begin or continue: its folder, its configuration, and its manifest, if there is one.

    If the budget of the configuration is larger than that of the manifest, the run is about to be extended. `places` are the
    current locations of the task's files; the configuration keeps the original ones.
    """

    folder: RunFolder
    config: RunConfig
    manifest: Manifest | None  # None if the run is new
    places: Settings = field(default_factory=dict)
    numbered: bool = False  # whether to number the folder if it is taken: the user did not choose the name

    @property
    def here(self) -> RunConfig:
        """The configuration with the current locations of files: the task is made from this one."""
        return replace(self.config, task_options={**self.config.task_options, **self.places})

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.manifest is not None and self.manifest.status == "finished" and not self.is_extended

    @property
    def is_extended(self) -> bool:
        """Whether the budget has grown since the manifest was written."""
        return self.manifest is not None and self.config.budget > self.manifest.config.budget

    @property
    def earlier_budgets(self) -> tuple[int, ...]:
        """The budgets, ascending, that every search must finish before it continues with the one of the configuration."""
        if self.manifest is None:
            return ()
        return (*self.manifest.extended_from, *([self.manifest.config.budget] if self.is_extended else []))


def open_run(given: Settings, *, out: Path | None = None, resume: Path | None = None) -> Opened:
    """A new run in the folder `out`, or the existing one in `resume`.

    Settings `given` with `resume` must equal the recorded ones, except that the budget may be larger. An existing run is never
    overwritten: if `out` holds one of the same configuration, it is continued. Code that a recorded configuration names, a module
    or a program, must be named in `given` too. Raises UserError.
    """
    if resume is not None:
        folder = RunFolder(resume.absolute())  # a training may change the working directory
        manifest = manifest_of(folder)
        check_code(given, manifest.config, folder)
        check_recorded(manifest.config)
        config, places = _placed(configure(given, manifest.config), manifest.config)
        check_longer(config, manifest.config, folder)
        return Opened(folder=folder, config=config, manifest=manifest, places=places)
    config = configure(given)
    folder = RunFolder((out or _usual_folder(config)).absolute())
    if folder.begun:
        manifest = manifest_of(folder)
        config, places = _placed(config, manifest.config)
        _same(config, manifest.config, folder)
        return Opened(folder=folder, config=config, manifest=manifest, places=places)
    if folder.folder.exists() and not _is_empty(folder.folder):
        raise BadSetting("out", f"names {folder.folder}, which exists and is not a run: choose another folder")
    return Opened(folder=folder, config=config, manifest=None, numbered=out is None)


def _placed(config: RunConfig, recorded: RunConfig) -> tuple[RunConfig, Settings]:
    """The configuration with the recorded locations of files, and the current ones. Files are identified by digest, not place."""
    if config.task != recorded.task:
        return config, {}
    names = places_of(task_type(config.task).options)
    before, now = ({name: one.task_options[name] for name in names} for one in (recorded, config))
    return replace(config, task_options={**config.task_options, **before}), now


def check_files(files: Settings, recorded: RunConfig) -> None:
    """Raises BadSetting if `files` has a setting that is not the location of one of the run's files."""
    names = places_of(task_type(recorded.task).options)
    if other := [name for name in files if name not in names]:
        has = f"only {', '.join(names)} can be" if names else "this run has none"
        raise BadSetting(other[0], f"does not say where a file lies now: {has}")


def _usual_folder(config: RunConfig) -> Path:
    return Path("results") / task_type(config.task).folder(config.task_options) / time.strftime("%Y%m%d-%H%M%S")


def _is_empty(folder: Path) -> bool:
    """Whether the folder has nothing in it, except the lock of a process that is about to begin there or was stopped then."""
    return folder.is_dir() and all(path.name == RUN_LOCK for path in folder.iterdir())


def check_longer(config: RunConfig, recorded: RunConfig, folder: RunFolder) -> None:
    """Raises UserError if the configurations differ in anything but a larger budget, or if the budget cannot be extended.

    It cannot if a method or the task has planned for the whole of it, or if the run was compacted.
    """
    if config.budget < recorded.budget:
        raise BadSetting("budget", f"of {folder.folder} is {recorded.budget}: it can be extended, and not shortened")
    if config.budget > recorded.budget:
        _check_extensible(config, recorded, folder)
    _same(replace(config, budget=recorded.budget), recorded, folder)


def _check_extensible(config: RunConfig, recorded: RunConfig, folder: RunFolder) -> None:
    if whole := [name for name in config.methods if not METHODS[name].extends]:
        raise BadSetting("budget", f"cannot be extended for {', '.join(whole)}, which chose for all of it: start a new run")
    if folder.is_compacted:
        raise BadSetting("budget", f"cannot be extended: {folder.folder} was compacted, and its checkpoints are gone")
    if (planned := task_type(recorded.task).planned_for_all(recorded.task_options)) is not None:
        raise BadSetting("budget", f"cannot be extended, since {planned} over all of it: start a new run")


def _same(config: RunConfig, recorded: RunConfig, folder: RunFolder) -> None:
    if difference := config.difference(recorded):
        raise UserError(
            f"{folder.folder} holds a run of another configuration ({'; '.join(difference)}): start a new run in another folder, "
            "or resume this one without these settings"
        )
