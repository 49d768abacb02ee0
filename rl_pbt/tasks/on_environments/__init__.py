"""What our own agents and those of Stable-Baselines3 have in common, since both act in environments and are judged by episodes.

Modules: `task_type` (their options, and what is known of them), `words` (what is said of them), `resolving` (settings -> one
exact environment), `limits` (when an episode is cut, and what it can cost), `whole_episodes` (how much of an episode training
sees), `spaces` (those of an environment, read once), `failing` (whose failure it is), `episodes` (what was played, and what
follows from it), `devices` (whether one is there; this module alone loads torch).
"""
