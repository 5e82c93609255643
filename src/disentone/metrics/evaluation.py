"""All metrics by one call."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from disentone.metrics.arrays import (
    Scores,
    check_options,
    fractional_factors,
    relabelled,
    undefined,
    where_known,
)
from disentone.metrics.dci import backend_of
from disentone.metrics.extra import ExtraMetric, known_metrics
from disentone.metrics.parallel import small_work
from disentone.metrics.table import MATRICES, METRICS, Metric

SETS = ("all", "fast")


def evaluate(
    codes: ArrayLike | Tensor,
    factors: ArrayLike | Tensor | None,
    metrics: str | Sequence[str] = "all",
    preset: str = "dlib",
    seed: int = 0,
    factor_names: Sequence[str] | None = None,
    chance: bool = False,
    dci_backend: str | None = None,
    extra: Mapping[str, ExtraMetric] | None = None,
) -> dict[str, Any]:
    """Score codes against the factors they should stand for.

    Args:
        codes: [row code] floats: posterior means. Arrays, tensors or lists; they are not changed.
        factors: [row factor] whole numbers: positions. Labels need not be contiguous. Columns with fractions
            are admitted by ``irs``, ``mcc`` and the unsupervised metrics; the others are then nan, with the reason.
            nan is unknown: metrics that look at factors take the rows of which every factor is known. None where
            nothing is known of them: these metrics are left out, with the reason.
        metrics: ``all``; ``fast``, which leaves out DCI-ES and exact DCI (back-end ``gradient_boosting``), the
            two that take minutes; or names: keys of ``METRICS``, of ``extra`` or of single scores.
        preset: ``dlib`` repeats the 2019 large-scale study (Locatello et al.), ``robust`` mends known faults.
        seed: of the rows each metric draws, of its estimators, and of the permutation for chance.
        factor_names: for the keys; numbers by default.
        chance: score permuted factor rows too, under ``chance/<key>``, with every metric that looks at factors.
        dci_backend: ``gradient_boosting`` or ``lightgbm`` instead of the preset's own.
        extra: metrics of one's own, by names that no other has.

    Returns:
        flat keys: each score, ``<score>/<factor>`` where it has parts, the matrices ``mi_matrix`` and
        ``dci_importance`` [code factor], and ``settings``: preset, seed, back-end, ``rows`` given,
        ``unlabelled_rows`` with an unknown factor, ``rows_used`` by metric (``train``, ``test``), ``reasons`` of nans
        by metric, descriptions of the scores of ``extra``. A metric that fails is nan, with what it said.

    Raises:
        ValueError: for unknown metrics or presets, seeds and names that do not fit, or arrays that
            :func:`~disentone.metrics.arrays.check_arrays` refuses.

    """
    check_options(preset, seed)
    backend = backend_of(preset, dci_backend)
    known = known_metrics(extra)
    chosen = chosen_metrics(metrics, backend, known)
    whole, z, v = where_known(codes, factors)
    if isinstance(factor_names, str) or not isinstance(factor_names, Sequence | np.ndarray | None):
        raise ValueError(f"factor_names must be a list of names, got {factor_names!r}")
    if factors is not None and not v.shape[1]:
        factor_names = ()  # of no row all of them are known
    names = [str(k) for k in range(v.shape[1])] if factor_names is None else [str(name) for name in factor_names]
    if len(names) != v.shape[1] or len(set(names)) != len(names):
        raise ValueError(f"{len(names)} factor names for {v.shape[1]} factors; each needs one of its own, got {names}")
    if v.shape[1] and not fractional_factors(v):
        v = relabelled(v)

    left_out = [name for name in chosen if not v.shape[1] and known[name].supervised]
    chosen = [name for name in chosen if name not in left_out]
    nothing = torch.empty(len(whole), 0, dtype=torch.int64)
    seen = {name: (z, v) if known[name].supervised else (whole, nothing) for name in chosen}
    scores = {name: _score(name, known[name], *seen[name], preset, seed, backend) for name in chosen}
    result = {key: value for name in chosen for key, value in _flat(scores[name], names).items()}
    if chance:
        shuffled = v[np.random.default_rng(seed).permutation(len(v))]
        for name in chosen:
            # Without factors nothing changes when these are permuted.
            if known[name].supervised:
                beside = _flat(_score(name, known[name], z, shuffled, preset, seed, backend), names)
                result |= {f"chance/{key}": value for key, value in beside.items() if key not in MATRICES}
    result["settings"] = {
        "preset": preset,
        "metrics": chosen,
        "dci_backend": backend,
        "seed": seed,
        "rows": len(whole),
        "unlabelled_rows": len(whole) - len(z),
        "codes": whole.shape[1],
        "factors": names,
        "rows_used": {
            name: {key: value for key, value in score["settings"].items() if key != "reason"}
            for name, score in scores.items()
        },
        "reasons": {
            **dict.fromkeys(left_out, "nothing is known of the factors"),
            **{name: score["settings"]["reason"] for name, score in scores.items() if "reason" in score["settings"]},
        },
        "extra": [score._asdict() for name in chosen if name not in METRICS for score in known[name].scores],
    }
    return result


def numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """Those of the scores that are one number."""
    return {key: value for key, value in scores.items() if isinstance(value, float)}


def for_json(scores: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers as JSON has them: what is undefined is null."""
    return {key: value if math.isfinite(value) else None for key, value in scores.items()}


