"""Compacting a finished run to keep or to send: what its report is made of stays, and what only training needed goes."""

from __future__ import annotations

import gzip

from rl_pbt.errors import UserError
from rl_pbt.store.files import check_inside, write_durably
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.owner import owned
from rl_pbt.store.run import RunFolder


def compact(run: RunFolder) -> None:
    """Compress the ledgers of a finished run, and delete its checkpoints: it can be reported and replayed, but not continued.

    A run that is compacted already stays as it is; a compaction that was interrupted is completed. Pages, plots and curves are
    kept. Raises UserError for a run that has not ended, is in use, or has damaged ledgers.
    """
    manifest = check_ended(run)
    with owned(run.folder):
        for method in manifest.config.methods:
            for seed in manifest.config.seeds:
                run.check_inside(method, seed)
                ledger = run.ledger(method, seed)
                if ledger.path.exists():
                    ledger.read()  # raises if it is damaged, which leaves it as it is
                    packed = gzip.compress(ledger.path.read_bytes(), mtime=0)
                    write_durably(check_inside(run.folder, *ledger.compressed.relative_to(run.folder).parts), packed)
                    ledger.path.unlink()
                run.checkpoints(method, seed).leave_only([])


def check_ended(run: RunFolder) -> Manifest:
    """The run's manifest. Raises UserError for a folder that is not a run, and for a run that has not finished."""
    manifest = run.manifest()
    if manifest.status != "finished":
        raise UserError(f"{run.folder} has not ended ({run.status}): what would be deleted is needed to resume it")
    return manifest
