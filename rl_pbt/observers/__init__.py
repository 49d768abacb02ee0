"""Who watches a search: `terminal` (progress for a person), `tensorboard` (curves). They read events and change nothing."""
