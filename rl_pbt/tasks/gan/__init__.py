"""A small DCGAN on 28x28 images, both of whose learning rates evolve; Jaderberg 2017, sec. 4.3, has a larger one on CIFAR-10.

Modules: `options` (what can be set), `images` (what is learned, and what is held out), `networks` (generator and discriminator of
one member), `population` (those of a group), `recorded` (the file of a classifier), `classifier` (judges images, and how it is
trained), `scoring` (a score and a distance), `interval` (the task). Those that load torch are imported when a task is made.

Deviations from the paper: the networks are far smaller; the score is that of a classifier of the images' own classes, not of one
for CIFAR-10; a member has thousands of updates, not a million. As in the paper, the discriminator makes five updates before each
of the generator, factors are 2 and 0.5, and members are selected by truncation or binary tournament (`pbt`, `pbt-tournament`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from rl_pbt.arrays import Array, State
from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting
from rl_pbt.options import Settings, built
from rl_pbt.records import FinalTest, Hyper, Trial
from rl_pbt.space import parse_dimension
from rl_pbt.tasks.base import Machine, Task, TaskType
from rl_pbt.tasks.completing import blamed, completed
from rl_pbt.tasks.gan.images import MNIST, read_images, read_recorded
from rl_pbt.tasks.gan.options import LARGEST_PICTURE, PICTURES, RATES, GanOptions
from rl_pbt.tasks.gan.recorded import classifier_path, read_classifier, read_recorded_classifier
from rl_pbt.tasks.words import Words

if TYPE_CHECKING:
    from rl_pbt.tasks.gan.interval import GanTask

WORDS = Words(
    unit="generator update",
    short_unit="generator update",  # the report counts the optimisers' updates too, several for each of these
    score="Inception-type score",
    episode="evaluation",
    baseline="untrained generator",
)
SEARCH = dict.fromkeys(RATES, "log:1e-5:1e-2")
PUBLISHED = dict.fromkeys(RATES, 2e-4)  # Radford 2015, sec. 4
BUDGET, TEST_EVALUATIONS = 2000, 16
FACTORS = (2.0, 0.5)  # Jaderberg 2017, sec. 4.3.1


@final
class GanType(TaskType):
    """`tasks.base.TaskType` of small GANs."""

    options = GanOptions

    def complete(self, given: Settings, recorded: Settings | None) -> Settings:
        """The files of a new run are read, so that their digests are recorded. Raises UserError."""
        given = {**given, **_absolute(given)}
        whole = completed(given, recorded, None if recorded else _defaults(given))
        if not recorded:  # annealing only one of the two would be neither a decay nor none
            whole = {"annealed": ",".join(name for name in RATES if name in whole["search"]), **whole}
        _check(whole["search"], whole["hypers"], given)
        return whole

    def words(self, options: Settings) -> Words:
        """The nouns of a GAN."""
        return WORDS

    def title(self, options: Settings) -> str:
        """As in "DCGAN on mnist"."""
        return f"DCGAN on {Path(options['data']).name}"

    def folder(self, options: Settings) -> str:
        """As in "gan-mnist"."""
        return f"gan-{Path(options['data']).name}"

    def evaluation(self, options: Settings) -> str:
        """How many images are scored, and by which classifier."""
        times = options["evaluations"]
        return (
            f"the mean score of {times} evaluation{'' if times == 1 else 's'} of {options['samples']} generated images each, by "
            f"a classifier with {100 * options['accuracy']:.1f} % accuracy on held-out images; all members of a generation get "
            "the same latent vectors, and evaluation costs no generator updates"
        )

    def cautions(self, options: Settings, trials: Sequence[Trial], tests: Sequence[FinalTest]) -> tuple[str, ...]:
        """What the score does not see."""
        return (
            "The score measures whether each generated image clearly belongs to a class, and whether all classes occur, but not "
            "whether images resemble the data. The distance of features to held-out images and the sheets of samples show that.",
        )

    def not_exported(self, options: Settings) -> str:
        """There is no policy."""
        return "a GAN has no policy: rl_pbt.load(RUN).winner().images(64) are images of its generator"

    def pictures(self, exhibit: State) -> Array | None:
        """The images that a generator made; None for arrays that are no such images."""
        images = exhibit.get(PICTURES, np.zeros(0))
        fits = images.dtype == np.uint8 and images.ndim == 3 and min(images.shape) > 0 and max(images.shape) <= LARGEST_PICTURE
        return images if fits else None

    def make(self, config: RunConfig, machine: Machine) -> GanTask:
        """Reads images and classifier. Raises UserError if they are not those that the run began with."""
        from rl_pbt.tasks.gan.interval import GanTask, Source, material

        options = built(GanOptions, config.task_options)
        source = Source(
            images=options.data,
            digest=options.digest,
            classifier=str(classifier_path(options.data, options.classifier)),
            classifier_digest=options.classifier_digest,
        )
        # Checked each time: what this process has in memory does not say that the files are still there.
        read_recorded(source.images, source.digest)
        read_recorded_classifier(Path(source.classifier), source.classifier_digest)
        material(source)
        return GanTask(
            source=source,
            hypers=dict(config.hypers),
            channels=options.channels,
            batch_size=options.batch_size,
            discriminator_steps=options.discriminator_steps,
            evaluations=options.evaluations,
            samples=options.samples,
        )

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        """What is trained, on what, and how it is evaluated."""
        options = built(GanOptions, config.task_options)
        images = read_images(options.data)
        held_out = len(images.fitness.images) + len(images.test.images)
        return [
            ("task", f"{self.title(config.task_options)}: {len(images.training.images):,} images, {held_out:,} held out"),
            ("networks", f"{options.channels} and {2 * options.channels} channels, batches of {options.batch_size}"),
            ("steps", f"{options.discriminator_steps} of the discriminator before each one of the generator"),
            (
                "evaluated on",
                f"{options.evaluations} times {options.samples} images, classifier accuracy {100 * options.accuracy:.1f} %",
            ),
        ]


def _absolute(given: Settings) -> dict[str, str]:
    """The paths that are given, made absolute so that they lead to the same files from any folder."""
    named = {name: given[name] for name in ("data", "classifier") if given.get(name) not in (None, MNIST)}
    return {name: str(Path(path).absolute()) for name, path in named.items()}


def _check(search: Mapping[str, Hyper], hypers: Mapping[str, Hyper], given: Settings) -> None:
    """Raises BadSetting for a hyperparameter that is not a learning rate, a value that cannot be one, and a missing value.

    `given` are the user's settings, of which the one is named that the fault is in.
    """
    for name in (*search, *hypers):
        if name not in RATES:
            raise BadSetting(blamed(name, given), f"cannot use {name}: a GAN has {' and '.join(RATES)}")
    for name in RATES:
        if name not in search and name not in hypers:
            raise BadSetting("hypers", f"must have a value of {name}, which is not searched")
        values = [("search", extreme) for extreme in (parse_dimension(str(search[name])).extremes if name in search else ())]
        values += [(blamed(name, given), hypers[name])] if name in hypers else []
        for setting, value in values:
            if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
                raise BadSetting(setting, f"cannot use {value!r:.100} for {name}: a learning rate is a number, 0 or more")


def _defaults(given: Settings) -> dict[str, Any]:
    """Defaults of a new run: what its files say, and the paper's rules."""
    data = given.get("data", MNIST)
    images, classifier = read_images(data), read_classifier(classifier_path(data, given.get("classifier")))
    if classifier.images != images.digest:
        raise BadSetting(
            "classifier",
            f"was trained on other images than those of {data}: train one on these with `python -m benchmarks.gan_classifier`, "
            "whose help says how, and name it",
        )
    if classifier.classes != images.classes:
        raise BadSetting(
            "classifier",
            f"tells {classifier.classes} classes apart, and {data} has {images.classes}: train one on these images with "
            "`python -m benchmarks.gan_classifier`, and name it",
        )
    return {
        "search": SEARCH,
        "hypers": PUBLISHED,
        "budget": BUDGET,
        "test_episodes": TEST_EVALUATIONS,
        "factors": FACTORS,
        "digest": images.digest,
        "classifier_digest": classifier.digest,
        "accuracy": classifier.accuracy,
    }


TYPE = GanType()
