"""One member: an algorithm of Stable-Baselines3 made for one interval, what it has learned as a tree, and its training.

What is learned is what SB3 itself would save (networks with their targets, optimisers, the learned entropy coefficient), and with
it the replay buffer, running statistics and counters; a hyperparameter that comes with it is not taken over. SB3's own `save`
pickles, so it is not used.
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
# About batches that do not divide a rollout, and small networks on a GPU: both are the user's choice, or the search's.
CHOICES = r"You have specified a mini-batch size|You are trying to run \w+ on the GPU|The number of environments used is greater"


class Whole(BaseAlgorithm):
    """Schedules that run over a member's whole budget of `whole_timesteps`, not over one interval, as SB3's `learn` has them."""

    whole_timesteps: int = 0

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        super()._update_current_progress_remaining(min(num_timesteps, self.whole_timesteps), self.whole_timesteps)


class Replaying(Whole, OffPolicyAlgorithm):
    """Does not learn from a replay buffer of fewer steps than `learning_starts`; SB3 expects none that begins empty later."""

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Update the networks, unless the buffer holds too little."""
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
    """A member that has learned nothing, with weights from torch's generator. Raises what SB3 raises for wrong arguments."""
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
    """Those it trains in."""
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
            group.update(settings)  # the rate, and the like, came with the moments
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
    if isinstance(model, DQN):  # which SB3 draws with before it works it out
        model.exploration_rate = model.exploration_schedule(model._current_progress_remaining)


def _optimisers(model: Whole) -> Iterator[tuple[str, torch.optim.Optimizer]]:
    for name in model._get_torch_save_params()[0]:
        one = recursive_getattr(model, name)
        if isinstance(one, torch.optim.Optimizer):
            yield name, one


def _statistics(normaliser: VecNormalize) -> Iterator[tuple[str, object]]:
    """Running means and variances, by what they are of."""
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
    # Environments begin afresh: an n-step return must not run from the last transitions into episodes of other environments.
    last = buffer.pos - 1
    buffer.timeouts[last] = np.maximum(buffer.timeouts[last], 1.0 - buffer.dones[last])


def finite(model: Whole) -> bool:
    """Whether every weight is."""
    weights = [value for value in model.policy.state_dict().values() if value.is_floating_point()]
    if isinstance(model, SAC) and model.log_ent_coef is not None:
        weights.append(model.log_ent_coef.detach())
    return all(bool(torch.isfinite(value).all()) for value in weights)


def train(model: Whole, steps: int, advance: Callable[[int], None]) -> dict[str, float]:
    """Learn from exactly `steps` steps of the environments, whole rounds; what SB3 logged, each value's mean over the updates.

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
        """Of each name, over the interval."""
        return {name: total / self._counts[name] for name, total in self._sums.items()}


@final
class _Advance(BaseCallback):
    """Tells of steps at the end of every rollout, and after each that there was one."""

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
    """Leave the generators of Python, NumPy and torch, which SB3 seeds and draws from, as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if device.startswith("cuda") else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
