"""A run on disk: `run` (its folder), `manifest`, `ledger`, `events`, `journal` (the ledger as the loop sees it), `history`."""
