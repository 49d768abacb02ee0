"""The Stable-Baselines3 interval: members are trained one after the other, and judged as our own agents are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
import torch
from stable_baselines3.common.utils import set_random_seed

from rl_pbt import seeds
from rl_pbt.config import RunConfig
from rl_pbt.envs import EnvSpec
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import Settings, built
from rl_pbt.records import FinalTest, Hyper, Proposal, Result
from rl_pbt.tasks.answers import described
from rl_pbt.tasks.base import Advance, Checkpoints, FinalTestJob, IntervalJob, unheeded
from rl_pbt.tasks.clock import Clock
from rl_pbt.tasks.playing import DIVERGED
from rl_pbt.tasks.rl.environments import resolved
from rl_pbt.tasks.stable_baselines import members
from rl_pbt.tasks.stable_baselines.arguments import on_policy, quantum_of
from rl_pbt.tasks.stable_baselines.environments import (
    Episodes,
    ended_in,
    first_episodes,
    make_training,
    random_choice,
)
from rl_pbt.tasks.stable_baselines.judging import Outcome, Winner, chooser
from rl_pbt.tasks.stable_baselines.members import Whole, environments_of
from rl_pbt.tasks.stable_baselines.options import StableBaselinesOptions
from rl_pbt.tasks.stable_baselines.settings import algorithm_of, refuse_actions, spaces_of
from rl_pbt.tasks.trees import packed, unpacked

SEED_LIMIT = 2**31  # SB3 seeds NumPy's old generator, which takes 32 bits


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StableBaselinesTask:
    """Train and judge members of one algorithm on one environment.

    `hypers` are the values of those that the search leaves alone, and `options` what is fixed. SB3's schedules, such as DQN's
    exploration, run over `budget` frames, a member's whole budget, evaluation included. The other fields are those of
    `StableBaselinesOptions`; `threads` changes the speed and never a result.
    """

    env: EnvSpec
    algorithm: str
    options: Settings
    hypers: Mapping[str, Hyper]
    budget: int
    eval_episodes: int = 8
    fitness: Literal["evaluation", "training"] = "evaluation"
    deterministic: bool = True
    replay_buffer: bool = True
    device: str = "cpu"
    threads: int = 1

    @property
    def quantum(self) -> int:
        """Frames of one round: a rollout of `n_steps` steps, or `train_freq` steps, in each of a member's environments."""
        return quantum_of(self.algorithm, self.options) * self.env.frame_skip

    @property
    def free_evaluation(self) -> bool:
        return False

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        """Results in the order of the proposals; a member that fails leaves no checkpoint, and the others continue."""
        torch.set_num_threads(self.threads)
        with members.own_streams(self.device):
            aged = zip(job.proposals, job.lineage_units, strict=True)
            return [self._one_result(proposal, age, job, advance) for proposal, age in aged]

    def _one_result(self, proposal: Proposal, age: int, job: IntervalJob, advance: Advance) -> Result:
        """A failure is charged like a success, so that no method can retry for ever."""
        clock = Clock()
        units = proposal.units // self.quantum * self.quantum
        outcome = self._outcome(proposal, units, job, advance)
        eval_units = outcome.evaluated.steps * self.env.frame_skip
        cost = clock.cost(train_units=units, eval_units=eval_units, updates=outcome.updates)
        returns = () if outcome.failure else outcome.judged.returns
        return Result(
            proposal=proposal.id,
            fitness=None if outcome.failure else float(np.mean(returns)),
            failure=outcome.failure,
            returns=returns,
            cost=cost,
            metrics=outcome.metrics,
            lineage_units=age + units,
        )

    def _outcome(self, proposal: Proposal, units: int, job: IntervalJob, advance: Advance) -> Outcome:
        """Whatever goes wrong in making a member, in its training or in judging it is this member's failure alone."""
        outcome = Outcome(fitness=self.fitness if proposal.trains else "evaluation")
        try:
            model = self.begun(proposal, job.root_seed, job.checkpoints)
            with closing(environments_of(model)):
                return self._lived(model, outcome, proposal, units, job, advance)
        except UserError:
            raise
        except Exception as error:
            return replace(outcome, failure=described(error))

    def begun(self, proposal: Proposal, root_seed: int, checkpoints: Checkpoints) -> Whole:
        """The member of a proposal as its interval begins: what its parent has learned, its own hyperparameters and streams.

        Its environments are yet to be reset, with seeds of the proposal. Raises UserError for a checkpoint of another kind.
        """
        set_random_seed(_seed(root_seed, "weights", proposal))
        hypers = {**self.hypers, **proposal.hypers}
        model = self._new(hypers) if proposal.parent is None else self._loaded(proposal.parent, checkpoints, hypers)
        model.set_random_seed(_seed(root_seed, "actions", proposal))
        key = {"member": proposal.member, "generation": proposal.generation}
        environments_of(model).seed(seeds.environment_seed(root_seed, split="train", **key))
        return model

    def _new(self, hypers: Mapping[str, Hyper]) -> Whole:
        env = make_training(
            self.env,
            self.options["n_envs"],
            gamma=float(hypers["gamma"]),
            observations=self.options["normalise_observations"],
            rewards=self.options["normalise_rewards"],
            clip_rewards=self.options["clip_rewards"],
        )
        steps = max(1, self.budget // self.env.frame_skip)
        return members.new_member(self.algorithm, env, self.options, hypers, whole_timesteps=steps, device=self.device)

    def _loaded(self, parent: int, checkpoints: Checkpoints, hypers: Mapping[str, Hyper] | None = None) -> Whole:
        """What a proposal left; with the hyperparameters it was trained with, unless others are given."""
        tree = unpacked(checkpoints.load(parent))
        if not isinstance(tree, dict) or tree.get("agent") != self.algorithm:
            raise UserError(f"the checkpoint of proposal {parent} is of another agent than sb3:{self.algorithm}")
        model = self._new(tree["hypers"] if hypers is None else hypers)
        try:
            members.load(model, tree)
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError(f"the checkpoint of proposal {parent} does not fit this agent: {described(error)}") from error
        return model

    def _lived(
        self, model: Whole, outcome: Outcome, proposal: Proposal, units: int, job: IntervalJob, advance: Advance
    ) -> Outcome:
        """Train, judge and save."""
        updates = model._n_updates
        try:
            if proposal.trains:
                logged = members.train(model, units // self.env.frame_skip, lambda made: advance(made * self.env.frame_skip))
                outcome = replace(outcome, logged=logged, trained=ended_in(environments_of(model)))
            outcome = replace(outcome, updates=model._n_updates - updates)
            if outcome.fitness == "evaluation" and outcome.losses_finite and members.finite(model):
                outcome = replace(outcome, evaluated=self._evaluated(model, proposal, job.root_seed))
        except Exception:
            if members.finite(model):
                raise
        if not (members.finite(model) and outcome.losses_finite):
            return replace(outcome, failure=DIVERGED)
        if proposal.trains:
            job.checkpoints.save(proposal.id, packed(self._tree(model, proposal)))
        return replace(outcome, failure=outcome.complaint)

    def _tree(self, model: Whole, proposal: Proposal) -> members.Tree:
        learned = members.learned(model, replay_buffer=self.replay_buffer)
        return {"agent": self.algorithm, "hypers": {**self.hypers, **proposal.hypers}, **learned}

    def _evaluated(self, model: Whole, proposal: Proposal, root_seed: int) -> Episodes:
        set_random_seed(_seed(root_seed, "evaluation actions", proposal))
        seed = seeds.environment_seed(root_seed, split="evaluate", generation=proposal.generation)
        return self._play(model, proposal.episodes or self.eval_episodes, seed)

    def _play(self, model: Whole, num_episodes: int, seed: int) -> Episodes:
        return first_episodes(self.env, num_episodes, seed, chooser(model, deterministic=self.deterministic))

    def test(self, job: FinalTestJob) -> FinalTest:
        """True returns of a finished proposal, which chooses as in evaluation, on test seeds."""
        torch.set_num_threads(self.threads)
        clock = Clock()
        with members.own_streams(self.device):
            model = self._loaded(job.proposal, job.checkpoints)
            with closing(environments_of(model)):
                set_random_seed(_seed(job.root_seed, f"test actions from episode {job.episodes[0]}"))
                seed = seeds.environment_seed(job.root_seed, split="test") + job.episodes[0]
                return self._tested(job.proposal, self._play(model, len(job.episodes), seed), clock)

    def baseline(self, root_seed: int, episodes: int) -> FinalTest:
        """A uniformly random policy on the test seeds of `root_seed`: the floor that any training must beat."""
        clock = Clock()
        choose = random_choice(spaces_of(self.env.id)[1], _seed(root_seed, "random policy"))
        seed = seeds.environment_seed(root_seed, split="test")
        return self._tested(None, first_episodes(self.env, episodes, seed, choose), clock)

    def _tested(self, proposal: int | None, episodes: Episodes, clock: Clock) -> FinalTest:
        cost = clock.cost(eval_units=episodes.steps * self.env.frame_skip)
        return FinalTest(proposal=proposal, returns=episodes.returns, cost=cost, capped=episodes.truncated)

    def rehearsal(self) -> StableBaselinesTask:
        """Without evaluation, and learning from the first round on: what most of a run does."""
        warm = {} if on_policy(self.algorithm) else {"learning_starts": 0}
        return replace(self, fitness="training", hypers={**self.hypers, **warm})

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Winner:
        """The agent that a proposal left, with the hyperparameters it was trained with."""
        return Winner(self._loaded(proposal, checkpoints))

    def probe(self) -> None:
        """Make a member, to hear what SB3 says of its arguments. Raises UserError."""
        try:
            with members.own_streams(self.device):
                environments_of(self._new(self.hypers)).close()
        except (AssertionError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"SB3 does not take these options of {self.algorithm}: {described(error)}") from error


def _seed(root_seed: int, purpose: str, proposal: Proposal | None = None) -> int:
    """A seed that SB3 takes, keyed by the proposal's member and generation where there is one."""
    member, generation = (None, None) if proposal is None else (proposal.member, proposal.generation)
    return seeds.seed(root_seed, purpose=purpose, member=member, generation=generation) % SEED_LIMIT


def make(config: RunConfig) -> StableBaselinesTask:
    """The task of a configuration. Raises UserError where its environment, its algorithm or its device is not to be had here."""
    chosen = built(StableBaselinesOptions, config.task_options)
    try:
        torch.zeros(1, device=chosen.device)
    except (RuntimeError, AssertionError):
        raise BadSetting("device", f"{chosen.device!r} is not available here: use cpu") from None
    task = StableBaselinesTask(
        env=resolved(chosen.env),
        algorithm=algorithm_of(chosen.agent),
        options=chosen.agent_options,
        hypers=config.hypers,
        budget=config.budget,
        eval_episodes=chosen.eval_episodes,
        fitness=chosen.fitness,
        deterministic=chosen.deterministic,
        replay_buffer=chosen.replay_buffer,
        device=chosen.device,
    )
    refuse_actions(task.env, task.algorithm, spaces_of(task.env.id)[1])
    task.probe()
    return task
