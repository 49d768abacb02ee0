"""Environments: what people type -> exactly one environment, made as a vector with every option set."""

from envs.catalogue import make_vector, resolve
from envs.families import FAMILIES
from envs.spec import BACKENDS, EnvironmentUnavailable, EnvSpec, UnknownEnvironment
from envs.stepping import begin_step
from envs.watching import Watched, watch

__all__ = [
    "BACKENDS",
    "FAMILIES",
    "EnvSpec",
    "EnvironmentUnavailable",
    "UnknownEnvironment",
    "Watched",
    "begin_step",
    "make_vector",
    "resolve",
    "watch",
]
