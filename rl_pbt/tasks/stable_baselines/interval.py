"""The Stable-Baselines3 interval: members are trained one after the other, and judged as our own agents are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, final

import numpy as np
import torch
from stable_baselines3.common.utils import set_random_seed

from rl_pbt import seeds
from rl_pbt.config import RunConfig
from rl_pbt.envs import EnvSpec
from rl_pbt.errors import UserError
from rl_pbt.options import Settings, built
from rl_pbt.records import FinalTest, Hyper, Proposal, Result
from rl_pbt.tasks.answers import described
from rl_pbt.tasks.base import DIVERGED, PATIENCE_S, Advance, FinalTestJob, IntervalJob, unheeded
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.tasks.clock import Clock
from rl_pbt.tasks.on_environments.devices import check_available
from rl_pbt.tasks.on_environments.episodes import Episodes
from rl_pbt.tasks.on_environments.failing import EnvironmentFailed, or_excluded, tried_twice
from rl_pbt.tasks.on_environments.limits import foreseen_frames, longest_episode, steps_within
from rl_pbt.tasks.on_environments.resolving import resolved
from rl_pbt.tasks.stable_baselines import members
from rl_pbt.tasks.stable_baselines.arguments import on_policy, quantum_of
from rl_pbt.tasks.stable_baselines.environments import ended_in, first_episodes, make_training, random_choice
from rl_pbt.tasks.stable_baselines.members import Whole, environments_of
from rl_pbt.tasks.stable_baselines.options import StableBaselinesOptions
from rl_pbt.tasks.stable_baselines.outcome import Choose, Outcome, Winner, chooser
from rl_pbt.tasks.stable_baselines.settings import algorithm_of, refuse_actions, spaces_of
from rl_pbt.tasks.trees import packed, unpacked

SEED_LIMIT = 2**31  # SB3 seeds NumPy's old generator, which takes 32 bits


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StableBaselinesTask:
    """Train and judge members of one algorithm on one environment.

    `hypers` are the values of those that are not searched, and `options` what is fixed. SB3's schedules, such as DQN's
    exploration, run over `budget` frames, a member's whole budget, evaluation included. Episodes of evaluation and test are cut
    after `longest_episode` frames. The other fields are those of `StableBaselinesOptions`; `threads` changes the speed but never
    a result.
    """

    env: EnvSpec
    algorithm: str
    options: Settings
    hypers: Mapping[str, Hyper]
    budget: int
    eval_episodes: int = 8
    fitness: Literal["evaluation", "training", "none"] = "evaluation"
    deterministic: bool = True
    replay_buffer: bool = True
    longest_episode: int | None = None
    device: str = "cpu"
    threads: int = 1

    patience_s = PATIENCE_S  # for one step
    free_evaluation = False

    @property
    def subject(self) -> str:
        """The environment."""
        return f"environment {self.env.id}"

    @property
    def quantum(self) -> int:
        """Frames of one round: a rollout of `n_steps` steps, or `train_freq` steps, in each of a member's environments."""
        return quantum_of(self.algorithm, self.options) * self.env.frame_skip

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        """Results in the order of the proposals; a member that fails leaves no checkpoint, and the others continue."""
        torch.set_num_threads(self.threads)
        with members.own_streams(self.device):
            aged = zip(job.proposals, job.lineage_units, strict=True)
            return [self._one_result(proposal, age, job, advance) for proposal, age in aged]

    def _one_result(self, proposal: Proposal, age: int, job: IntervalJob, advance: Advance) -> Result:
        """A member whose environment fails is charged for what was emulated; any other failure is charged like a success."""

        def told(units: int) -> None:
            advance(units, proposal.id)

        clock, outcome = tried_twice(lambda tolerant: (Clock(), self._outcome(proposal, job, told, tolerant)))
        eval_units = outcome.evaluated.steps * self.env.frame_skip
        cost = clock.cost(
            train_units=outcome.train_units,
            eval_units=eval_units,
            updates=outcome.updates,
            eval_cpu_s=outcome.eval_cpu_s,
        )
        returns = () if outcome.failure else outcome.scored.returns
        return Result(
            proposal=proposal.id,
            fitness=float(np.mean(returns)) if returns else None,
            failure=outcome.failure,
            returns=returns,
            cost=cost,
            metrics=outcome.metrics,
            lineage_units=age + outcome.train_units,
            foreseen_units=0 if outcome.failure or returns else self._foreseen(outcome),
        )

    def _foreseen(self, outcome: Outcome) -> int:
        """Frames that judging a member would have cost."""
        return foreseen_frames(
            self.env,
            outcome.trained,
            outcome.train_units,
            copies=self.options["n_envs"],
            episodes=self.eval_episodes,
            cut=self.longest_episode,
        )

    def _outcome(self, proposal: Proposal, job: IntervalJob, told: Callable[[int], None], tolerant: bool) -> Outcome:
        """Whatever goes wrong in making, training or judging a member is the failure of this member alone.

        Raises EnvironmentFailed if an environment failed, unless `tolerant`.
        """
        units = proposal.units // self.quantum * self.quantum
        outcome = Outcome(fitness=self.fitness if proposal.trains else "evaluation", train_units=units, asked=proposal.evaluates)
        told(0)
        try:
            model = self.begun(proposal, job.root_seed, job.checkpoints)
            with closing(environments_of(model)):
                return self._lived(model, outcome, proposal, job, told, tolerant)
        except EnvironmentFailed as failed:  # when it was made
            if not tolerant:
                raise
            return replace(outcome, failure=str(failed), train_units=0)
        except UserError:
            raise
        except Exception as error:
            return replace(outcome, failure=described(error))

    def begun(self, proposal: Proposal, root_seed: int, checkpoints: Checkpoints) -> Whole:
        """A proposal's member as its interval begins: what its parent learned, its own hyperparameters and random streams.

        Its environments are seeded for the proposal, but not yet reset. Raises UserError for a checkpoint of another kind.
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
        """What a proposal left, with the hyperparameters it was trained with unless others are given. Raises UserError."""
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
        self,
        model: Whole,
        outcome: Outcome,
        proposal: Proposal,
        job: IntervalJob,
        told: Callable[[int], None],
        tolerant: bool,
    ) -> Outcome:
        """Train, judge and save."""
        updates, steps = model._n_updates, model.num_timesteps
        try:
            outcome = self._judged(model, self._trained(model, outcome, proposal, told), proposal, job.root_seed, told, tolerant)
        except EnvironmentFailed as failed:
            if members.finite(model):
                if not tolerant:
                    raise
                made = (model.num_timesteps - steps) * self.env.frame_skip
                return replace(outcome, failure=str(failed), train_units=made, updates=model._n_updates - updates)
        except Exception:
            if members.finite(model):
                raise
        if not (members.finite(model) and outcome.losses_finite):
            return replace(outcome, failure=DIVERGED)
        if outcome.evaluated.failure is not None:
            return replace(outcome, failure=outcome.evaluated.failure)
        if proposal.trains:
            job.checkpoints.save(proposal.id, packed(self._tree(model, proposal)))
        return replace(outcome, failure=outcome.complaint)

    def _trained(self, model: Whole, outcome: Outcome, proposal: Proposal, told: Callable[[int], None]) -> Outcome:
        if not proposal.trains:
            return outcome
        updates, skip = model._n_updates, self.env.frame_skip
        logged = members.train(model, outcome.train_units // skip, lambda made: told(made * skip))
        return replace(outcome, logged=logged, trained=ended_in(environments_of(model)), updates=model._n_updates - updates)

    def _judged(
        self,
        model: Whole,
        outcome: Outcome,
        proposal: Proposal,
        root_seed: int,
        told: Callable[[int], None],
        tolerant: bool,
    ) -> Outcome:
        if not outcome.needs_evaluation or not (outcome.losses_finite and members.finite(model)):
            return outcome
        set_random_seed(_seed(root_seed, "evaluation actions", proposal))
        seed = seeds.environment_seed(root_seed, split="evaluate", generation=proposal.generation)
        num_episodes = proposal.episodes or self.eval_episodes
        clock = Clock()
        evaluated = self._play(num_episodes, seed, self._chooser(model), tolerant, partial(told, 0))
        return replace(outcome, evaluated=evaluated, eval_cpu_s=clock.cpu_s)

    def _tree(self, model: Whole, proposal: Proposal) -> members.Tree:
        learned = members.learned(model, replay_buffer=self.replay_buffer)
        hypers = dict(sorted({**self.hypers, **proposal.hypers}.items()))  # in the order of a manifest; a command's may differ
        return {"agent": self.algorithm, "hypers": hypers, **learned}

    def _chooser(self, model: Whole) -> Choose:
        return chooser(model, deterministic=self.deterministic)

    def _play(self, num_episodes: int, seed: int, choose: Choose, tolerant: bool, calling: Callable[[], None]) -> Episodes:
        longest = steps_within(self.env, self.longest_episode)
        return first_episodes(self.env, num_episodes, seed, choose, longest=longest, tolerant=tolerant, calling=calling)

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        """True returns of a finished proposal on test seeds, with actions chosen as in evaluation."""
        torch.set_num_threads(self.threads)
        seed = seeds.environment_seed(job.root_seed, split="test") + job.episodes[0]

        def played(tolerant: bool) -> FinalTest:
            clock = Clock()
            model = self._loaded(job.proposal, job.checkpoints)
            with closing(environments_of(model)):
                set_random_seed(_seed(job.root_seed, f"test actions from episode {job.episodes[0]}"))
                choose, calling = self._chooser(model), partial(advance, 0, job.proposal)
                return self._tested(job.proposal, self._play(len(job.episodes), seed, choose, tolerant, calling), clock)

        with members.own_streams(self.device):
            return or_excluded(job.proposal, len(job.episodes), played)

    def baseline(self, root_seed: int, episodes: int, advance: Advance = unheeded) -> FinalTest:
        """A uniformly random policy on the test seeds of `root_seed`: the floor that any training must beat."""
        seed = seeds.environment_seed(root_seed, split="test")

        def played(tolerant: bool) -> FinalTest:
            clock = Clock()
            choose = random_choice(spaces_of(self.env)[1], _seed(root_seed, "random policy"))
            return self._tested(None, self._play(episodes, seed, choose, tolerant, partial(advance, 0, None)), clock)

        return or_excluded(None, episodes, played)

    def _tested(self, proposal: int | None, episodes: Episodes, clock: Clock) -> FinalTest:
        return episodes.tested(proposal, clock.test_cost(episodes.steps * self.env.frame_skip))

    def rehearsal(self) -> StableBaselinesTask:
        """Without evaluation, and learning from the first round on, as most of a run does."""
        warm = {} if on_policy(self.algorithm) else {"learning_starts": 0}
        return replace(self, fitness="none", hypers={**self.hypers, **warm})

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Winner:
        """The agent that a proposal left, with the hyperparameters it was trained with."""
        return Winner(self._loaded(proposal, checkpoints), greedy=self.deterministic)

    def probe(self) -> None:
        """Make a member, so that SB3 can object to its arguments. Raises UserError."""
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
    """The task of a configuration. Raises UserError if its environment, its algorithm or its device is not available here."""
    chosen = built(StableBaselinesOptions, config.task_options)
    check_available(chosen.device)
    env = resolved(config.task_options)
    task = StableBaselinesTask(
        env=env,
        algorithm=algorithm_of(chosen.agent),
        options=chosen.agent_options,
        hypers=config.hypers,
        budget=config.budget,
        eval_episodes=chosen.eval_episodes,
        fitness=chosen.fitness,
        deterministic=chosen.deterministic,
        replay_buffer=chosen.replay_buffer,
        longest_episode=longest_episode(env, chosen.max_episode_frames, config.interval),
        device=chosen.device,
    )
    refuse_actions(task.env, task.algorithm, spaces_of(task.env)[1])
    task.probe()
    return task
