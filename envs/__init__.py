"""Environments: from what people type to exactly one environment, made as a vector environment with every option set."""

from rl_pbt.envs.backends import BACKENDS
from rl_pbt.envs.catalogue import make_population, make_vector, resolve, resumable_form
from rl_pbt.envs.chosen import chosen_of
from rl_pbt.envs.families import FAMILIES
from rl_pbt.envs.guarding import Guarded, close_quietly, finite_reward, quietly
from rl_pbt.envs.resuming import Resumes, check_like
from rl_pbt.envs.spec import DEFAULT_BACKEND, EnvironmentUnavailable, EnvSpec, UnknownEnvironment, WrongOption
from rl_pbt.envs.stepping import begin_step
from rl_pbt.envs.watching import Watched, watch

__all__ = [
    "BACKENDS",
    "DEFAULT_BACKEND",
    "FAMILIES",
    "EnvSpec",
    "EnvironmentUnavailable",
    "Guarded",
    "Resumes",
    "UnknownEnvironment",
    "Watched",
    "WrongOption",
    "begin_step",
    "check_like",
    "chosen_of",
    "close_quietly",
    "finite_reward",
    "make_population",
    "make_vector",
    "quietly",
    "resolve",
    "resumable_form",
    "watch",
]
