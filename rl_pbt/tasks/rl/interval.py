"""The reinforcement-learning interval: the one place where an agent meets environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, final

import numpy as np
import torch

from rl_pbt import seeds
from rl_pbt.agents import AGENTS
from rl_pbt.agents.actor_critic import ActorCritic, make_network
from rl_pbt.agents.hypers import ACTING
from rl_pbt.agents.networks import UnsupportedSpace
from rl_pbt.agents.settings import ActorCriticConfig
from rl_pbt.arrays import State
from rl_pbt.envs import EnvSpec, close_quietly, make_vector, resumable_form
from rl_pbt.errors import UserError
from rl_pbt.records import FinalTest, Result
from rl_pbt.tasks.base import PATIENCE_S, Advance, FinalTestJob, IntervalJob, unheeded
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.tasks.clock import Clock
from rl_pbt.tasks.grouped import generator, generators, load_member, values_of, weight_seeds
from rl_pbt.tasks.on_environments.episodes import Episodes
from rl_pbt.tasks.on_environments.failing import EnvironmentFailed, environment_errors_in_one_line, or_excluded, tried_twice
from rl_pbt.tasks.on_environments.limits import foreseen_frames, steps_within
from rl_pbt.tasks.rl.collecting import Choose, Sampler, first_episodes
from rl_pbt.tasks.rl.environments import MemberEnvironments, spaces_of
from rl_pbt.tasks.rl.in_parts import Handling
from rl_pbt.tasks.rl.metrics import Lived, Played, result_of
from rl_pbt.tasks.rl.training import Training, WrongEpisodes
from rl_pbt.tasks.rl.unfinished import continued_by, left_by, parted
from rl_pbt.tasks.rl.unrolls import by_unroll_length
from rl_pbt.tasks.rl.winner import Winner


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RLTask:
    """Train and judge the members of one agent on one environment.

    `budget` is all that a member may train for, over which learning rates are annealed. `hypers` are the values of those that are
    not searched.

    `fitness`: "evaluation" plays `eval_episodes` fresh episodes after training, on the same seeds for every member of a
    generation. "training" is the paper's way: the mean of the whole training episodes that ended in the interval, or of
    evaluation episodes if none did. "none" is for a rehearsal. Evaluation and test take the likeliest actions if `greedy`. Their
    episodes are cut after `longest_episode` frames, and counted as capped. With `carry_episodes` training continues the member's
    own episodes where its previous interval left them; a copy of another member begins new ones.

    Two choices are for a worker with a core to spare; like `threads`, they change the speed and never a result. With
    `learn_beside`, acting and learning run at the same time if the agent's lag allows it and observations are images. With
    `step_together`, the members' environments step at the same time if they have threads of their own.
    """

    env: EnvSpec
    agent: str
    agent_config: ActorCriticConfig
    budget: int = 1
    hypers: Mapping[str, float] = field(default_factory=dict)
    eval_episodes: int = 8
    fitness: Literal["evaluation", "training", "none"] = "evaluation"
    longest_episode: int | None = None
    greedy: bool = False
    carry_episodes: bool = False
    device: str = "cpu"
    threads: int = 1
    learn_beside: bool = False
    step_together: bool = False

    patience_s = PATIENCE_S
    free_evaluation = False

    @property
    def subject(self) -> str:
        return f"environment {self.env.id}"

    @property
    def quantum(self) -> int:
        """Frames of one step of a member's environments: the least that it can train for."""
        return self.agent_config.envs_per_member * self.env.frame_skip

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        """Members with unrolls of different lengths cannot share a tensor, so those of each length train in turn."""
        torch.set_num_threads(self.threads)
        results: dict[int, Result] = {}
        for length, part in by_unroll_length(job, self.agent_config.unroll_length).items():
            alike = replace(self, agent_config=replace(self.agent_config, unroll_length=length))
            results |= {result.proposal: result for result in alike._guarded_interval(part, advance)}
        return [results[proposal.id] for proposal in job.proposals]

    def _guarded_interval(self, job: IntervalJob, advance: Advance) -> list[Result]:
        """If an environment fails, the whole interval is tried once more; if it fails again, its member alone fails."""
        try:
            return tried_twice(lambda tolerant: self._interval(job, advance, tolerant))
        except EnvironmentFailed as failed:  # before anything is known about it, even its spaces
            return [
                Result(proposal=proposal.id, fitness=None, failure=str(failed), lineage_units=age)
                for proposal, age in zip(job.proposals, job.lineage_units, strict=True)
            ]

    def _interval(self, job: IntervalJob, advance: Advance, tolerant: bool) -> list[Result]:
        advance(0, None)
        agent, unfinished = self._agent(job)
        updates = agent.updates
        clock = Clock()
        trained = self._train(agent, job, advance, tolerant, unfinished)
        diverged = set(np.flatnonzero(~agent.healthy()).tolist())
        judging = Clock()
        judged = self._judge(agent, job, advance, trained, diverged | trained.failed.keys(), tolerant)
        lived = Lived(
            trained=trained,
            judged=judged,
            diverged=diverged,
            updates=agent.updates - updates,
            share=clock.cost(eval_cpu_s=judging.cpu_s).share(len(job.proposals)),
        )
        for index, proposal in enumerate(job.proposals):
            if proposal.trains and lived.failure(index) is None:
                job.checkpoints.save(proposal.id, {**agent.state(index), **trained.left.get(index, {})})
        return [self._result(index, job, lived) for index in range(len(job.proposals))]

    def _result(self, index: int, job: IntervalJob, lived: Lived) -> Result:
        foreseen = foreseen_frames(
            self.env,
            lived.trained.episodes[index],
            lived.trained.frames[index],
            copies=self.agent_config.envs_per_member,
            episodes=self.eval_episodes,
            cut=self.longest_episode,
        )
        proposal, age = job.proposals[index], job.lineage_units[index]
        return result_of(proposal, lived, index, foreseen_units=foreseen, parent_units=age)

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        """Episodes in which the environment fails twice are excluded."""
        torch.set_num_threads(self.threads)
        seed = seeds.environment_seed(job.root_seed, split="test") + job.episodes[0]

        def played(tolerant: bool) -> FinalTest:
            advance(0, job.proposal)
            agent = self.load(job.proposal, job.checkpoints)
            actions = generator(seeds.seed(job.root_seed, purpose=f"test actions from episode {job.episodes[0]}"))
            choose = Sampler(agent.policy(), [actions], len(job.episodes), greedy=self.greedy)
            return self._tested(job.proposal, len(job.episodes), seed, choose, advance, tolerant)

        return or_excluded(job.proposal, len(job.episodes), played)

    def baseline(self, root_seed: int, episodes: int, advance: Advance = unheeded) -> FinalTest:
        """A uniformly random policy on the test seeds of `root_seed`: the floor that any training must beat."""
        seed = seeds.environment_seed(root_seed, split="test")

        def played(tolerant: bool) -> FinalTest:
            advance(0, None)
            with environment_errors_in_one_line(self.env, "its constructor"):
                probe = make_vector(self.env, episodes)
            probe.action_space.seed(seeds.seed(root_seed, purpose="random policy") % 2**31)
            close_quietly(probe)
            return self._tested(None, episodes, seed, lambda *_: probe.action_space.sample()[None], advance, tolerant)

        return or_excluded(None, episodes, played)

    def _tested(
        self, proposal: int | None, num_episodes: int, seed: int, choose: Choose, advance: Advance, tolerant: bool
    ) -> FinalTest:
        clock = Clock()
        calling = [partial(advance, 0, proposal)]
        handling = Handling(separate=True, tolerant=tolerant, copies_alone=True)
        with MemberEnvironments(self.env, num_episodes, [seed], handling, calling=calling) as actors:
            (episodes,) = first_episodes(actors, choose, steps_within(self.env, self.longest_episode))
        return episodes.tested(proposal, clock.test_cost(actors.frames[0]))

    def rehearsal(self) -> RLTask:
        return replace(self, fitness="none")

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Winner:
        observation_space, _ = spaces_of(self.env)
        return Winner(self.load(proposal, checkpoints).policy(), observation_space, self.env, greedy=self.greedy)

    def load(self, proposal: int, checkpoints: Checkpoints) -> ActorCritic:
        """The agent that a proposal left, with one member. Raises UserError for a checkpoint of another agent."""
        agent = self._new_agent([0])
        self._load(agent, 0, proposal, checkpoints)
        return agent

    @staticmethod
    def _load(agent: ActorCritic, index: int, proposal: int, checkpoints: Checkpoints) -> State:
        """Load a member. Returns the rest of its checkpoint: its unfinished episodes, if there are any."""
        learned, episodes = parted(checkpoints.load(proposal))
        load_member(agent, index, proposal, learned, "agent")
        return episodes

    @property
    def network_in_words(self) -> str:
        """The network that reads observations, in words. Raises UserError if there is none for these."""
        try:
            network = make_network(self.agent_config, *spaces_of(self.env))
        except UnsupportedSpace as error:
            raise UserError(f"{self.env.id}: {error}") from error
        core = "" if self.agent_config.core == "none" else f", then {self.agent_config.core} of {self.agent_config.core_size}"
        return network.torso.words + core

    def _new_agent(self, weight_seeds: Sequence[int]) -> ActorCritic:
        try:
            return AGENTS[self.agent].make(self.agent_config, *spaces_of(self.env), seeds=weight_seeds, device=self.device)
        except UnsupportedSpace as error:
            raise UserError(f"{self.env.id}: {error}") from error

    def _agent(self, job: IntervalJob) -> tuple[ActorCritic, dict[int, State]]:
        """First the weights, optimiser moments and normaliser of the parents; then the hyperparameters of the proposals.

        Also the unfinished episodes of members that continue from their own checkpoints; a copy begins new ones.
        """
        agent = self._new_agent(weight_seeds(job))
        unfinished: dict[int, State] = {}
        for index, proposal in enumerate(job.proposals):
            if proposal.parent is not None:
                own = continued_by(proposal.member, self._load(agent, index, proposal.parent, job.checkpoints))
                if own is not None:
                    unfinished[index] = own
        names = [name for name in {**self.hypers, **job.proposals[0].hypers} if name not in ACTING]
        agent.set_hypers({name: values_of(job, self.hypers, name) for name in names})
        return agent, unfinished

    def _train(
        self,
        agent: ActorCritic,
        job: IntervalJob,
        advance: Advance,
        tolerant: bool,
        unfinished: Mapping[int, State],
    ) -> Played:
        keys = [(p.member, p.generation) for p in job.proposals]
        if not job.proposals[0].trains:
            return Played(episodes=[Episodes() for _ in keys], frames=[0] * len(keys), failed={})
        with MemberEnvironments(
            (self.carry_episodes and resumable_form(self.env)) or self.env,
            self.agent_config.envs_per_member,
            [seeds.environment_seed(job.root_seed, split="train", member=m, generation=g) for m, g in keys],
            Handling(together=self.step_together, tolerant=tolerant),
            calling=_callers(job, advance),
        ) as actors:
            training = Training(
                agent=agent,
                config=self.agent_config,
                environments=actors,
                actions=generators(job, "actions"),
                orders=generators(job, "minibatches"),
                unfinished={index: state for index, state in unfinished.items() if index not in actors.failed},
                ages=job.lineage_units,
                budget=self.budget,
                beside=self.learn_beside,
                threads=self.threads,
                advance=advance,
            )
            try:
                metrics = training.run(job.proposals[0].units)
            except WrongEpisodes as error:
                raise UserError(f"a checkpoint is not of these environments: {error}") from error
            left = {
                index: left_by(proposal.member, training.left(index))
                for index, proposal in enumerate(job.proposals)
                if self.carry_episodes and index not in actors.failed
            }
        return Played(episodes=actors.episodes, frames=actors.frames, failed=actors.failed, metrics=metrics, left=left)

    def _judge(
        self,
        agent: ActorCritic,
        job: IntervalJob,
        advance: Advance,
        trained: Played,
        failed: Set[int],
        tolerant: bool,
    ) -> Played:
        """One episode in each evaluation environment of each member that has not failed, on seeds that a generation shares.

        Members that are judged by training episodes play none, and none is played if no evaluation was asked for.
        """
        done = {index for index, episodes in enumerate(trained.episodes) if episodes.returns and self.fitness == "training"}
        if self.fitness == "none" or len(done | failed) == len(job.proposals):
            return replace(trained, frames=[0] * len(trained.frames), failed={})
        if not job.proposals[0].evaluates:
            known = [episodes if index in done else Episodes() for index, episodes in enumerate(trained.episodes)]
            return replace(trained, episodes=known, frames=[0] * len(trained.frames), failed={})
        seed = seeds.environment_seed(job.root_seed, split="evaluate", generation=job.proposals[0].generation)
        num_episodes = job.proposals[0].episodes or self.eval_episodes
        with MemberEnvironments(
            self.env,
            num_episodes,
            [seed] * len(job.proposals),
            Handling(separate=True, together=self.step_together, tolerant=tolerant),
            absent=done | failed,
            calling=_callers(job, advance),
        ) as actors:
            choose = Sampler(agent.policy(), generators(job, "evaluation actions"), num_episodes, greedy=self.greedy)
            episodes = first_episodes(actors, choose, steps_within(self.env, self.longest_episode))
        return Played(
            episodes=[trained.episodes[index] if index in done else played for index, played in enumerate(episodes)],
            frames=actors.frames,
            failed=actors.failed,
        )


def _callers(job: IntervalJob, advance: Advance) -> list[Callable[[], None]]:
    """One function per member that says, before each call of its environment, whose it is."""
    return [partial(advance, 0, proposal.id) for proposal in job.proposals]
