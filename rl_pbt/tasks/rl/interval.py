"""The reinforcement-learning interval: the one place where an agent meets environments."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, final

import gymnasium
import numpy as np
import torch

from rl_pbt import seeds
from rl_pbt.agents import AGENTS, ActorCritic, ActorCriticConfig, CheckpointMismatch, Rollout, UnsupportedSpace
from rl_pbt.arrays import Array
from rl_pbt.config import RunConfig
from rl_pbt.envs import EnvSpec, make_vector
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import built
from rl_pbt.records import Cost, FinalTest, Proposal, Result
from rl_pbt.tasks.base import Advance, Checkpoints, FinalTestJob, IntervalJob, Machine, unheeded
from rl_pbt.tasks.clock import Clock
from rl_pbt.tasks.playing import DIVERGED, episode_metrics, no_fitness
from rl_pbt.tasks.rl.collecting import Collector, Sampler, first_episodes
from rl_pbt.tasks.rl.environments import Episodes, MemberEnvironments, environment_errors_in_one_line, resolved
from rl_pbt.tasks.rl.settings import RLOptions
from rl_pbt.tasks.rl.side_by_side import learner
from rl_pbt.tasks.rl.winner import Winner

# SB3's names, so that dashboards that people have keep working. `entropy_loss` is minus the entropy there.
METRIC_TAGS = {
    "policy_loss": "train/policy_gradient_loss",
    "value_loss": "train/value_loss",
    "entropy": "train/entropy_loss",
    "explained_variance": "train/explained_variance",
    "grad_norm": "train/grad_norm",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RLTask:
    """Train and judge the members of one agent on one environment.

    `fitness`: "evaluation" plays `eval_episodes` fresh episodes after training, the same seeds for every member of a
    generation; "training" is the paper's way, the mean of the whole training episodes that ended in the interval. `hypers`
    are the values of those that the search leaves alone. Two choices are for a worker with a core to spare, and like `threads`
    change the speed, never a result: with `learn_beside`, acting and learning run at the same time where the agent's lag allows
    it and observations are images; with `step_together`, so do the steps of the members' environments where those have threads
    of their own.
    """

    env: EnvSpec
    agent: str
    agent_config: ActorCriticConfig
    hypers: Mapping[str, float] = field(default_factory=dict)
    eval_episodes: int = 8
    fitness: Literal["evaluation", "training"] = "evaluation"
    device: str = "cpu"
    threads: int = 1
    learn_beside: bool = False
    step_together: bool = False

    @property
    def quantum(self) -> int:
        """Frames of one step of a member's environments: the least it can train for."""
        return self.agent_config.envs_per_member * self.env.frame_skip

    @property
    def free_evaluation(self) -> bool:
        return False

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        torch.set_num_threads(self.threads)
        agent = self._agent(job)
        clock = Clock()
        episodes, metrics, updates = self._train(agent, job, advance)
        train_units = job.proposals[0].units // self.quantum * self.quantum
        healthy = [bool(ok) for ok in agent.healthy()]
        judged, eval_units = self._judge(agent, job, healthy, episodes)
        spent, members = clock.cost(), len(job.proposals)
        results = []
        for index, proposal in enumerate(job.proposals):
            if healthy[index] and proposal.trains:
                job.checkpoints.save(proposal.id, agent.state(index))
            cost = Cost(
                train_units=train_units,
                eval_units=eval_units[index],
                updates=updates,
                cpu_s=spent.cpu_s / members,
                wall_s=spent.wall_s / members,
            )
            own_metrics = _metrics(metrics, index, episodes[index], judged[index] if self.fitness == "evaluation" else None)
            results.append(_result(proposal, healthy[index], judged[index], cost, own_metrics, job.lineage_units[index]))
        return results

    def test(self, job: FinalTestJob) -> FinalTest:
        torch.set_num_threads(self.threads)
        agent = self.load(job.proposal, job.checkpoints)
        seed = seeds.environment_seed(job.root_seed, split="test") + job.episodes[0]
        generator = _generator(seeds.seed(job.root_seed, purpose=f"test actions from episode {job.episodes[0]}"))
        clock = Clock()
        (episodes,), (frames,) = self._play(agent, len(job.episodes), [seed], [generator], [0])
        return _test(job.proposal, episodes, frames, clock)

    def rehearsal(self) -> RLTask:
        return replace(self, fitness="training")

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Winner:
        observation_space, _ = self._spaces()
        assert observation_space.dtype is not None
        return Winner(self.load(proposal, checkpoints).policy(), observation_space.dtype)

    def load(self, proposal: int, checkpoints: Checkpoints) -> ActorCritic:
        """The agent, of one member, that a proposal left. Raises UserError for a checkpoint that is not its own."""
        agent = self._new_agent([0])
        self._load(agent, 0, proposal, checkpoints)
        return agent

    @staticmethod
    def _load(agent: ActorCritic, index: int, proposal: int, checkpoints: Checkpoints) -> None:
        try:
            agent.load_state(index, checkpoints.load(proposal))
        except CheckpointMismatch as error:
            raise UserError(f"the checkpoint of proposal {proposal} is not of this agent: {error}") from error

    def baseline(self, root_seed: int, episodes: int) -> FinalTest:
        """A uniformly random policy on the test seeds of `root_seed`: the floor that any training must beat."""
        seed = seeds.environment_seed(root_seed, split="test")
        clock = Clock()
        actors = MemberEnvironments(self.env, episodes, [seed], separate=True)
        probe = make_vector(self.env, episodes)
        probe.action_space.seed(seeds.seed(root_seed, purpose="random policy") % 2**31)
        (played,), (frames,) = first_episodes(actors, lambda *_: probe.action_space.sample()[None], [0])
        actors.close()
        probe.close()
        return _test(None, played, frames, clock)

    def _spaces(self) -> tuple[gymnasium.Space[object], gymnasium.Space[object]]:
        """Of the observations and of the actions of one environment."""
        with environment_errors_in_one_line(self.env, "its constructor"):
            probe = make_vector(self.env, 1)
        spaces = probe.single_observation_space, probe.single_action_space
        probe.close()
        return spaces

    def _new_agent(self, weight_seeds: Sequence[int]) -> ActorCritic:
        try:
            return AGENTS[self.agent].make(self.agent_config, *self._spaces(), seeds=weight_seeds, device=self.device)
        except UnsupportedSpace as error:
            raise UserError(f"{self.env.id}: {error}") from error

    def _agent(self, job: IntervalJob) -> ActorCritic:
        """Weights, optimiser moments and normaliser of the parents first; then the hyperparameters of the proposals, live."""
        agent = self._new_agent(
            [
                # What is loaded over may be anything: drawing weights takes longer than loading them.
                0
                if p.parent is not None
                else seeds.seed(job.root_seed, purpose="weights", member=p.member, generation=p.generation)
                for p in job.proposals
            ]
        )
        for index, proposal in enumerate(job.proposals):
            if proposal.parent is not None:
                self._load(agent, index, proposal.parent, job.checkpoints)
        hypers = [{**self.hypers, **proposal.hypers} for proposal in job.proposals]
        agent.set_hypers({name: [float(of_member[name]) for of_member in hypers] for name in hypers[0]})
        return agent

    def _train(self, agent: ActorCritic, job: IntervalJob, advance: Advance) -> tuple[list[Episodes], dict[str, Array], int]:
        if not job.proposals[0].trains:
            return [Episodes() for _ in job.proposals], {}, 0
        keys = [(p.member, p.generation) for p in job.proposals]
        actors = MemberEnvironments(
            self.env,
            self.agent_config.envs_per_member,
            [seeds.environment_seed(job.root_seed, split="train", member=m, generation=g) for m, g in keys],
            together=self.step_together,
        )
        generators = [_generator(seeds.seed(job.root_seed, purpose="actions", member=m, generation=g)) for m, g in keys]
        collect = Collector(actors, generators, agent.policy())
        metrics: list[dict[str, torch.Tensor]] = []
        waiting: deque[Rollout] = deque()  # collected and not yet learned from
        lag = self.agent_config.policy_lag
        # A small network is mostly Python, in which threads take turns: with vectors to observe, two are slower than one.
        images = actors.observations.ndim > 3
        with learner(self.learn_beside and images and lag > 0, self.threads) as updates:
            for length in self._unrolls(job.proposals[0].units):
                # What acts is `lag` updates older than what will learn from it; the two do not wait for each other.
                policy = agent.policy()
                learning = updates.submit(agent.learn, waiting.popleft()) if lag and len(waiting) == lag else None
                waiting.append(collect(policy, length))
                if learning:
                    metrics.append(learning.result())
                if not lag:
                    metrics.append(agent.learn(waiting.popleft()))
                advance(length * self.quantum * len(keys))
        metrics += [agent.learn(rollout) for rollout in waiting]
        actors.close()
        means = {name: torch.stack([row[name] for row in metrics]).mean(0).cpu().numpy() for name in metrics[0]}
        return actors.episodes, means, len(metrics)

    def _unrolls(self, frames: int) -> Iterator[int]:
        """Lengths in steps: whole unrolls, and what is left."""
        whole, rest = divmod(frames // self.quantum, self.agent_config.unroll_length)
        yield from [self.agent_config.unroll_length] * whole
        if rest:
            yield rest

    def _judge(
        self, agent: ActorCritic, job: IntervalJob, healthy: Sequence[bool], trained: Sequence[Episodes]
    ) -> tuple[list[Episodes], list[int]]:
        if self.fitness == "training":
            return list(trained), [0] * len(trained)
        seed = seeds.environment_seed(job.root_seed, split="evaluate", generation=job.proposals[0].generation)
        generators = [
            _generator(seeds.seed(job.root_seed, purpose="evaluation actions", member=p.member, generation=p.generation))
            for p in job.proposals
        ]
        playing = [index for index, ok in enumerate(healthy) if ok]
        num_episodes = job.proposals[0].episodes or self.eval_episodes
        return self._play(agent, num_episodes, [seed] * len(healthy), generators, playing)

    def _play(
        self,
        agent: ActorCritic,
        num_episodes: int,
        environment_seeds: Sequence[int],
        generators: Sequence[torch.Generator],
        playing: Sequence[int],
    ) -> tuple[list[Episodes], list[int]]:
        """One episode in each of `num_episodes` environments of each member in `playing`, and the frames of each member."""
        actors = MemberEnvironments(self.env, num_episodes, environment_seeds, separate=True, together=self.step_together)
        outcome = first_episodes(actors, Sampler(agent.policy(), generators, num_episodes), playing)
        actors.close()
        return outcome


def make(config: RunConfig, machine: Machine) -> RLTask:
    """The task of a configuration. Raises UserError where its environment, its agent or its device is not to be had here."""
    chosen = built(RLOptions, config.task_options)
    _check_device(chosen.device)
    spare = chosen.device != "cpu" or machine.workers < machine.cores  # a core, or a device, that would otherwise be idle
    return RLTask(
        env=resolved(chosen.env, chosen.backend),
        agent=chosen.agent,
        agent_config=built(AGENTS[chosen.agent].config, chosen.agent_options),
        hypers={name: float(value) for name, value in config.hypers.items()},
        eval_episodes=chosen.eval_episodes,
        fitness=chosen.fitness,
        device=chosen.device,
        learn_beside=spare,
        step_together=spare,
    )


def _check_device(name: str) -> None:
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError):
        raise BadSetting("device", f"{name!r} is not available here: use cpu") from None


def _test(proposal: int | None, episodes: Episodes, frames: int, clock: Clock) -> FinalTest:
    cost = clock.cost(eval_units=frames)
    return FinalTest(proposal=proposal, returns=tuple(episodes.returns), cost=cost, capped=episodes.truncated)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _metrics(learned: Mapping[str, Array], index: int, trained: Episodes, evaluated: Episodes | None) -> dict[str, float]:
    """Finite scalars under SB3's names."""
    metrics = {METRIC_TAGS.get(name, f"train/{name}"): float(values[index]) for name, values in learned.items()}
    if learned:
        metrics["train/entropy_loss"] *= -1.0
    metrics |= episode_metrics(trained, evaluated)
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _result(
    proposal: Proposal, healthy: bool, judged: Episodes, cost: Cost, metrics: Mapping[str, float], parent_units: int
) -> Result:
    failure = no_fitness(judged) if healthy else DIVERGED
    return Result(
        proposal=proposal.id,
        fitness=None if failure else float(np.mean(judged.returns)),
        failure=failure,
        returns=() if failure else tuple(judged.returns),
        cost=cost,
        metrics=metrics,
        lineage_units=parent_units + cost.train_units,
    )
