"""The dynamics of Gymnasium's classic control, on arrays.

Constants, and the order and precision of every operation, are Gymnasium's: a test compares the results bit for bit, and fails if
a later Gymnasium differs. The tasks are from Barto 1983, "Neuronlike adaptive elements that can solve difficult learning control
problems" (cart and pole), Moore 1990, "Efficient memory-based learning for robot control" (mountain car), and Sutton 1996,
"Generalization in reinforcement learning" (acrobot).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import numpy as np
from gymnasium.envs.registration import EnvSpec as GymnasiumSpec

from rl_pbt.envs.aliases import Array
from rl_pbt.envs.population import Dynamics, Moved


@final
class CartPole(Dynamics):
    """State: position and velocity of the cart, angle and angular velocity of the pole. Euler's method; each step pays 1."""

    one_stream: ClassVar[bool] = True
    GRAVITY, POLE_MASS, MASS, HALF_LENGTH, FORCE, SECONDS = 9.8, 0.1, 0.1 + 1.0, 0.5, 10.0, 0.02
    POLE_MOMENT = POLE_MASS * HALF_LENGTH
    FARTHEST, STEEPEST = 2.4, 12 * 2 * math.pi / 360

    def begin(self, generator: np.random.Generator, copies: int) -> Array:
        return generator.uniform(low=-0.05, high=0.05, size=(4, copies))

    def step(self, states: Array, actions: Array, first: Array) -> Moved:
        position, velocity, angle, spin = states
        cosine, sine = np.cos(angle), np.sin(angle)
        push = (np.sign(actions - 0.5) * self.FORCE + self.POLE_MOMENT * np.square(spin) * sine) / self.MASS
        inertia = self.HALF_LENGTH * (4.0 / 3.0 - self.POLE_MASS * np.square(cosine) / self.MASS)
        turning = (self.GRAVITY * sine - cosine * push) / inertia
        speeding = push - self.POLE_MOMENT * turning * cosine / self.MASS
        moved = np.stack(
            (
                position + self.SECONDS * velocity,
                velocity + self.SECONDS * speeding,
                angle + self.SECONDS * spin,
                spin + self.SECONDS * turning,
            )
        )
        fallen = (np.abs(moved[0]) > self.FARTHEST) | (np.abs(moved[2]) > self.STEEPEST)
        return moved, np.ones(len(fallen)), fallen

    def observe(self, states: Array) -> Array:
        return states.T.astype(np.float32)


@final
class Acrobot(Dynamics):
    """State: angle of the first link, of the second relative to it, and their velocities. Fourth-order Runge-Kutta method.

    A step costs 1, except the one that reaches the goal. Both links have mass, length and moment of inertia 1, and the centre of
    mass in the middle. The initial state and the first observation are computed in 32 bits.
    """

    SECONDS, GRAVITY, MIDDLE = 0.2, 9.8, 0.5
    FASTEST = 4 * np.pi, 9 * np.pi

    def begin(self, generator: np.random.Generator, copies: int) -> Array:
        return generator.uniform(low=-0.1, high=0.1, size=(4,)).astype(np.float32)[:, None].astype(np.float64)

    def step(self, states: Array, actions: Array, first: Array) -> Moved:
        torques = actions - 1.0
        half = self.SECONDS / 2.0
        slope_1 = self._slope(states, torques)
        slope_2 = self._slope(states + half * slope_1, torques)
        slope_3 = self._slope(states + half * slope_2, torques)
        slope_4 = self._slope(states + self.SECONDS * slope_3, torques)
        moved = states + self.SECONDS / 6.0 * (slope_1 + 2 * slope_2 + 2 * slope_3 + slope_4)
        for link in (0, 1):
            moved[link] = _around(moved[link])
            moved[2 + link] = np.minimum(np.maximum(moved[2 + link], -self.FASTEST[link]), self.FASTEST[link])
        up = -np.cos(moved[0]) - np.cos(moved[1] + moved[0]) > 1.0
        return moved, np.where(up, 0.0, -1.0), up

    def _slope(self, states: Array, torques: Array) -> Array:
        """The time derivative of the state (Sutton & Barto 2018, "Reinforcement Learning", 2nd ed., Fig. 11.4)."""
        angle, bend, spin, bending = states
        middle, gravity = self.MIDDLE, self.GRAVITY
        cosine, sine = np.cos(bend), np.sin(bend)
        d1 = middle**2 + (1.0 + middle**2 + 2 * middle * cosine) + 1.0 + 1.0
        d2 = (middle**2 + middle * cosine) + 1.0
        phi2 = middle * gravity * np.cos(angle + bend - np.pi / 2.0)
        phi1 = (
            -1.0 * middle * _squares(bending) * sine
            - 2 * middle * bending * spin * sine
            + (middle + 1.0) * gravity * np.cos(angle - np.pi / 2)
            + phi2
        )
        pushed = torques + d2 / d1 * phi1 - middle * _squares(spin) * sine - phi2
        bending_change = pushed / (middle**2 + 1.0 - _squares(d2) / d1)
        return np.stack((spin, bending, -(d2 * bending_change + phi1) / d1, bending_change))

    def observe(self, states: Array) -> Array:
        angle, bend, spin, bending = states
        seen = (np.cos(angle), np.sin(angle), np.cos(bend), np.sin(bend), spin, bending)
        return np.stack(seen, 1).astype(np.float32)

    def observe_first(self, states: Array) -> Array:
        return self.observe(states.astype(np.float32))


def _around(angles: Array) -> Array:
    """The angles shifted by whole turns to between -pi and pi."""
    turn = np.pi - -np.pi
    while (beyond := angles > np.pi).any():
        angles = np.where(beyond, angles - turn, angles)
    while (beyond := angles < -np.pi).any():
        angles = np.where(beyond, angles + turn, angles)
    return angles


