"""A ceiling for our speed: the same A2C population as one program that XLA compiles, environments included, on one core.

    python -m benchmarks.jax_population [--repeats N] [--out FILE.json]

Needs the extra `jax`. Both sides train the same networks on the same environments, with the same numbers of members, copies and
steps per update, on one core, and take turns. Neither evaluates, and ours writes no ledger: this is the speed of acting and
learning. XLA compiles before its first step; the rate leaves this time out, and the table shows it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeAlias

from benchmarks.jax_games import GAMES, Game, jax_modules
from benchmarks.measuring import Entry, Measurement, Results, alone, parser, run, spread
from benchmarks.training import Setting, on_one_core, train
from rl_pbt.text import table

Params: TypeAlias = dict[str, Any]  # of jax arrays

HYPERS = {"learning_rate": 1e-3, "entropy_cost": 0.01, "discount": 0.99, "trace_lambda": 0.9, "value_cost": 0.5}
DECAY, EPSILON, MAX_NORM = 0.99, 1e-5, 0.5


SETTINGS = (
    Setting(env="CartPole-v1", members=16, copies=16, unroll=8, updates=300),
    Setting(env="MinAtar/Breakout-v1", members=8, copies=16, unroll=8, updates=100),
)


@dataclass(frozen=True, slots=True)
class Network:
    """Our default networks, for one member. Weights are arrays by name, each with its bias."""

    env: str
    actions: int

    def initial(self, key: Any) -> Params:
        """Orthogonal initial weights, with the same gains as ours."""
        jax, jnp = jax_modules()
        orthogonal = jax.nn.initializers.orthogonal
        if self.env == "CartPole-v1":
            hidden = {f"{side}{layer}": (4 if layer == 0 else 64, 64) for side in ("policy", "value") for layer in (0, 1)}
            features = 64
        else:
            hidden, features = {"kernel": (3 * 3 * 4, 16), "dense": (16 * 8 * 8, 128)}, 128
        keys = iter(jax.random.split(key, len(hidden) + 2))
        weights = {name: orthogonal(2**0.5)(next(keys), shape) for name, shape in hidden.items()}
        weights["policy"] = orthogonal(0.01)(next(keys), (features, self.actions))
        weights["value"] = orthogonal(1.0)(next(keys), (features, 1))
        return {name: (weight, jnp.zeros(weight.shape[1])) for name, weight in weights.items()}

    def __call__(self, params: Params, seen: Any) -> tuple[Any, Any]:
        """Logits [N, actions] and values [N] of observations [N, ...]."""
        jax, jnp = jax_modules()
        if "kernel" in params:
            # A convolution as a product with all patches: XLA has no fast one on a CPU for kernels that differ by member.
            patches = jnp.concatenate([seen[:, y : y + 8, x : x + 8] for y in range(3) for x in range(3)], -1)
            hidden = jax.nn.relu(_layer(params, "kernel", patches)).reshape(len(seen), -1)
            policy = value = jax.nn.relu(_layer(params, "dense", hidden))
        else:
            policy, value = (jnp.tanh(_layer(params, f"{side}0", seen)) for side in ("policy", "value"))
            policy, value = jnp.tanh(_layer(params, "policy1", policy)), jnp.tanh(_layer(params, "value1", value))
        return _layer(params, "policy", policy), _layer(params, "value", value)[:, 0]


def _layer(params: Params, name: str, inputs: Any) -> Any:
    weight, bias = params[name]
    return inputs @ weight + bias


@dataclass(frozen=True, slots=True)
class Learner:
    """One member: acts for an unroll and learns from it as ours does, in Gymnasium's NEXT_STEP mode."""

    game: Game
    network: Network
    setting: Setting

    def update(self, member: tuple[Any, ...], key: Any) -> tuple[Any, Any]:
        """From (weights, squares of RMSProp, copies) to the same, and the mean return of the episodes that ended."""
        jax, jnp = jax_modules()
        params, squares, copies = member
        act = partial(self._act, params)
        copies, rows = jax.lax.scan(act, copies, jax.random.split(key, self.setting.unroll))
        seen, actions, rewards, terminated, valid, (over, totals) = rows
        values = self.network(params, _flat(seen))[1].reshape(rewards.shape)
        last = self.network(params, jax.vmap(self.game.observe)(copies[0]))[1]
        _, returns = jax.lax.scan(_backward, (last, last), (rewards, terminated, valid, values), reverse=True)
        batch = (seen, actions, returns, returns - values, valid.astype(jnp.float32))
        gradients = jax.grad(self._loss)(params, *map(_flat, batch))
        return (*_stepped(params, squares, gradients), copies), totals.sum() / jnp.maximum(over.sum(), 1)

    def _act(self, params: Params, copies: tuple[Any, ...], key: Any) -> tuple[Any, Any]:
        jax, _ = jax_modules()
        choosing, playing = jax.random.split(key)
        seen = jax.vmap(self.game.observe)(copies[0])
        actions = jax.random.categorical(choosing, self.network(params, seen)[0])
        copies, played = jax.vmap(self._played)(copies, actions, jax.random.split(playing, self.setting.copies))
        return copies, (seen, actions, *played)

    def _played(self, copy: tuple[Any, ...], action: Any, key: Any) -> tuple[Any, Any]:
        """A step of one copy: the one after an end begins an episode, and is not valid."""
        jax, jnp = jax_modules()
        state, length, total, ended = copy
        going, starting = jax.random.split(key)
        moved, reward, terminated = self.game.step(state, action, going)
        fresh = self.game.begin(starting)
        state = jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, moved)
        length, total = jnp.where(ended, 0, length + 1), jnp.where(ended, 0.0, total + reward)
        reward, terminated = jnp.where(ended, 0.0, reward), terminated & ~ended
        truncated = False if self.game.longest is None else length >= self.game.longest
        over = terminated | truncated
        return (state, length, total, over), (reward, terminated, ~ended, (over, jnp.where(over, total, 0.0)))

    def _loss(self, params: Params, seen: Any, actions: Any, targets: Any, advantages: Any, valid: Any) -> Any:
        jax, jnp = jax_modules()
        logits, values = self.network(params, seen)
        log_probs = jax.nn.log_softmax(logits)
        chosen = jnp.take_along_axis(log_probs, actions[:, None], 1)[:, 0]
        entropy = -(jnp.exp(log_probs) * log_probs).sum(1)
        weights = valid / jnp.maximum(valid.sum(), 1.0)
        policy, value = -(weights * advantages * chosen).sum(), (weights * (targets - values) ** 2).sum()
        return policy + HYPERS["value_cost"] * value - HYPERS["entropy_cost"] * (weights * entropy).sum()


