"""What several runs say together: medians and their certainty, trade-offs, agreements."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import binom, spearmanr

from disentone.metrics.table import SCORES

LEVEL = 0.95
# Of the entropy of a factor: how far the best latent must lead the second to have found it.
FOUND = 0.25
# Of the way from chance to certainty: how well all latents together must predict a factor that is there at all.
PRESENT = 0.5
READ_OUTS = tuple(key for key, score in SCORES.items() if score.reads_out)


class Summary(NamedTuple):
    """Median over runs and an interval: of the median at 95 % from 6 runs on, else the range."""

    median: float
    low: float
    high: float
    runs: int
    is_interval: bool


def summary(values: Sequence[float] | Float[np.ndarray, "run"]) -> Summary:
    """Median and its distribution-free interval, between order statistics (the inverted sign test).

    The interval holds the median of the population with 95 % or more. With fewer than 6 values not even their
    range does, and the range is what stands there. Values that are nan do not count.
    """
    kept = np.sort(np.asarray(values, dtype=np.float64))
    kept = kept[np.isfinite(kept)]
    if not len(kept):
        return Summary(np.nan, np.nan, np.nan, 0, False)
    # The most values that may be cut from each side.
    cut = int(binom.ppf((1 - LEVEL) / 2, len(kept), 0.5))
    is_interval = 2 * binom.cdf(0, len(kept), 0.5) <= 1 - LEVEL
    cut = max(0, cut - 1) if is_interval else 0
    return Summary(float(np.median(kept)), float(kept[cut]), float(kept[-1 - cut]), len(kept), bool(is_interval))


def pareto_front(cost: Float[np.ndarray, "run"], gain: Float[np.ndarray, "run"]) -> Bool[np.ndarray, "run"]:
    """Which runs no other run beats: none costs as little or less and gains more, or gains as much at less cost."""
    less = cost[:, None] <= cost[None, :]
    more = gain[:, None] >= gain[None, :]
    better = less & more & ((cost[:, None] < cost[None, :]) | (gain[:, None] > gain[None, :]))
    return ~better.any(axis=0) & np.isfinite(cost) & np.isfinite(gain)


def rank_agreement(scores: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlation of every two columns over the rows that have both; nan for a constant one."""
    names = list(scores.columns)
    matrix = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for i, one in enumerate(names):
        for other in names[:i]:
            both = scores[[one, other]].dropna()
            varied = len(both) > 2 and both[one].nunique() > 1 and both[other].nunique() > 1
            matrix.loc[one, other] = matrix.loc[other, one] = (
                spearmanr(both[one], both[other]).statistic if varied else np.nan
            )
    return matrix


def verdicts(scores: Sequence[Mapping[str, float]], factors: Sequence[str]) -> dict[str, str]:
    """``found``, ``entangled`` or ``missing`` for every factor, by medians over the runs of one setting.

    Found: its MIG (the lead of the best latent over the second, as a share of the factor's entropy) is 0.25 or
    more above chance. Entangled: not found, yet all latents together predict it (DCI's informativeness, a linear
    probe, or explicitness, the first that is there) at least half-way from chance to certainty. Missing: neither.
    """

    def median(key: str) -> float:
        values = [run[key] for run in scores if np.isfinite(run.get(key, np.nan))]
        return float(np.median(values)) if values else np.nan

    found = {}
    for factor in factors:
        lead = median(f"mig/{factor}") - np.nan_to_num(median(f"chance/mig/{factor}"))
        presence = np.nan
        for metric in READ_OUTS:
            score, chance = median(f"{metric}/{factor}"), median(f"chance/{metric}/{factor}")
            if np.isfinite(score) and chance < 1:
                presence = (score - chance) / (1 - chance)
                break
        if lead >= FOUND:
            found[factor] = "found"
        elif presence >= PRESENT:
            found[factor] = "entangled"
        elif np.isfinite(lead) or np.isfinite(presence):
            found[factor] = "missing"
    return found
