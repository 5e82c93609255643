"""Unsupervised disentanglement ranking (Duan et al. 2020): do models of one setting find the same codes?"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.linear_model import Lasso
from torch import Tensor

from disentone.metrics.arrays import Scores, check_codes, check_seed, draw_rows, standardised
from disentone.metrics.parallel import each
from disentone.metrics.score import Score

INFORMATIVE = 0.01
PENALTY = 0.1
ROWS = 10_000
ROUNDING = 1e-6
"""Below 0 by as much a KL of nothing may come out in float32."""
UDR = (
    Score("udr_spearman", "UDR (Spearman)", needs_labels=False),
    Score("udr_lasso", "UDR (lasso)", needs_labels=False),
)


def udr(list_of_codes: Sequence[ArrayLike | Tensor], list_of_kl: Sequence[ArrayLike | Tensor], seed: int = 0) -> Scores:
    """How well the codes of several models of one setting agree, one by one: a score without factors.

    For a pair of models R[a, b] is the absolute Spearman correlation of code a of the one with code b of the
    other, or the absolute weight of a in a lasso regression (penalty 0.1, standardised codes) of b. Only codes
    with a KL above 0.01 nats count. Every such code contributes its largest R squared over the sum of its R; the
    pair's agreement is the mean of these over the codes of both. In [0, 1]; the number of seeds that happened to
    agree, not disentanglement itself.

    Args:
        list_of_codes: of each model [row code], all of the same rows.
        list_of_kl: of each model the KL of each code, [code] or [row code], in nats.
        seed: of the 10,000 rows drawn.

    Returns:
        ``udr_spearman`` and ``udr_lasso``: median over pairs of models; ``_per_model`` [model]: median over the
        pairs with that model; ``_pairs`` [model model]: agreements, nan on the diagonal; ``settings``. A pair of
        which one model has no informative code agrees by 0.

    Raises:
        ValueError: for fewer than two models, rows or KLs that do not fit, or codes that
            :func:`~disentone.metrics.arrays.check_codes` refuses.

    """
    check_seed(seed)
    models = [check_codes(codes).cpu().numpy() for codes in list_of_codes]
    if len(models) < 2 or len(models) != len(list_of_kl):
        raise ValueError(f"udr compares two or more models, got {len(models)} codes and {len(list_of_kl)} KLs")
    if len({len(model) for model in models}) > 1:
        raise ValueError(f"all models must encode the same rows, got {[len(model) for model in models]} of them")
    informative = [_informative(kl, model.shape[1]) for kl, model in zip(list_of_kl, models, strict=True)]
    rows, _ = draw_rows(len(models[0]), ROWS, 0, seed)
    settings = {"train": len(rows), "test": 0, "informative": [int(mask.sum()) for mask in informative]}
    kept = [standardised(model, rows)[rows][:, mask] for model, mask in zip(models, informative, strict=True)]
    ranked = [standardised(rankdata(codes, axis=0), np.arange(len(rows))) for codes in kept]
    return {
        **_agreements("udr_spearman", ranked, _correlation),
        **_agreements("udr_lasso", kept, _lasso),
        "settings": settings,
    }


def pair_agreement(relation: Float64[np.ndarray, "code other"]) -> float:
    """Mean over the codes of both models of the largest squared relation over the sum of relations."""
    if not relation.size:
        return 0.0
    leads = []
    for side in (relation, relation.T):
        total = side.sum(axis=1)
        leads.append(np.where(total > 0, side.max(axis=1) ** 2 / np.where(total > 0, total, 1), 0))
    return float(np.concatenate(leads).mean())


def _agreements(name: str, models: list[np.ndarray], relate: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Scores:
    pairs = [(i, j) for i in range(len(models)) for j in range(len(models)) if i != j]
    values = each(lambda pair: pair_agreement(relate(models[pair[0]], models[pair[1]])), pairs)
    agreements = np.full((len(models), len(models)), np.nan)
    agreements[tuple(zip(*pairs, strict=True))] = values
    return {
        name: float(np.median(values)),
        f"{name}_per_model": np.nanmedian(agreements, axis=1),
        f"{name}_pairs": agreements,
    }


def _correlation(
    codes: Float64[np.ndarray, "row code"], others: Float64[np.ndarray, "row other"]
) -> Float64[np.ndarray, "code other"]:
    return np.abs(codes.T @ others) / len(codes)


def _lasso(
    codes: Float64[np.ndarray, "row code"], others: Float64[np.ndarray, "row other"]
) -> Float64[np.ndarray, "code other"]:
    if not codes.shape[1] or not others.shape[1]:
        return np.zeros((codes.shape[1], others.shape[1]))
    weights = np.atleast_2d(Lasso(alpha=PENALTY).fit(codes, others).coef_)
    return np.abs(weights).T


def _informative(kl: ArrayLike | Tensor, codes: int) -> Bool[np.ndarray, "code"]:
    divergence = np.asarray(kl.detach().cpu() if isinstance(kl, Tensor) else kl, dtype=np.float64)
    if divergence.ndim == 2:
        divergence = divergence.mean(axis=0)
    if divergence.shape != (codes,):
        raise ValueError(f"a model of {codes} codes needs as many KLs, got {list(divergence.shape)}")
    if not np.isfinite(divergence).all():
        raise ValueError(f"KLs must be finite, got {divergence.tolist()}")
    if (divergence < -ROUNDING).any():
        raise ValueError(f"a KL cannot be negative, got {divergence.min():g}; give divergences in nats")
    return divergence > INFORMATIVE
