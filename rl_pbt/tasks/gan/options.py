"""What can be set for a small GAN, and the names that its parts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from rl_pbt.errors import BadSetting
from rl_pbt.options import at_least_one, option
from rl_pbt.tasks.gan.images import MNIST

RATES = GENERATOR_RATE, DISCRIMINATOR_RATE = "generator_lr", "discriminator_lr"
PICTURES = "images"  # the array of an exhibit
LARGEST_PICTURE = 64  # the most pixels that a side of those may have, and the most images
MOST = {"channels": 512, "batch_size": 4096, "discriminator_steps": 100, "evaluations": 4096, "samples": 100_000}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GanOptions:
    """Images, classifier and networks. Files are identified by their digests, so they may be moved. Raises BadSetting."""

    data: str = option(
        MNIST,
        help="images for a GAN: mnist (5,000 digits), or a folder of IDX files as of Fashion-MNIST",
        trains=False,
        place=True,
    )
    classifier: str | None = option(
        None, help="file of the classifier that scores a GAN's images (default: the one for mnist)", trains=False, place=True
    )
    channels: int = option(16, help="channels of a GAN's largest feature maps; those half as wide have twice as many")
    batch_size: int = option(16, help="real images, and as many generated ones, per batch of a GAN")
    discriminator_steps: int = option(5, help="discriminator updates before each generator update")
    evaluations: int = option(
        2, help="evaluations of a member after an interval, on seeds shared by its generation", trains=False
    )
    samples: int = option(500, help="images that a GAN makes for one evaluation", trains=False)
    digest: str = option(help="fingerprint of the images", flag=False, of_scores=True)
    classifier_digest: str = option(help="fingerprint of the classifier", flag=False)
    accuracy: float = option(help="of the classifier on held-out images", flag=False)

    def __post_init__(self) -> None:
        at_least_one(self, *MOST)
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise BadSetting(name, f"must be {most} or less, but is {getattr(self, name)}")
        if not 0.0 <= self.accuracy <= 1.0:
            raise BadSetting("accuracy", f"must lie between 0 and 1, but is {self.accuracy}")
        if self.samples < 2:
            raise BadSetting("samples", "must be 2 or more: a score is of several images")
