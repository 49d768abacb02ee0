"""Environments: what people type -> exactly one environment, made as a vector with every option set."""

from envs.catalogue import EnvironmentUnavailable, EnvSpec, UnknownEnvironment, make_vector, resolve

__all__ = ["EnvSpec", "EnvironmentUnavailable", "UnknownEnvironment", "make_vector", "resolve"]
