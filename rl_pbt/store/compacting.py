"""A finished run as it is kept or sent: what its report is made of, and nothing that only training needed."""

from __future__ import annotations

import gzip

from rl_pbt.errors import UserError
from rl_pbt.store.files import check_inside, write_durably
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.owner import owned
from rl_pbt.store.run import RunFolder


def compact(run: RunFolder) -> None:
    """Compress the ledgers of a finished run, and delete its checkpoints: it can be reported and replayed, and not continued.

    A run that was compacted before stays as it is; one that was interrupted meanwhile is compacted to its end. Pages, plots and
    curves stay. Raises UserError for a run that has not ended, or is in use, or whose ledgers are damaged.
    """
    manifest = check_ended(run)
    with owned(run.folder):
        for method in manifest.config.methods:
            for seed in manifest.config.seeds:
                run.check_inside(method, seed)
                ledger = run.recorded(method, seed)
                if ledger.path.exists():
                    ledger.read()  # or it raises: what is damaged stays as it is
                    packed = gzip.compress(ledger.path.read_bytes(), mtime=0)
                    write_durably(check_inside(run.folder, *ledger.compressed.relative_to(run.folder).parts), packed)
                    ledger.path.unlink()
                run.checkpoints(method, seed).leave_only([])


def check_ended(run: RunFolder) -> Manifest:
    """Its manifest. Raises UserError for a folder that is no run, and for a run that has not ended."""
    manifest = run.manifest()
    if manifest.status != "finished":
        raise UserError(f"{run.folder} has not ended ({run.status}): what would be deleted is needed to resume it")
    return manifest
