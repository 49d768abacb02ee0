"""A run on disk: `run` (ledger, checkpoints), `manifest`, `events`, `journal` (the ledger as the loop sees it), `history`."""
