"""Backends, which step environments. To add one, write a class in a file of its own and one line in BACKENDS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, final

import gymnasium
from gymnasium.envs.registration import EnvSpec as GymnasiumSpec

from rl_pbt.envs import classic_control, smax, vector
from rl_pbt.envs.aliases import Vector
from rl_pbt.envs.envpool import EnvPool
from rl_pbt.envs.families import FAMILIES, register
from rl_pbt.envs.population import Dynamics, Population
from rl_pbt.envs.spec import DEFAULT_BACKEND, EnvSpec


class Backend(Protocol):
    """One way to step environments. Its vector environments are `stepping.StepsInHalves` if they have threads of their own."""

    draws: bool  # whether a person can watch its environments

    def spec_of(self, spec: EnvSpec) -> EnvSpec:
        """The same environment as the default backend's `spec`, stepped by this one. Raises EnvironmentUnavailable."""
        ...

    def make(self, spec: EnvSpec, num_envs: int, threads: int) -> Vector:
        """`num_envs` copies of what `spec_of` specified, as `catalogue.make_vector` promises them."""
        ...

    def make_population(self, spec: EnvSpec, members: int, copies: int) -> Population | None:
        """The same for all members at once, or None, as `catalogue.make_population` promises it."""
        ...


@final
class Gymnasium:
    """Gymnasium's own vector environments, or those that a family makes itself."""

    draws = True

    def spec_of(self, spec: EnvSpec) -> EnvSpec:
        return spec

    def make(self, spec: EnvSpec, num_envs: int, threads: int) -> Vector:
        if (make := FAMILIES[spec.family].make) is not None:
            return make(spec, num_envs, threads)
        register(spec.family, spec.id)
        return vector.make(spec, num_envs)

    def make_population(self, spec: EnvSpec, members: int, copies: int) -> Population | None:
        if spec.id not in gymnasium.registry and FAMILIES[spec.family].typed:  # in another process than the one that resolved it
            register(spec.family, spec.id)
        registered = gymnasium.registry.get(spec.id)
        if registered is None or registered.additional_wrappers or spec.arguments or spec.frame_stack is not None:
            return None
        dynamics = _dynamics(registered)
        if dynamics is None or dynamics.one_stream == spec.copies_are_independent:
            return None
        return Population(dynamics, members, copies, registered.max_episode_steps)


def _dynamics(registered: GymnasiumSpec) -> Dynamics | None:
    """The dynamics of a registered environment if they are known as arithmetic on arrays, or None."""
    found = (module.dynamics_of(registered) for module in (classic_control, smax))
    return next((dynamics for dynamics in found if dynamics is not None), None)


BACKENDS: Mapping[str, Backend] = {DEFAULT_BACKEND: Gymnasium(), "envpool": EnvPool()}