def _flat(array: Any) -> Any:
    return array.reshape(-1, *array.shape[2:])


def _backward(following: tuple[Any, Any], row: tuple[Any, ...]) -> tuple[Any, Any]:
    """λ-returns, from the last step to the first."""
    _, jnp = jax_modules()
    reward, terminated, valid, value = row
    next_return, next_value = following
    mixed = (1 - HYPERS["trace_lambda"]) * next_value + HYPERS["trace_lambda"] * next_return
    found = jnp.where(valid, reward + HYPERS["discount"] * (1.0 - terminated) * mixed, value)
    return (found, value), found


def _stepped(params: Params, squares: Params, gradients: Params) -> tuple[Params, Params]:
    """RMSProp, with the gradient clipped to a norm."""
    jax, jnp = jax_modules()
    norm = jnp.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradients)))
    gradients = jax.tree.map(lambda leaf: leaf * jnp.minimum(1.0, MAX_NORM / (norm + 1e-6)), gradients)
    squares = jax.tree.map(lambda square, leaf: DECAY * square + (1 - DECAY) * leaf**2, squares, gradients)

    def moved(weight: Any, leaf: Any, square: Any) -> Any:
        return weight - HYPERS["learning_rate"] * leaf / (jnp.sqrt(square) + EPSILON)

    return jax.tree.map(moved, params, gradients, squares), squares


