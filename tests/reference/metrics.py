"""Literal NumPy versions of the metrics: loops, written from the definitions, slow on purpose."""

import math

import numpy as np


def entropy(labels: np.ndarray) -> float:
    """Plug-in entropy in nats."""
    total = 0.0
    for value in set(labels.tolist()):
        share = np.mean(labels == value)
        total -= share * math.log(share)
    return total


def mutual_information(left: np.ndarray, right: np.ndarray) -> float:
    """Plug-in mutual information of two label arrays in nats."""
    total = 0.0
    for a in set(left.tolist()):
        for b in set(right.tolist()):
            joint = np.mean((left == a) & (right == b))
            if joint > 0:
                total += joint * math.log(joint / (np.mean(left == a) * np.mean(right == b)))
    return total


def equal_width(code: np.ndarray, bins: int = 20) -> np.ndarray:
    """Bin numbers between the smallest and the largest value."""
    _, edges = np.histogram(code, bins)
    return np.digitize(code, edges[:-1])


def mig(codes: np.ndarray, factors: np.ndarray) -> float:
    """The mutual information gap with 20 equal-width bins."""
    binned = [equal_width(code) for code in codes.T]
    gaps = []
    for factor in factors.T:
        information = sorted((mutual_information(code, factor) for code in binned), reverse=True)
        gaps.append((information[0] - information[1]) / entropy(factor))
    return float(np.mean(gaps))


def dci(importance: np.ndarray) -> tuple[float, float]:
    """Disentanglement and completeness of an importance matrix [code factor]."""
    codes, factors = importance.shape
    disentanglement = completeness = 0.0
    for j in range(codes):
        if importance[j].sum() == 0:
            continue
        p = (importance[j] + 1e-11) / (importance[j] + 1e-11).sum()
        score = 1 - sum(-x * math.log(x) / math.log(factors) for x in p)
        disentanglement += score * importance[j].sum() / importance.sum()
    for k in range(factors):
        p = (importance[:, k] + 1e-11) / (importance[:, k] + 1e-11).sum()
        score = 1 - sum(-x * math.log(x) / math.log(codes) for x in p)
        completeness += score * importance[:, k].sum() / importance.sum()
    return disentanglement, completeness
