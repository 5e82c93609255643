"""All metrics by one call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from disentone.metrics.arrays import Scores, check_arrays
from disentone.metrics.dci import BACKENDS, dci
from disentone.metrics.mig import mig
from disentone.metrics.sap import sap

METRICS: Mapping[str, Callable[..., Scores]] = {"mig": mig, "dci": dci, "sap": sap}
MATRICES = ("mi_matrix", "dci_importance")


def evaluate(
    codes: ArrayLike | Tensor,
    factors: ArrayLike | Tensor,
    metrics: Literal["all"] | Sequence[str] = "all",
    preset: str = "dlib",
    seed: int = 0,
    factor_names: Sequence[str] | None = None,
    chance: bool = False,
    dci_backend: str | None = None,
) -> dict[str, Any]:
    """Score codes against the factors they should stand for.

    Args:
        codes: [row code] floats: posterior means.
        factors: [row factor] whole numbers: positions.
        metrics: names out of ``METRICS``, or all of them.
        preset: ``dlib`` repeats the 2019 large-scale study (Locatello et al.), ``robust`` mends known faults.
        seed: of the rows each metric draws, of its estimators, and of the permutation for chance.
        factor_names: for the keys; numbers by default.
        chance: score permuted factor rows too, under ``chance/<key>``.
        dci_backend: instead of the preset's own.

    Returns:
        flat keys: each score, ``<score>/<factor>`` where it has parts, the matrices ``mi_matrix`` and
        ``dci_importance`` [code factor], and ``settings``.

    Raises:
        ValueError: for unknown metrics or presets, names that do not fit, or arrays that
            :func:`~disentone.metrics.arrays.check_arrays` refuses.

    """
    chosen = _chosen(metrics)
    if preset not in ("dlib", "robust"):
        raise ValueError(f"preset must be dlib or robust, got {preset}")
    z, v = check_arrays(codes, factors)
    names = [str(k) for k in range(v.shape[1])] if factor_names is None else list(factor_names)
    if len(names) != v.shape[1]:
        raise ValueError(f"{len(names)} factor names for {v.shape[1]} factors")
    backend: str = dci_backend or BACKENDS[preset]
    if backend not in BACKENDS.values():
        raise ValueError(f"dci_backend must be {' or '.join(BACKENDS.values())}, got {backend}")

    result: dict[str, Any] = dict(_scores(chosen, z, v, preset, seed, backend, names))
    if chance:
        shuffled = v[np.random.default_rng(seed).permutation(len(v))]
        for key, value in _scores(chosen, z, shuffled, preset, seed, backend, names):
            if key not in MATRICES:
                result[f"chance/{key}"] = value
    result["settings"] = {
        "preset": preset,
        "metrics": chosen,
        "dci_backend": backend,
        "seed": seed,
        "rows": len(z),
        "codes": z.shape[1],
        "factors": names,
    }
    return result


def _chosen(metrics: Literal["all"] | Sequence[str]) -> list[str]:
    chosen = list(METRICS) if metrics == "all" else list(metrics)
    for name in chosen:
        if name not in METRICS:
            raise ValueError(f"no metric is called {name}; there are {', '.join(METRICS)}")
    return chosen


def _scores(
    chosen: Sequence[str],
    z: Tensor,
    v: Tensor,
    preset: str,
    seed: int,
    backend: str,
    names: Sequence[str],
) -> Iterable[tuple[str, float | np.ndarray]]:
    for name in chosen:
        options = {"backend": backend} if name == "dci" else {}
        for key, value in METRICS[name](z, v, preset=preset, seed=seed, **options).items():
            if key.endswith("_per_factor"):
                parts = zip(names, np.asarray(value).tolist(), strict=True)
                yield from ((f"{key.removesuffix('_per_factor')}/{factor}", part) for factor, part in parts)
            else:
                yield key, value
