"""Gaps of mutual information: does one code, and one only, know a factor, and the other way round?"""

import math

import torch
from jaxtyping import Float64
from numpy.typing import ArrayLike
from torch import Tensor

from disentone.metrics.arrays import Scores, active_codes, check_arrays, check_options, draw_labelled, undefined
from disentone.metrics.information import (
    BINS,
    ROUNDING,
    ROWS,
    entropy,
    equal_width_bins,
    joint_counts,
    mutual_information,
    plug_in_information,
)
from disentone.metrics.score import Score

MIG = (Score("mig", "MIG", main=True, headline=True),)


def mig(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """Mutual information gap: how much more the best code knows of a factor than the second best.

    As a share of the factor's entropy, mean over factors (Chen et al. 2018). In [0, 1]. ``dlib``: 20 equal-width
    bins, so that factors of more values cannot reach 1; ``robust``: quantile bins and Miller's correction, see
    :func:`~disentone.metrics.information.mutual_information`.

    Args:
        codes: [row code] floats.
        factors: [row factor] whole numbers.
        preset: ``dlib`` or ``robust``.
        seed: of the 10,000 rows drawn.

    Returns:
        ``mig``, ``mig_per_factor`` [factor], ``mi_matrix`` [code factor] in nats, ``settings``.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = check_arrays(codes, factors)
    robust = check_options(preset, seed)
    sample = draw_labelled(v, ROWS, 0, seed)
    information, entropies = mutual_information(z[sample.train], v[sample.train], robust)
    gap = _gap(information) / entropies
    return {**sample.averaged("mig", gap.cpu().numpy()), "mi_matrix": information.cpu().numpy()}


MIG_SUP = (Score("mig_sup", "MIG-sup"),)


def mig_sup(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """MIG the other way round: how much more a code knows of its best factor than of the second best.

    In shares of the factors' entropies, 20 equal-width bins, mean over all codes (``dlib``) or the active ones
    (``robust``); Li et al. 2020. In [0, 1]; dead codes count as 0.

    Args, raises: see :func:`mig`. Returns ``mig_sup``, ``settings``.
    """
    z, v = check_arrays(codes, factors)
    chosen = _chosen_codes(z, preset, seed)
    sample = draw_labelled(v, ROWS, 0, seed)
    if sample.reasons:
        return undefined(["mig_sup"], *sample.reasons.values())
    information, entropies = mutual_information(z[sample.train], v[sample.train])
    gaps = _gap((information / entropies).T)[chosen]
    return {"mig_sup": float(gaps.mean()) if len(gaps) else 0.0, "settings": sample.settings}


DCIMIG = (Score("dcimig", "DCIMIG"),)


def dcimig(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """Information in codes of their own: each factor's best code, less what that code knows of other factors.

    Every code keeps its gap (in nats) between its two best factors for the best one; every factor takes the best
    gap kept for it; their sum over the sum of the factors' entropies (Sepliarskaia et al. 2019). In [0, 1].
    20 equal-width bins; all codes (``dlib``) or the active ones (``robust``).

    Args, raises: see :func:`mig`. Returns ``dcimig``, ``dcimig_per_factor`` (shares of each entropy), ``settings``.
    """
    z, v = check_arrays(codes, factors)
    chosen = _chosen_codes(z, preset, seed)
    sample = draw_labelled(v, ROWS, 0, seed)
    if sample.reasons:
        return undefined(["dcimig"], *sample.reasons.values())
    information, entropies = mutual_information(z[sample.train], v[sample.train])
    kept = torch.zeros_like(information)
    kept.scatter_(1, information.argmax(dim=1, keepdim=True), _gap(information.T)[:, None])
    best = kept[chosen].amax(dim=0) if chosen.any() else torch.zeros_like(entropies)
    return {
        "dcimig": float(best.sum() / entropies.sum()),
        "dcimig_per_factor": (best / entropies).cpu().numpy(),
        "settings": sample.settings,
    }


JEMMIG = (Score("jemmig", "JEMMIG"),)


def jemmig(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """MIG that also asks the best code to know nothing else: joint entropy less the gap, normalised, from 1.

    1 - (H(v, z*) - I_1 + I_2) / (H(v) + log 20), mean over factors (Do & Tran 2020). In [0, 1]; 20 equal-width
    bins, the same in both presets.

    Args, raises: see :func:`mig`. Returns ``jemmig``, ``jemmig_per_factor``, ``settings``.
    """
    z, v = check_arrays(codes, factors)
    check_options(preset, seed)
    sample = draw_labelled(v, ROWS, 0, seed)
    counts = joint_counts(equal_width_bins(z[sample.train]), v[sample.train])
    information, entropies = plug_in_information(counts), entropy(counts.sum(dim=2)[0])
    # Of codes that know as much, the one that knows least else, in whatever order they come.
    best = information >= information.amax(dim=0) - ROUNDING
    joint = entropy(counts.flatten(2)).where(best, math.inf).amin(dim=0)
    score = 1 - (joint - _gap(information)) / (entropies + math.log(BINS))
    return sample.averaged("jemmig", score.cpu().numpy())


def _gap(values: Float64[Tensor, "rival column"]) -> Float64[Tensor, "column"]:
    """The largest of each column less the second largest; a lone entry has no rival."""
    ranked = values.sort(dim=0, descending=True).values
    return ranked[0] - ranked[1] if len(ranked) > 1 else ranked[0]


def _chosen_codes(codes: Float64[Tensor, "row code"], preset: str, seed: int) -> Tensor:
    return active_codes(codes) if check_options(preset, seed) else torch.ones_like(codes[0], dtype=torch.bool)
