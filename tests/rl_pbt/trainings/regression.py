"""A training of forty lines: a linear regression by stochastic gradient descent with momentum, in NumPy alone."""

import numpy as np

TRUTH = np.array([3.0, -2.0, 0.5])


def data(seed: int, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(size, 3))
    return inputs, inputs @ TRUTH + 0.1 * rng.normal(size=size)


class Regression:
    """Scores are minus mean squared errors, on validation data while searching and on test data at the end."""

    def __init__(self, hypers: dict, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.weights = self.rng.normal(size=3)
        self.velocity = np.zeros(3)
        self.set_hypers(hypers)

    def set_hypers(self, hypers: dict) -> None:
        self.rate, self.momentum, self.batch = hypers["rate"], hypers["momentum"], int(hypers["batch"])

    def train(self, budget: int) -> dict:
        for _ in range(budget):
            inputs, targets = data(int(self.rng.integers(2**31)), self.batch)
            gradient = 2 * inputs.T @ (inputs @ self.weights - targets) / self.batch
            self.velocity = self.momentum * self.velocity - self.rate * gradient
            self.weights = self.weights + self.velocity
        return {"weights/norm": float(np.linalg.norm(self.weights))}

    def evaluate(self, seed: int) -> list:
        inputs, targets = data(seed)
        return [-float(np.mean((inputs @ self.weights - targets) ** 2))]

    def state(self) -> dict:
        return {"weights": self.weights, "velocity": self.velocity}

    def load(self, state: dict) -> None:
        self.weights, self.velocity = state["weights"], state["velocity"]
