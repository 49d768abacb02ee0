"""One member: an algorithm of Stable-Baselines3 made for one interval, what it has learned as a tree, and its training.

The tree holds what SB3 itself would save (networks with their targets, optimisers, the learned entropy coefficient), and also the
replay buffer, running statistics and counters. Hyperparameters that come along with it are not taken over. SB3's own `save` is
not used, because it pickles.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, SupportsFloat, TypeAlias, final

import numpy as np
import torch
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.save_util import recursive_getattr
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rl_pbt.options import Settings
from rl_pbt.records import Hyper
from rl_pbt.tasks.stable_baselines.arguments import searchable
from rl_pbt.torch_state import load_state, state_of

Tree: TypeAlias = dict[str, Any]  # nested, of arrays and numbers
ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "elu": torch.nn.ELU, "gelu": torch.nn.GELU}
NETWORK_OPTIONS = ("net_arch", "activation_fn", "log_std_init", "ortho_init")
ENVIRONMENT_OPTIONS = ("n_envs", "normalise_observations", "normalise_rewards", "clip_rewards")
COUNTERS = ("num_timesteps", "_episode_num", "_n_updates")
REPLAYED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
MOMENTS = ("mean", "var", "count")
# Warnings about batches that do not divide a rollout, small networks on a GPU, and more environments than DQN makes steps between
# updates of its target network: all are the user's choice, or the search's.
CHOICES = r"You have specified a mini-batch size|You are trying to run \w+ on the GPU|The number of environments used is greater"


class Whole(BaseAlgorithm):
    """An algorithm whose schedules run over a member's whole budget, `whole_timesteps`, and not over each call of `learn`."""

    whole_timesteps: int = 0

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        super()._update_current_progress_remaining(min(num_timesteps, self.whole_timesteps), self.whole_timesteps)


class Replaying(Whole, OffPolicyAlgorithm):
    """Does not learn while its replay buffer has fewer than `learning_starts` steps: in SB3 a buffer is never emptied again."""

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Update the networks, unless the buffer has too few steps."""
        buffer = self.replay_buffer
        assert buffer is not None
        if buffer.size() >= min(-(-self.learning_starts // self.n_envs), buffer.buffer_size):
            super().train(gradient_steps, batch_size)


@final
class _PPO(Whole, PPO): ...


@final
class _A2C(Whole, A2C): ...


@final
class _DQN(Replaying, DQN): ...


@final
class _SAC(Replaying, SAC): ...


@final
class _TD3(Replaying, TD3): ...


MEMBERS: Mapping[str, Callable[..., Whole]] = {"ppo": _PPO, "a2c": _A2C, "dqn": _DQN, "sac": _SAC, "td3": _TD3}


def new_member(
    algorithm: str, env: VecEnv, options: Settings, hypers: Mapping[str, Hyper], *, whole_timesteps: int, device: str
) -> Whole:
    """An untrained member, with weights from torch's global generator. Raises what SB3 raises for wrong arguments."""
    known = searchable(algorithm)
    values: dict[str, object] = {name: known[name].value(value) for name, value in hypers.items()}
    noise = float(hypers.get("noise_std", 0.0))
    values.pop("noise_std", None)
    if noise:
        shape = env.action_space.shape
        assert shape is not None
        values["action_noise"] = NormalActionNoise(np.zeros(shape), np.full(shape, noise))
    fixed = {name: value for name, value in options.items() if name not in (*NETWORK_OPTIONS, *ENVIRONMENT_OPTIONS)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=CHOICES, category=UserWarning)
        model = MEMBERS[algorithm](env=env, policy_kwargs=_policy_kwargs(options), device=device, **fixed, **values)
    model.whole_timesteps = whole_timesteps
    return model


def _policy_kwargs(options: Settings) -> Settings:
    kwargs = {name: options[name] for name in NETWORK_OPTIONS if options.get(name) not in (None, [], "default")}
    if "activation_fn" in kwargs:
        kwargs["activation_fn"] = ACTIVATIONS[kwargs["activation_fn"]]
    return kwargs


def environments_of(model: Whole) -> VecEnv:
    """The environments that it trains in."""
    assert model.env is not None
    return model.env


def learned(model: Whole, *, replay_buffer: bool) -> Tree:
    """What a member has learned, as a tree of arrays and numbers that may share memory with it."""
    tree: Tree = {
        "networks": state_of(model.policy),
        "optimisers": {name: state_of(optimiser) for name, optimiser in _optimisers(model)},
        "counters": {name: getattr(model, name) for name in COUNTERS},
    }
    if isinstance(model, DQN):
        tree["counters"]["_n_calls"] = model._n_calls
    if isinstance(model, SAC) and model.log_ent_coef is not None:
        tree["log_ent_coef"] = model.log_ent_coef.detach().cpu().numpy()
    if isinstance(model, OffPolicyAlgorithm) and replay_buffer:
        assert model.replay_buffer is not None
        tree["replay_buffer"] = _contents(model.replay_buffer)
    normaliser = model.get_vec_normalize_env()
    if normaliser is not None:
        tree["normaliser"] = {
            name: {moment: getattr(statistics, moment) for moment in MOMENTS} for name, statistics in _statistics(normaliser)
        }
    return tree


