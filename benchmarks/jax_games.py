"""Environments as pure functions that XLA can compile: one copy each, as functions of random keys and states."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

Played: TypeAlias = tuple[Any, Any, Any]  # a state, a reward, whether the episode has ended


def jax_modules() -> tuple[Any, Any]:
    """`jax` and `jax.numpy`; the caller has checked that they are installed."""
    return importlib.import_module("jax"), importlib.import_module("jax.numpy")


class Game(NamedTuple):
    """One copy of an environment, as pure functions of random keys and states."""

    begin: Callable[[Any], Any]
    step: Callable[[Any, Any, Any], Played]  # of a state, an action and a key
    observe: Callable[[Any], Any]
    actions: int
    longest: int | None


class Pole(NamedTuple):
    """A pole on a cart."""

    x: Any
    x_dot: Any
    theta: Any
    theta_dot: Any


def cartpole() -> Game:
    """Gymnasium's CartPole-v1: its constants, and its Euler step of 0.02 s."""
    jax, jnp = jax_modules()
    gravity, mass_cart, mass_pole, half, force_mag, tau = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02

    def begin(key: Any) -> Pole:
        return Pole(*jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05))

    def step(pole: Pole, action: Any, key: Any) -> Played:
        force = jnp.where(action == 1, force_mag, -force_mag)
        cos, sin = jnp.cos(pole.theta), jnp.sin(pole.theta)
        total = mass_cart + mass_pole
        push = (force + mass_pole * half * pole.theta_dot**2 * sin) / total
        spin = (gravity * sin - cos * push) / (half * (4.0 / 3.0 - mass_pole * cos**2 / total))
        speed = push - mass_pole * half * spin * cos / total
        moved = Pole(
            pole.x + tau * pole.x_dot,
            pole.x_dot + tau * speed,
            pole.theta + tau * pole.theta_dot,
            pole.theta_dot + tau * spin,
        )
        fell = (jnp.abs(moved.x) > 2.4) | (jnp.abs(moved.theta) > 12 * jnp.pi / 180)
        return moved, jnp.float32(1.0), fell

    return Game(begin, step, jnp.stack, 2, 500)


class Wall(NamedTuple):
    """A ball among bricks."""

    ball: Any  # [2] column and row
    heading: Any  # [2] of -1 and 1
    paddle: Any  # its column
    bricks: Any  # [10, 10]
    hit: Any  # whether the last step broke a brick
    trail: Any  # [2] where the ball was
    action: Any  # the last one, which may stick


def breakout() -> Game:
    """MinAtar's Breakout with the three of its actions that do something; the action before sticks with probability 0.1."""
    jax, jnp = jax_modules()
    full = jnp.zeros((10, 10), bool).at[1:4].set(True)

    def begin(key: Any) -> Wall:
        left = jax.random.bernoulli(key)
        ball = jnp.where(left, jnp.array([0, 3]), jnp.array([9, 3]))
        heading = jnp.where(left, jnp.array([1, 1]), jnp.array([-1, 1]))
        return Wall(ball, heading, jnp.int32(4), full, jnp.bool_(False), ball, jnp.int32(0))

    def step(wall: Wall, action: Any, key: Any) -> Played:
        action = jnp.where(jax.random.bernoulli(key, 0.1), wall.action, action)
        paddle = jnp.clip(wall.paddle + jnp.array([0, -1, 1])[action], 0, 9)
        column, row = wall.ball + wall.heading
        side = (column < 0) | (column > 9)
        across = jnp.where(side, -wall.heading[0], wall.heading[0])
        column = jnp.clip(column, 0, 9)
        top = row < 0
        row = jnp.maximum(row, 0)
        brick = ~top & wall.bricks[row, column]
        breaks = brick & ~wall.hit
        bottom = ~top & ~brick & (row == 9)
        bricks = wall.bricks.at[row, column].set(jnp.where(breaks, False, wall.bricks[row, column]))
        bricks = jnp.where(bottom & ~bricks.any(), full, bricks)
        straight = bottom & (wall.ball[0] == paddle)
        edge = bottom & ~straight & (column == paddle)
        lost = bottom & ~straight & ~edge
        down = jnp.where(top | breaks | straight | edge, -wall.heading[1], wall.heading[1])
        across = jnp.where(edge, -across, across)
        row = jnp.where(breaks | straight | edge, wall.ball[1], row)
        moved = Wall(jnp.stack([column, row]), jnp.stack([across, down]), paddle, bricks, brick, wall.ball, action)
        return moved, breaks.astype(jnp.float32), lost

    def observe(wall: Wall) -> Any:
        empty = jnp.zeros((10, 10), bool)
        planes = [
            empty.at[9, wall.paddle].set(True),
            empty.at[wall.ball[1], wall.ball[0]].set(True),
            empty.at[wall.trail[1], wall.trail[0]].set(True),
            wall.bricks,
        ]
        return jnp.stack(planes, -1).astype(jnp.float32)

    return Game(begin, step, observe, 3, None)


GAMES: Mapping[str, Callable[[], Game]] = {"CartPole-v1": cartpole, "MinAtar/Breakout-v1": breakout}