@final
class Pendulum(Dynamics):
    """State: angle and angular velocity. A step costs the weighted squares of both and of the torque, which stays in 32 bits."""

    FASTEST, STRONGEST, SECONDS, GRAVITY = 8, 2.0, 0.05, 10.0

    def begin(self, generator: np.random.Generator, copies: int) -> Array:
        high = np.array([np.pi, 1.0])
        return generator.uniform(low=-high, high=high)[:, None]

    def step(self, states: Array, actions: Array, first: Array) -> Moved:
        angle, spin = states
        torque = np.clip(actions, -self.STRONGEST, self.STRONGEST)[:, 0]
        upright = ((angle + np.pi) % (2 * np.pi)) - np.pi
        costs = np.square(upright) + 0.1 * np.square(spin) + 0.001 * np.square(torque)
        spin = spin + (3 * self.GRAVITY / 2.0 * np.sin(angle) + 3.0 * torque) * self.SECONDS
        spin = np.clip(spin, -self.FASTEST, self.FASTEST)
        return np.stack((angle + spin * self.SECONDS, spin)), -costs, np.zeros(len(spin), bool)

    def observe(self, states: Array) -> Array:
        angle, spin = states
        return np.stack((np.cos(angle), np.sin(angle), spin), 1).astype(np.float32)


FARTHEST_LEFT, FARTHEST_RIGHT, FASTEST_CAR = -1.2, 0.6, 0.07


@final
class MountainCar(Dynamics):
    """State: position and velocity. A step costs 1; the goal is at 0.5."""

    def begin(self, generator: np.random.Generator, copies: int) -> Array:
        return np.array([[generator.uniform(low=-0.6, high=-0.4)], [0.0]])

    def step(self, states: Array, actions: Array, first: Array) -> Moved:
        position, velocity = states
        velocity = velocity + ((actions - 1) * 0.001 + _cosines(3 * position) * -0.0025)
        velocity = np.clip(velocity, -FASTEST_CAR, FASTEST_CAR)
        position = np.clip(position + velocity, FARTHEST_LEFT, FARTHEST_RIGHT)
        velocity = np.where((position == FARTHEST_LEFT) & (velocity < 0), 0.0, velocity)
        return np.stack((position, velocity)), np.full(len(position), -1.0), (position >= 0.5) & (velocity >= 0)

    def observe(self, states: Array) -> Array:
        return states.T.astype(np.float32)


@final
class MountainCarContinuous(Dynamics):
    """State: position and velocity. A step costs a tenth of the squared force, and reaching 0.45 pays 100.

    Gymnasium keeps the state in 32 bits, except the initial one, so the first step of an episode is computed in 64.
    """

    def begin(self, generator: np.random.Generator, copies: int) -> Array:
        return np.array([[generator.uniform(low=-0.6, high=-0.4)], [0.0]])

    def step(self, states: Array, actions: Array, first: Array) -> Moved:
        asked = actions[:, 0]
        slope = 0.0025 * _cosines(np.where(first, 3 * states[0], 3 * states[0].astype(np.float32)))
        beyond = np.abs(asked) > 1.0  # then the force is the bound, a number of 64 bits
        limited = np.sign(asked.astype(np.float64)) * 0.0015 - slope
        push = np.where(beyond, limited, asked.astype(np.float32) * 0.0015 - slope.astype(np.float32))
        wide = self._moved(states, push)
        narrow = self._moved(states.astype(np.float32), push.astype(np.float32))
        moved, there = (np.where(first, one, other) for one, other in zip(wide, narrow, strict=True))
        rewards = np.where(there, 100.0, 0.0) - np.square(asked.astype(np.float64)) * 0.1
        return moved.astype(np.float32).astype(np.float64), rewards, there.astype(bool)

    @staticmethod
    def _moved(states: Array, push: Array) -> tuple[Array, Array]:
        """The new states [2, N] and which have reached the goal [N], in the precision of `states`."""
        velocity = np.clip(states[1] + push, -FASTEST_CAR, FASTEST_CAR)
        position = np.clip(states[0] + velocity, FARTHEST_LEFT, FARTHEST_RIGHT)
        velocity = np.where((position == FARTHEST_LEFT) & (velocity < 0), 0.0, velocity)
        return np.stack((position, velocity)), (position >= 0.45) & (velocity >= 0)

    def observe(self, states: Array) -> Array:
        return states.T.astype(np.float32)


def _squares(numbers: Array) -> Array:
    """Squares by the C library's pow, as of single NumPy numbers; of an array's, one in a thousand differs in its last bit."""
    return np.array([number**2 for number in numbers.tolist()])


def _cosines(angles: Array) -> Array:
    """Cosines by the C library, as Gymnasium computes them here; NumPy's own may differ in the last bit."""
    return np.array([math.cos(angle) for angle in angles.tolist()])


def dynamics_of(registered: GymnasiumSpec) -> Dynamics | None:
    """The dynamics of an environment, or None unless it is registered as Gymnasium itself registers it."""
    return None if registered.kwargs else CLASSIC_CONTROL.get(str(registered.entry_point))


# By the entry point with which the environment is registered.
CLASSIC_CONTROL: Mapping[str, Dynamics] = {
    f"gymnasium.envs.classic_control.{entry}": dynamics
    for entry, dynamics in {
        "cartpole:CartPoleEnv": CartPole(),
        "acrobot:AcrobotEnv": Acrobot(),
        "pendulum:PendulumEnv": Pendulum(),
        "mountain_car:MountainCarEnv": MountainCar(),
        "continuous_mountain_car:Continuous_MountainCarEnv": MountainCarContinuous(),
    }.items()
}
