"""The time-varying Gaussian process of PB2 (Parker-Holder 2020), in scikit-learn, and the maximum of its upper confidence bound.

    k((t, x), (t', x')) = s^2 exp(-|x - x'|^2 / l) (1 - epsilon)^(|t - t'| / 2)  + noise

A row is [t, x...], on the unit scale. Importing this module needs scikit-learn, so it is imported only when it is used.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import final

import numpy as np
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Hyperparameter, Kernel, StationaryKernelMixin, WhiteKernel
from threadpoolctl import threadpool_limits

from rl_pbt.arrays import Floats

CANDIDATES = 256  # random points, the best of which start an ascent
ASCENTS = 2
DIFFERENCE_STEP = 1e-5  # of the finite differences that an ascent uses
FIT_TOLERANCES = {"ftol": 1e-6, "gtol": 1e-4}  # of both maximisations: a chosen hyperparameter is rounded in the end
JITTER = 1e-8  # added to the diagonal, besides the noise
TARGET_CLIP = 2.0  # standard deviations at which targets are clipped


@final
class TimeDecay(StationaryKernelMixin, Kernel):  # type: ignore[misc]  # scikit-learn ships no types
    """(1 - epsilon)^(|t - t'| / 2), where t is the first column: observations from long ago say less."""

    def __init__(self, epsilon: float = 0.1, epsilon_bounds: tuple[float, float] = (1e-3, 0.5)) -> None:
        self.epsilon = epsilon
        self.epsilon_bounds = epsilon_bounds

    @property
    def hyperparameter_epsilon(self) -> Hyperparameter:
        """Tells scikit-learn, by the name of this attribute, to fit epsilon."""
        return Hyperparameter("epsilon", "numeric", self.epsilon_bounds)

    def __call__(self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False) -> Floats | tuple[Floats, Floats]:
        apart = np.abs(X[:, None, 0] - (X if Y is None else Y)[None, :, 0]) / 2
        values: Floats = (1 - self.epsilon) ** apart
        if not eval_gradient:
            return values
        # With respect to log epsilon, which is what scikit-learn fits.
        return values, (-self.epsilon / (1 - self.epsilon) * apart * values)[:, :, None]

    def diag(self, X: Floats) -> Floats:
        """All 1: there is no time between a row and itself."""
        return np.ones(len(X))

    def __repr__(self) -> str:
        return f"TimeDecay(epsilon={self.epsilon:.3g})"


@final
class TimelessRBF(RBF):  # type: ignore[misc]
    """exp(-|x - x'|^2 / (2 scale^2)), where x is all columns but the first."""

    def __call__(self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False) -> Floats | tuple[Floats, Floats]:
        values: Floats | tuple[Floats, Floats] = super().__call__(X[:, 1:], None if Y is None else Y[:, 1:], eval_gradient)
        return values


def signal_kernel() -> Kernel:
    """The kernel before it is fitted, with the authors' l = 1, also its upper bound; scikit-learn's scale is sqrt(l / 2)."""
    shape = TimelessRBF(length_scale=math.sqrt(0.5), length_scale_bounds=(0.05, math.sqrt(0.5)))
    return ConstantKernel(1.0, (1e-2, 1e2)) * shape * TimeDecay()


@final
class Process:
    """The Gaussian process fitted to rows and their targets."""

    def __init__(self, rows: Floats, targets: Floats) -> None:
        """`rows` [N, D] on the unit scale; `targets` [N], standardised and clipped here."""
        self._rows = rows
        self._model = _fitted(
            signal_kernel() + WhiteKernel(0.1, (1e-3, 1e1)), rows, standardised(targets), alpha=JITTER, optimizer=_likeliest
        )
        self.signal, noise = self._model.kernel_.k1, self._model.kernel_.k2
        self.noise = noise.noise_level + JITTER

    def mean(self, rows: Floats) -> Floats:
        """The expected target [M] of each row [M, D], in standard deviations of the targets."""
        predicted: Floats = self._model.predict(rows)
        return predicted

    def upper_bound(self, pending: Floats, kappa: float) -> UpperBound:
        """mean + `kappa` standard deviations, given that the `pending` rows [K, D] are about to be observed."""
        return UpperBound(self, self._uncertainty(pending), kappa)

    def _uncertainty(self, pending: Floats) -> GaussianProcessRegressor:
        """The same process, conditioned on the `pending` rows too: its variance does not depend on their targets."""
        rows = np.vstack([self._rows, pending])
        return _fitted(self.signal, rows, np.zeros(len(rows)), alpha=self.noise, optimizer=None)


@final
class UpperBound:
    """mean + kappa * standard deviation, of the function without noise."""

    def __init__(self, process: Process, uncertainty: GaussianProcessRegressor, kappa: float) -> None:
        self._process = process
        self._uncertainty = uncertainty
        self._kappa = kappa

    def __call__(self, rows: Floats) -> Floats:
        with _silence():
            _, deviation = self._uncertainty.predict(rows, return_std=True)
        bound: Floats = self._process.mean(rows) + self._kappa * deviation
        return bound

    def argmax(self, context: Floats, free: int, rng: np.random.Generator) -> Floats:
        """The values [free] of the last `free` columns, in [0, 1], that maximise the bound for rows that begin with `context`."""
        points = rng.random((CANDIDATES, free))
        best_first = np.argsort(-self._at(context, points), kind="stable")
        ascents = [self._ascend(context, points[index]) for index in best_first[:ASCENTS]]
        return ascents[int(np.argmax(self._at(context, np.array(ascents))))]

    def _at(self, context: Floats, points: Floats) -> Floats:
        return self(np.hstack([np.tile(context, (len(points), 1)), points]))

    def _ascend(self, context: Floats, start: Floats) -> Floats:
        steps = np.vstack([np.zeros(len(start)), DIFFERENCE_STEP * np.eye(len(start))])

        def descent(point: Floats) -> tuple[float, Floats]:
            values = -self._at(context, point + steps)
            return float(values[0]), (values[1:] - values[0]) / DIFFERENCE_STEP

        bounds = [(0.0, 1.0)] * len(start)
        found: Floats = minimize(descent, start, jac=True, bounds=bounds, method="L-BFGS-B", options=FIT_TOLERANCES).x
        return found


def one_thread() -> AbstractContextManager[object]:
    """Within, BLAS uses one thread: with several, the last bits of sums depend on how many there are."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def standardised(targets: Floats) -> Floats:
    """The targets with mean 0 and standard deviation 1, outliers clipped; all 0 if they do not vary."""
    deviation = targets.std()
    return np.clip((targets - targets.mean()) / deviation, -TARGET_CLIP, TARGET_CLIP) if deviation > 0 else np.zeros(len(targets))


def _fitted(kernel: Kernel, rows: Floats, targets: Floats, **settings: object) -> GaussianProcessRegressor:
    with _silence():
        return GaussianProcessRegressor(kernel, **settings).fit(rows, targets)


def _likeliest(loss: Callable[[Floats], tuple[float, Floats]], start: Floats, bounds: Floats) -> tuple[Floats, float]:
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options=FIT_TOLERANCES)
    return found.x, found.fun


def _silence() -> warnings.catch_warnings[None]:
    """scikit-learn warns if a fit ends at a bound or a variance is rounded below 0; both are expected here."""
    return warnings.catch_warnings(action="ignore")
