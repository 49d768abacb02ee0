"""A run on disk: the manifest, and one ledger and one checkpoint folder for each method and seed.

The ledger is authoritative: a checkpoint is durable before the line that mentions it. Checkpoints are safetensors files, named
arrays without code, so opening a run that someone sent you cannot run their code.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, TypeAlias, final

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.store.events import Header
from rl_pbt.store.files import check_inside, read_json, write_json
from rl_pbt.store.ledger import Ledger
from rl_pbt.store.manifest import Manifest, Status, digest
from rl_pbt.store.owner import holder

RunStatus: TypeAlias = Status | Literal["killed"]
LEDGER, CHECKPOINTS, EXHIBITS = "ledger.jsonl", "checkpoints", "exhibits"
SUITE = "suite.toml"  # in the folder of a suite: a copy of the suite's file, made before the first frame
TENSORBOARD, TENSORBOARD_MEMBERS = "tensorboard", "tensorboard_members"


def search_name(method: str, seed: int) -> str:
    """The name of the curves of one method and seed: short, for legends."""
    return f"{method}-s{seed}"


@final
class RunFolder:
    """The folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def manifest_path(self) -> Path:
        """Where the manifest is, or will be."""
        return self.folder / "manifest.json"

    @property
    def status(self) -> RunStatus:
        """The manifest's status, or "killed" if a run ended without recording how. Raises UserError as `manifest` does."""
        said = self.manifest().status
        return "killed" if said == "running" and holder(self.folder) is None else said

    @property
    def begun(self) -> bool:
        """Whether there is a run in the folder."""
        return self.manifest_path.exists()

    @property
    def is_suite(self) -> bool:
        """Whether this is the folder of a suite, with a run for each of its cells."""
        return (self.folder / SUITE).exists() and not self.begun

    @property
    def is_cell(self) -> bool:
        """Whether the run is a cell of a suite, which was declared in the folder above."""
        folder = self.folder.resolve()
        try:
            return folder.name in tomllib.loads((folder.parent / SUITE).read_text(encoding="utf-8")).get("cells", {})
        except (OSError, ValueError, RecursionError, TypeError):
            return False  # another file of that name

    @property
    def is_compacted(self) -> bool:
        """Whether the run was compacted by `compacting.compact`: it can be reported, but neither continued nor played."""
        return any(not path.with_suffix("").exists() for path in self.folder.glob(f"*/seed-*/{LEDGER}.gz"))

    def method_folder(self, method: str, seed: int) -> Path:
        """The folder of one method and seed."""
        return self.folder / method / f"seed-{seed}"

    def check_inside(self, method: str, seed: int) -> None:
        """Raises UserError if anything that a search would write is a symbolic link, which may lead out of this folder."""
        here = self.method_folder(method, seed)
        curves = (self.tensorboard(method, seed), self.tensorboard_members(method, seed), self.old_tensorboard(method, seed))
        for path in (here / LEDGER, here / CHECKPOINTS, here / EXHIBITS, *curves):
            check_inside(self.folder, *path.relative_to(self.folder).parts)

    @property
    def curves(self) -> Path:
        """The folder to point TensorBoard at: all methods and seeds, without their members."""
        return self.folder / TENSORBOARD

    def tensorboard(self, method: str, seed: int) -> Path:
        """The folder of one population's curves; TensorBoard shows its name as the name of the run."""
        return self.curves / search_name(method, seed)

    def tensorboard_members(self, method: str, seed: int) -> Path:
        """The folder of its members' curves, with one folder per member."""
        return self.folder / TENSORBOARD_MEMBERS / search_name(method, seed)

    def old_tensorboard(self, method: str, seed: int) -> Path:
        """The folder where older versions kept all of these curves."""
        return self.method_folder(method, seed) / TENSORBOARD

    def ledger(self, method: str, seed: int) -> Ledger:
        """The ledger of one method and seed. It belongs to the configuration that the run began with, if it has begun."""
        fields = read_json(self.manifest_path) if self.begun else {}
        config = fields.get("begun_with", fields.get("config"))
        header = Header(config=digest(config)) if isinstance(config, dict) else Header()
        return Ledger(self.method_folder(method, seed) / LEDGER, header)

    def checkpoints(self, method: str, seed: int) -> FolderCheckpoints:
        """The checkpoints of one method and seed, and what its proposals exhibited."""
        here = self.method_folder(method, seed)
        return FolderCheckpoints(here / CHECKPOINTS, here / EXHIBITS)

    def manifest(self) -> Manifest:
        """The manifest. Raises UserError if there is none, or a damaged one."""
        if not self.begun:
            raise UserError(f"{self.folder} is not a run: it has no manifest.json")
        try:
            return Manifest.from_json(read_json(self.manifest_path))
        except (KeyError, TypeError, AttributeError, ValueError, BadSetting) as error:
            raise UserError(f"{self.manifest_path} is damaged or of another version: {error} is missing or wrong") from None

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest; durable when this returns."""
        write_json(self.manifest_path, manifest.to_json())
