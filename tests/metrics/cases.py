"""Codes with known answers."""

import numpy as np

SIZES = (5, 4, 3)


def grid(repeats: int = 40) -> np.ndarray:
    """Every combination of three factors, ``repeats`` times: 2,400 rows."""
    axes = np.meshgrid(*(np.arange(size) for size in SIZES), indexing="ij")
    return np.tile(np.stack([axis.ravel() for axis in axes], axis=1), (repeats, 1))


def standardised(factors: np.ndarray) -> np.ndarray:
    return (factors - factors.mean(axis=0)) / factors.std(axis=0)


def identity(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Each code one factor, and three dead ones."""
    factors = grid()
    noise = 0.02 * np.random.default_rng(seed).normal(size=factors.shape)
    return np.concatenate([standardised(factors) + noise, np.zeros((len(factors), 3))], axis=1), factors


def rotated() -> tuple[np.ndarray, np.ndarray]:
    """Two equal factors turned by 45 degrees."""
    axes = np.meshgrid(np.arange(9), np.arange(9), indexing="ij")
    factors = np.tile(np.stack([axis.ravel() for axis in axes], axis=1), (20, 1))
    z = standardised(factors) + 0.01 * np.random.default_rng(0).normal(size=factors.shape)
    return z @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2), factors


def noise(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes that know nothing."""
    factors = grid()
    return np.random.default_rng(seed).normal(size=(len(factors), 6)), factors


def duplicated() -> tuple[np.ndarray, np.ndarray]:
    """The first factor is in two codes."""
    z, factors = identity()
    z[:, 3] = z[:, 0] + 0.02 * np.random.default_rng(1).normal(size=len(z))
    return z, factors


def missing() -> tuple[np.ndarray, np.ndarray]:
    """The last factor is in none."""
    z, factors = identity()
    z[:, 2] = np.random.default_rng(1).normal(size=len(z))
    return z, factors


def entangled(rows: int = 700, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes that are partly right: what a trained model looks like."""
    rng = np.random.default_rng(seed)
    factors = np.stack([rng.integers(0, size, rows) for size in SIZES], axis=1)
    mix = rng.normal(size=(3, 5))
    return standardised(factors) @ mix + 0.3 * rng.normal(size=(rows, 5)), factors


def fully_rotated() -> tuple[np.ndarray, np.ndarray]:
    """Every factor in every code: turned by a matrix of thirds."""
    z, factors = identity()
    z[:, :3] = z[:, :3] @ (np.eye(3) - 2 / 3)
    return z, factors


def leaking() -> tuple[np.ndarray, np.ndarray]:
    """The first code also carries the square of the second factor."""
    z, factors = identity()
    z[:, 0] += z[:, 1] ** 2
    return z, factors


CASES = {
    "identity": identity,
    "45 degrees": rotated,
    "full rotation": fully_rotated,
    "duplicated factor": duplicated,
    "missing factor": missing,
    "noise": noise,
    "non-linear leak": leaking,
}
