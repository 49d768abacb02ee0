"""How good generated images are, according to a classifier: a score that is selected on, and a distance that is not.

The score is that of Salimans 2016 (arXiv 1606.03498, sec. 4) with a small classifier of the images' own classes in place of
Inception: exp(E KL(p(class | image) || p(class))), from 1 to the number of classes. It is high if each image clearly belongs to
some class and all classes occur. It does not say whether the images are like the data. So a distance is reported beside it, that
of Heusel 2017 (arXiv 1706.08500, sec. 4) on the classifier's features: the distance between two normal distributions with the
means and covariances of the features of generated and of held-out images. Both values depend a little on the number of images, so
they are compared at equal numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from rl_pbt.tasks.gan.classifier import Classifier

CHUNK = 500  # images that go through a network at once; last digits may depend on how many they are


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Score and distance of some generated images."""

    score: float
    distance: float


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Mean [D] and covariance [D, D] of features, in float64."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """The moments of features [N, D]."""
        features = features.to(torch.float64)
        return cls(mean=features.mean(0), covariance=torch.cov(features.T))

    @cached_property
    def root(self) -> Tensor:
        """The square root of the covariance, [D, D]."""
        values, vectors = torch.linalg.eigh(self.covariance)
        root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        return root


def class_score(logits: Tensor) -> float:
    """exp(E KL(p(class | image) || p(class))) from [N, classes]."""
    log_given = torch.log_softmax(logits.to(torch.float64), dim=1)
    given = log_given.exp()
    overall = given.mean(0)
    divergences = (given * (log_given - overall.clamp(min=1e-300).log())).sum(1)
    return float(divergences.mean().exp())


def frechet_distance(one: Moments, other: Moments) -> float:
    """|m - m'|^2 + Tr(C + C' - 2 (C C')^(1/2)): the squared Fréchet distance, as is usual.

    NaN if it cannot be computed, because features are not finite or too large.
    """
    try:
        # The eigenvalues of C C' are those of C^(1/2) C' C^(1/2), which is symmetric.
        values = torch.linalg.eigvalsh(one.root @ other.covariance @ one.root)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return math.nan
    between = (one.mean - other.mean).square().sum() + one.covariance.trace() + other.covariance.trace()
    return float((between - 2.0 * values.clamp(min=0).sqrt().sum()).clamp(min=0))  # which leaves NaN as it is


@torch.no_grad()
def features_of(classifier: Classifier, images: Tensor) -> Tensor:
    """Images [N, 1, 28, 28] -> features [N, D], computed in chunks."""
    return torch.cat([classifier.features(chunk) for chunk in torch.split(images, CHUNK)])


def evaluation(classifier: Classifier, features: Tensor, held_out: Moments) -> Evaluation:
    """Evaluate generated images by features [N, D] and the moments of held-out ones. NaN for features that are not finite."""
    return Evaluation(score=class_score(classifier.logits(features)), distance=frechet_distance(held_out, Moments.of(features)))