def run_jax(setting: Setting) -> dict[str, float]:
    """Steps per second, seconds of compiling, and the mean return of the last tenth of the updates."""
    on_one_core()
    jax, jnp = jax_modules()
    game = GAMES[setting.env]()
    network = Network(setting.env, game.actions)
    update = jax.vmap(Learner(game, network, setting).update)
    roots = jax.random.split(jax.random.key(0), 3)
    params = jax.vmap(network.initial)(jax.random.split(roots[0], setting.members))
    states = jax.vmap(jax.vmap(game.begin))(jax.random.split(roots[1], (setting.members, setting.copies)))
    shape = (setting.members, setting.copies)
    copies = (states, jnp.zeros(shape, jnp.int32), jnp.zeros(shape), jnp.zeros(shape, bool))
    population = (params, jax.tree.map(jnp.zeros_like, params), copies)

    def trained(population: Any, key: Any) -> tuple[Any, Any]:
        found: tuple[Any, Any] = jax.lax.scan(update, population, jax.random.split(key, (setting.updates, setting.members)))
        return found

    start = time.perf_counter()
    compiled = jax.jit(trained).lower(population, roots[2]).compile()
    compiled_s = time.perf_counter() - start
    population, _ = jax.block_until_ready(compiled(population, roots[2]))
    start = time.perf_counter()
    _, returns = jax.block_until_ready(compiled(population, jax.random.fold_in(roots[2], 1)))
    wall_s = time.perf_counter() - start
    last = returns[-max(1, setting.updates // 10) :]
    return {
        "rate": setting.steps / wall_s,
        "compile_s": compiled_s,
        "return": float(last.sum() / jnp.maximum((last > 0).sum(), 1)),
    }


def run_ours(setting: Setting) -> dict[str, float]:
    """Steps per second and mean return of an interval of ours, as long as the second one of XLA."""
    trained = train(setting, HYPERS)
    return {"rate": setting.steps / trained.wall_s, "return": trained.mean_return}


def measure(setting: Setting, repeats: int) -> Entry:
    """Both sides in turn."""
    rounds = []
    for repeat in range(repeats):
        print(f"{setting.env}: repeat {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
        rounds.append((alone(run_ours, setting), alone(run_jax, setting)))
    ours, xla = ([one["rate"] for one in side] for side in zip(*rounds, strict=True))
    return {
        "jax": importlib.metadata.version("jax"),
        "setting": asdict(setting),
        "ours": asdict(spread(ours)),
        "xla": asdict(spread(xla)),
        "ratios": asdict(spread([one / other for one, other in zip(ours, xla, strict=True)])),
        "compile_s": rounds[0][1]["compile_s"],
        "returns": {"ours": rounds[0][0]["return"], "xla": rounds[0][1]["return"]},
    }


def page(results: Results) -> str:
    """The figures as a Markdown table."""
    header = ["environment", "members x copies x unroll", "rl_pbt, steps/s", "XLA, steps/s", "ratio", "compiling, s", "returns"]
    rows = []
    for env, one in results.items():
        size = " x ".join(str(one["setting"][name]) for name in ("members", "copies", "unroll"))
        ratio = "{median:.2f} ({min:.2f} to {max:.2f})".format(**one["ratios"])
        returns = "{ours:.1f}, {xla:.1f}".format(**one["returns"])
        rates = [f"{one[side]['median']:,.0f}" for side in ("ours", "xla")]
        rows.append([env, size, *rates, ratio, f"{one['compile_s']:.0f}", returns])
    return table(header, rows)


def main(words: Sequence[str] | None = None) -> None:
    """Measure each environment, write the file, print its page."""
    arguments = parser("jax_population", __doc__)
    arguments.add_argument("--repeats", type=int, default=5, help="measurements of each side (default 5)")
    args = arguments.parse_args(words)
    if importlib.util.find_spec("jax") is None:
        raise SystemExit("this needs JAX: pip install -e '.[jax]'")
    todo = [
        Measurement(place=(one.env,), asked={"repeats": args.repeats}, make=partial(measure, one, args.repeats))
        for one in SETTINGS
    ]
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