def load(model: Whole, tree: Tree) -> None:
    """Give a new member what another has learned; its hyperparameters stay its own.

    Raises KeyError, RuntimeError or ValueError for a tree that is not of its kind.
    """
    load_state(model.policy, tree["networks"])
    for name, optimiser in _optimisers(model):
        own = [{key: value for key, value in group.items() if key != "params"} for group in optimiser.param_groups]
        load_state(optimiser, tree["optimisers"][name])
        for group, settings in zip(optimiser.param_groups, own, strict=True):
            group.update(settings)  # the learning rate and the like came with the moments
    for name, value in tree["counters"].items():
        setattr(model, name, int(value))
    if isinstance(model, SAC) and model.log_ent_coef is not None:
        model.log_ent_coef.data.copy_(torch.as_tensor(tree["log_ent_coef"]))
    if isinstance(model, OffPolicyAlgorithm) and "replay_buffer" in tree:
        assert model.replay_buffer is not None
        _refill(model.replay_buffer, tree["replay_buffer"])
    normaliser = model.get_vec_normalize_env()
    if normaliser is not None:
        for name, statistics in _statistics(normaliser):
            for moment in MOMENTS:
                setattr(statistics, moment, np.array(tree["normaliser"][name][moment]))
    model._update_current_progress_remaining(model.num_timesteps, model.whole_timesteps)
    if isinstance(model, DQN):  # SB3 draws with it before computing it
        model.exploration_rate = model.exploration_schedule(model._current_progress_remaining)


def _optimisers(model: Whole) -> Iterator[tuple[str, torch.optim.Optimizer]]:
    for name in model._get_torch_save_params()[0]:
        one = recursive_getattr(model, name)
        if isinstance(one, torch.optim.Optimizer):
            yield name, one


def _statistics(normaliser: VecNormalize) -> Iterator[tuple[str, object]]:
    """Running means and variances, each with the name of what it describes."""
    if normaliser.norm_obs:
        yield "observations", normaliser.obs_rms
    yield "returns", normaliser.ret_rms


def _contents(buffer: ReplayBuffer) -> Tree:
    held = {name: getattr(buffer, name)[: buffer.size()] for name in REPLAYED}
    return {**held, "pos": buffer.pos, "full": int(buffer.full)}


def _refill(buffer: ReplayBuffer, contents: Tree) -> None:
    for name in REPLAYED:
        held = contents[name]
        if held.shape[1:] != getattr(buffer, name).shape[1:] or len(held) > buffer.buffer_size:
            raise ValueError(f"its replay buffer has {name} of the shape {held.shape}")
        getattr(buffer, name)[: len(held)] = held
    buffer.pos, buffer.full = int(contents["pos"]), bool(contents["full"])
    # New episodes begin: an n-step return must not run from the last transitions of the buffer into them.
    last = buffer.pos - 1
    buffer.timeouts[last] = np.maximum(buffer.timeouts[last], 1.0 - buffer.dones[last])


def finite(model: Whole) -> bool:
    """Whether every weight is finite."""
    weights = [value for value in model.policy.state_dict().values() if value.is_floating_point()]
    if isinstance(model, SAC) and model.log_ent_coef is not None:
        weights.append(model.log_ent_coef.detach())
    return all(bool(torch.isfinite(value).all()) for value in weights)


def train(model: Whole, steps: int, advance: Callable[[int], None]) -> dict[str, float]:
    """Learn from exactly `steps` environment steps, in whole rounds. Returns what SB3 logged, as means over the updates.

    `advance` is told of steps as they are made.
    """
    logger = Means()
    model.set_logger(logger)
    model.learn(steps, callback=_Advance(advance), log_interval=sys.maxsize, reset_num_timesteps=False)
    return logger.means()


@final
class Means(Logger):
    """Keeps means of what is recorded, and writes nothing."""

    def __init__(self) -> None:
        super().__init__(folder=None, output_formats=[])
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._counts: defaultdict[str, int] = defaultdict(int)

    def record(self, key: str, value: SupportsFloat, exclude: str | tuple[str, ...] | None = None) -> None:
        """Take a number into account, unless SB3 keeps it from TensorBoard, as it does with counters."""
        if "tensorboard" not in self.to_tuple(exclude):
            self._sums[key] += float(value)
            self._counts[key] += 1

    def means(self) -> dict[str, float]:
        """The mean of each name over the interval."""
        return {name: total / self._counts[name] for name, total in self._sums.items()}


@final
class _Advance(BaseCallback):
    """Reports steps at the end of every rollout, and a sign of life after each step."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        super().__init__()
        self._advance = advance
        self._told = 0

    def _on_training_start(self) -> None:
        self._told = self.model.num_timesteps

    def _on_step(self) -> bool:
        self._advance(0)
        return True

    def _on_rollout_end(self) -> None:
        self._advance(self.model.num_timesteps - self._told)
        self._told = self.model.num_timesteps


@contextmanager
def own_streams(device: str) -> Iterator[None]:
    """Within it, SB3 may seed and draw from the generators of Python, NumPy and torch: they are restored afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if device.startswith("cuda") else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