def matrices_for_json(scores: Mapping[str, Any]) -> dict[str, list[list[float | None]]]:
    """Those of the scores that are matrices, as JSON has them."""
    return {
        key: [[entry if math.isfinite(entry) else None for entry in row] for row in scores[key].tolist()]
        for key in MATRICES
        if key in scores
    }


def chosen_metrics(metrics: str | Sequence[str], dci_backend: str, known: Mapping[str, Metric] = METRICS) -> list[str]:
    """Names of known metrics for a set (``all``, ``fast``) or for names of metrics and scores.

    Raises:
        ValueError: for an unknown name.

    """
    if isinstance(metrics, str) and metrics in SETS:
        slow = {name for name, metric in known.items() if metric.slow}
        if dci_backend == "gradient_boosting":
            slow.add("dci")
        return [name for name in known if metrics == "all" or name not in slow]
    chosen: list[str] = []
    if not isinstance(metrics, str | Sequence):
        raise ValueError(f"metrics must be names in a list, or one of {' and '.join(SETS)}; got {metrics!r}")
    for wanted in [metrics] if isinstance(metrics, str) else metrics:
        found = [name for name, metric in known.items() if wanted == name or wanted in metric.keys]
        if not found:
            raise ValueError(
                f"no metric is called {wanted}; there are {', '.join(known)}, and the sets {' and '.join(SETS)}"
            )
        chosen += [name for name in found if name not in chosen]
    return chosen


@small_work()
def _score(name: str, metric: Metric, codes: Tensor, factors: Tensor, preset: str, seed: int, backend: str) -> Scores:
    if not metric.continuous and (fractional := fractional_factors(factors)):
        return undefined(metric.keys, f"{name} needs whole numbers; factor {fractional[0]} has fractions: bin it first")
    options = {"backend": backend} if name == "dci" else {}
    try:
        return metric.score(codes, factors, preset=preset, seed=seed, **options)
    except Exception as error:
        # Arrays and options were checked before: this is one metric's limit, and no reason to lose the others.
        return undefined(metric.keys, f"{name} failed: {' '.join(str(error).split()) or type(error).__name__}")


def _flat(scores: Scores, names: Sequence[str]) -> Scores:
    flat: Scores = {}
    for key, value in scores.items():
        if key.endswith("_per_factor"):
            parts = zip(names, np.asarray(value).tolist(), strict=True)
            flat |= {f"{key.removesuffix('_per_factor')}/{factor}": part for factor, part in parts}
        elif key != "settings":
            flat[key] = value
    return flat
