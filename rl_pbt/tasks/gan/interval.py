"""The task itself: a group of GANs is trained for some updates, and each is judged by its images from fresh latent vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import final

import numpy as np
import torch
from torch import Tensor

from rl_pbt import seeds
from rl_pbt.arrays import Array, State
from rl_pbt.errors import UserError
from rl_pbt.records import Cost, FinalTest, Hyper, Proposal, Result, is_score
from rl_pbt.tasks.base import PATIENCE_S, Advance, FinalTestJob, IntervalJob, unheeded
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.tasks.clock import Clock
from rl_pbt.tasks.gan.classifier import Classifier, load_classifier
from rl_pbt.tasks.gan.images import Images, read_recorded
from rl_pbt.tasks.gan.networks import LATENT, as_bytes, as_input
from rl_pbt.tasks.gan.options import DISCRIMINATOR_RATE, GENERATOR_RATE, PICTURES
from rl_pbt.tasks.gan.population import Batches, GanPopulation
from rl_pbt.tasks.gan.scoring import CHUNK, Evaluation, Moments, evaluation, features_of
from rl_pbt.tasks.grouped import generator, load_member, load_parents, values_of, weight_seeds

WHAT = "GAN"
DISTANCE = "Fréchet distance of classifier features"
DIVERGED = "diverged: losses, weights or images are not finite"
NOT_FINITE = "images are not finite"  # in a test
EXHIBITED = 16  # images that each proposal leaves for the report
THREADS = 1  # with several, sums would have other last digits


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the images and the classifier are, and the fingerprints that they must have."""

    images: str
    digest: str
    classifier: str
    classifier_digest: str


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Images and classifier in memory, with the feature statistics of both held-out parts."""

    training: Tensor  # uint8 [N, 28, 28]: as float32, which the networks take, they would need four times the memory
    classifier: Classifier
    fitness: Moments
    test: Moments


@lru_cache(maxsize=2)
def material(source: Source) -> Material:
    """Read once in each process. Raises UserError if something is missing or is not the recorded one."""
    images: Images = read_recorded(source.images, source.digest)
    classifier = load_classifier(source.classifier, source.classifier_digest)
    held_out = [as_input(torch.from_numpy(part.images.copy())) for part in (images.fitness, images.test)]
    fitness, test = (Moments.of(features_of(classifier, part)) for part in held_out)
    return Material(training=torch.from_numpy(images.training.images.copy()), classifier=classifier, fitness=fitness, test=test)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Winner:
    """A generator as a proposal left it."""

    population: GanPopulation

    def images(self, count: int, seed: int = 0) -> Array:
        """`count` of its images, uint8 [count, 28, 28]; the same for the same seed. Raises UserError for fewer than one."""
        if count < 1:
            raise UserError(f"cannot make {count} images: ask for one or more")
        return np.asarray(as_bytes(torch.cat(list(_made(self.population, 0, _latents(seed, count))))).numpy())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GanTask:
    """Small DCGANs on 28x28 images; a unit is one update of the generator, after `discriminator_steps` of the discriminator.

    `hypers` are the learning rates that are not searched. Fitness is the mean score of `evaluations` sets of `samples` images. A
    member whose losses, weights or images are not finite has failed; evaluation is free.
    """

    source: Source
    hypers: Mapping[str, Hyper] = field(default_factory=dict)
    channels: int
    batch_size: int
    discriminator_steps: int
    evaluations: int
    samples: int

    subject = "the GAN"
    patience_s = PATIENCE_S
    quantum = 1
    free_evaluation = True

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        """All members of the group side by side; a member's place in the group changes none of its digits."""
        torch.set_num_threads(THREADS)
        advance(0, None)
        proposals, known = job.proposals, material(self.source)
        clock = Clock()
        population = self._population(job)
        losses = self._train(population, proposals, known, job.root_seed, advance)
        spent = clock.cost().share(len(proposals))
        healthy, results = population.healthy(), []
        for member, proposal in enumerate(proposals):
            clock = Clock()
            alive = partial(advance, 0, proposal.id)
            alive()
            judgements = self._judged(population, member, proposal, known, job.root_seed, alive) if healthy[member] else None
            judging = clock.test_cost()
            if judgements is not None and proposal.trains:
                job.checkpoints.save(proposal.id, population.state(member))
                job.checkpoints.exhibit(proposal.id, self._exhibit(population, member, job.root_seed))
            updates = proposal.units * (1 + self.discriminator_steps)
            cost = replace(spent + judging, train_units=proposal.units, updates=updates)
            metrics = {f"train/{name}": values[member] for name, values in losses.items()}
            results.append(_result(proposal, judgements, metrics, cost, job.lineage_units[member]))
        return results

    def _population(self, job: IntervalJob) -> GanPopulation:
        """First the weights, moments and statistics of the parents; then the learning rates of the proposals."""
        population = GanPopulation(weight_seeds(job), self.channels)
        load_parents(population, job, WHAT)
        population.set_rates(
            generator=values_of(job, self.hypers, GENERATOR_RATE),
            discriminator=values_of(job, self.hypers, DISCRIMINATOR_RATE),
        )
        return population

    def _train(
        self, population: GanPopulation, proposals: Sequence[Proposal], known: Material, root_seed: int, advance: Advance
    ) -> dict[str, list[float]]:
        """Means of the losses by name, one value per member. Each member draws images and latent vectors from its own stream."""
        streams = [
            generator(seeds.environment_seed(root_seed, split="train", member=one.member, generation=one.generation))
            for one in proposals
        ]
        sums: dict[str, Tensor] = {}
        units = proposals[0].units
        for _ in range(units):
            losses = population.learn([self._batches(known.training, stream) for stream in streams])
            sums = {name: sums.get(name, 0.0) + found.to(torch.float64) for name, found in losses.items()}
            advance(len(proposals), None)
        return {name: (total / units).tolist() for name, total in sums.items()}

    def _batches(self, images: Tensor, stream: torch.Generator) -> Batches:
        steps, size = self.discriminator_steps, self.batch_size
        places = torch.randint(len(images), (steps * size,), generator=stream)
        real = as_input(images[places])
        return Batches(
            real=real.view(steps, size, *real.shape[1:]), latents=torch.randn((steps + 1, size, LATENT), generator=stream)
        )

    def _judged(
        self,
        population: GanPopulation,
        member: int,
        proposal: Proposal,
        known: Material,
        root_seed: int,
        alive: Callable[[], None],
    ) -> list[Evaluation] | None:
        """Judgements on latent vectors that a generation shares; empty if no evaluation was asked for, None if it diverged."""
        first = seeds.environment_seed(root_seed, split="evaluate", generation=proposal.generation)
        times = self.evaluations if proposal.episodes is None else proposal.episodes
        judge = partial(self._judgement, population, member, known=known, held_out=known.fitness, alive=alive)
        found = [judge(first + number) for number in range(times)]
        return found if all(map(_is_finite, found)) else None

    def _judgement(
        self,
        population: GanPopulation,
        member: int,
        seed: int,
        *,
        known: Material,
        held_out: Moments,
        alive: Callable[[], None],
    ) -> Evaluation:
        """The judgement of `samples` images, with a sign of life after each chunk, since there may be many."""
        features = []
        for images in _made(population, member, _latents(seed, self.samples)):
            features.append(features_of(known.classifier, images))
            alive()
        return evaluation(known.classifier, torch.cat(features), held_out)

    def _exhibit(self, population: GanPopulation, member: int, root_seed: int) -> State:
        """Its images from latent vectors that are the same for all members and generations."""
        latents = _latents(seeds.seed(root_seed, purpose="gan/exhibit"), EXHIBITED)
        return {PICTURES: as_bytes(population.images(member, latents)).numpy()}

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        """Scores on the latent vectors of the test; distances are to the other held-out part."""
        return self._tested(
            self._alone(job.proposal, job.checkpoints), job.proposal, seeds.test_seeds(job.root_seed, job.episodes), advance
        )

    def baseline(self, root_seed: int, episodes: int, advance: Advance = unheeded) -> FinalTest:
        """An untrained generator: the initial weights of the first member."""
        untrained = GanPopulation([seeds.seed(root_seed, purpose="weights", member=0, generation=0)], self.channels)
        return self._tested(untrained, None, seeds.test_seeds(root_seed, range(episodes)), advance)

    def _tested(self, population: GanPopulation, proposal: int | None, chosen: Sequence[int], advance: Advance) -> FinalTest:
        torch.set_num_threads(THREADS)
        known, clock, alive = material(self.source), Clock(), partial(advance, 0, proposal)
        alive()
        judge = partial(self._judgement, population, 0, known=known, held_out=known.test, alive=alive)
        judgements = list(filter(_is_finite, map(judge, chosen)))
        excluded = len(chosen) - len(judgements)
        return FinalTest(
            proposal=proposal,
            returns=tuple(one.score for one in judgements),
            cost=clock.test_cost(),
            excluded=excluded,
            failure=NOT_FINITE if excluded else None,
            metrics={DISTANCE: _mean([one.distance for one in judgements])} if judgements else {},
        )

    def rehearsal(self) -> GanTask:
        """The same with one evaluation of each member."""
        return replace(self, evaluations=1)

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Winner:
        """The generator that a proposal left. Raises UserError for a checkpoint of other networks."""
        return Winner(population=self._alone(proposal, checkpoints))

    def _alone(self, proposal: int, checkpoints: Checkpoints) -> GanPopulation:
        population = GanPopulation([0], self.channels)
        load_member(population, 0, proposal, checkpoints.load(proposal), WHAT)
        return population


def _result(
    proposal: Proposal, judgements: Sequence[Evaluation] | None, metrics: Mapping[str, float], cost: Cost, age: int
) -> Result:
    """The result of a member with these judgements: empty if no evaluation was asked for, None if the member diverged."""
    scores = tuple(one.score for one in judgements or ())
    told = {name: value for name, value in metrics.items() if is_score(value)}
    if scores:
        told["eval/frechet_distance"] = _mean([one.distance for one in judgements or ()])
    return Result(
        proposal=proposal.id,
        fitness=_mean(scores) if scores else None,
        failure=DIVERGED if judgements is None else None,
        returns=scores,
        cost=cost,
        metrics=told,
        lineage_units=age + proposal.units,
    )


def _is_finite(one: Evaluation) -> bool:
    return is_score(one.score) and is_score(one.distance)


def _made(population: GanPopulation, member: int, latents: Tensor) -> Iterator[Tensor]:
    """The images that a member makes from latent vectors, in chunks."""
    return (population.images(member, chunk) for chunk in torch.split(latents, CHUNK))


def _latents(seed: int, count: int) -> Tensor:
    return torch.randn((count, LATENT), generator=generator(seed))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
