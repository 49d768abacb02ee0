"""What other libraries call our settings: a hint for who writes their words. docs/coming-from.md has the same table."""

from __future__ import annotations

from rl_pbt.agents.hypers import PPO_HYPERS
from rl_pbt.tasks.rl.options import ALIASES

# Their word -> our setting and, after a space, how what it holds begins.
OURS = {
    "total_timesteps": "frames",
    "max_t": "frames",
    "num_samples": "population",
    "perturbation_interval": "interval",
    "evo_steps": "interval",
    "quantile_fraction": "fraction",
    "threshold_std": "copy_margin",
    "perturbation_factors": "factors",
    "hyperparam_mutations": "search NAME=SCALE:LOW:HIGH",
    "param_space": "search NAME=SCALE:LOW:HIGH",
    "n_envs": "agent_options envs_per_member=",
    "n_steps": "agent_options unroll_length=",
    "net_arch": "agent_options hidden=",
    **{name: f"search {name}=" for name in (*PPO_HYPERS, *ALIASES)},
}


def our_word(theirs: str) -> str | None:
    """Our setting for a word of another library, as in `frames` or `search lr=`; None if the word is not known."""
    return OURS.get(theirs)


def our_flag(theirs: str) -> str | None:
    """The same for flags: `--frames` for `--total-timesteps`."""
    ours = our_word(theirs.removeprefix("--").replace("-", "_")) if theirs.startswith("--") else None
    if ours is None:
        return None
    setting, *rest = ours.split(" ")
    return " ".join([f"--{setting.replace('_', '-')}", *rest])
