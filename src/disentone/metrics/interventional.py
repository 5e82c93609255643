"""Metrics that hold a factor fixed: BetaVAE score, FactorVAE score, interventional robustness.

On arrays to intervene means to look up rows that share a factor's value: all given rows serve, a full grid best.
"""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from disentone.metrics.arrays import (
    Scores,
    active_codes,
    check_arrays,
    check_continuous,
    check_options,
    draw_rows,
    standardised,
    undefined,
    unscored,
)
from disentone.metrics.information import BINS, ROWS, equal_width_bins
from disentone.metrics.score import Score

TRAIN, TEST = 10_000, 5_000
POINTS = 64
DEAD = 0.05
QUANTILE = 0.99
CHUNK = 1_000


BETA_VAE_SCORE = (Score("beta_vae_score", "BetaVAE score"),)


def beta_vae_score(
    codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0
) -> Scores:
    """How well the codes that change least between sounds tell which factor these have in common: an accuracy.

    Each of 10,000 training and 5,000 test points is the mean absolute difference of 64 pairs of codes, the rows
    of a pair sharing one factor; logistic regression of that factor (Higgins et al. 2017). In [0, 1], chance
    1/factors. It saturates: half-entangled codes can reach 1 too. ``dlib`` feeds the regression raw codes, so that
    their scale matters, ``robust`` the active ones, standardised.

    Args:
        codes: [row code] floats.
        factors: [row factor] whole numbers.
        preset: ``dlib`` or ``robust``.
        seed: of the points and the regression.

    Returns:
        ``beta_vae_score``, ``settings``; nan if there is one factor only, or one with less than 5 rows a value.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = check_arrays(codes, factors)
    robust = check_options(preset, seed)
    if refusal := _refusal("beta_vae_score", v):
        return undefined(["beta_vae_score"], *refusal)
    if robust:
        scaled = standardised(z.cpu().numpy(), np.arange(len(z)))
        z = torch.as_tensor(scaled, device=z.device) * active_codes(z)
    generator = torch.Generator().manual_seed(seed)
    fixed = torch.randint(v.shape[1], (TRAIN + TEST,), generator=generator)
    sharing, points = _sharing(v), []
    for chunk in torch.split(fixed.to(z.device), CHUNK):
        one, other = _pairs(sharing, chunk.repeat_interleave(POINTS), generator)
        points.append((z[one] - z[other]).abs().view(len(chunk), POINTS, -1).mean(dim=1))
    features, labels = torch.cat(points).cpu().numpy(), fixed.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(random_state=seed).fit(features[:TRAIN], labels[:TRAIN])
    return {
        "beta_vae_score": float(np.mean(model.predict(features[TRAIN:]) == labels[TRAIN:])),
        "settings": {"train": TRAIN, "test": TEST, "rows": len(z)},
    }


FACTOR_VAE_SCORE = (Score("factor_vae_score", "FactorVAE score"),)


def factor_vae_score(
    codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0
) -> Scores:
    """How well the one code that varies least among sounds tells which factor these have in common: an accuracy.

    10,000 training votes fill a table of codes and factors: 64 rows share a factor's value, and the code whose
    variance among them, relative to its variance over all, is smallest gets the vote. Every code then stands for
    the factor it was voted for most (the first one of equals); 5,000 test votes are judged by that (Kim & Mnih
    2018). In [0, 1], chance near 1/factors. Codes with a standard deviation below 0.05 (``dlib``), or below 5 %
    of the largest (``robust``), have no vote; 0 if none has.

    Args, raises: see :func:`beta_vae_score`. Returns ``factor_vae_score``, ``settings``; nan likewise.
    """
    z, v = check_arrays(codes, factors)
    robust = check_options(preset, seed)
    if refusal := _refusal("factor_vae_score", v):
        return undefined(["factor_vae_score"], *refusal)
    settings = {"train": TRAIN, "test": TEST, "rows": len(z)}
    rows, _ = draw_rows(len(z), ROWS, 0, seed)
    deviation = z[rows].std(dim=0)
    voters = active_codes(z[rows]) if robust else deviation >= DEAD
    if not voters.any():
        return {"factor_vae_score": 0.0, "settings": settings}
    # Variances relative to the global ones, by scaling once beforehand.
    scaled = z[:, voters] / deviation[voters]
    generator = torch.Generator().manual_seed(seed)
    fixed = torch.randint(v.shape[1], (TRAIN + TEST,), generator=generator)
    sharing, chunks = _sharing(v), torch.split(fixed.to(z.device), CHUNK)
    winners = torch.cat([scaled[_rows(sharing, chunk, generator)].var(dim=1).argmin(dim=1) for chunk in chunks]).cpu()
    table = torch.zeros(v.shape[1], scaled.shape[1], dtype=torch.int64)
    table.index_put_((fixed[:TRAIN], winners[:TRAIN]), torch.tensor(1), accumulate=True)
    stands_for = table.argmax(dim=0)
    accuracy = (stands_for[winners[TRAIN:]] == fixed[TRAIN:]).double().mean()
    return {"factor_vae_score": float(accuracy), "settings": settings}


IRS = (Score("irs", "IRS"),)


def irs(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """How little each code moves while its own factor is held and all others change: interventional robustness.

    Per code and factor 1 less the 0.99 quantile of the deviation from the mean at one value of the factor (mean
    over values), relative to the code's largest deviation; each code takes its best factor; mean weighted by
    those largest deviations (Suter et al. 2019). Factors are cut to 20 equal-width bins, so that continuous ones
    are welcome. In [0, 1]; high by chance where few rows share a bin. The same in both presets; 0 if all codes
    are dead.

    Args:
        codes: [row code] floats.
        factors: [row factor] numbers.
        preset: ``dlib`` or ``robust``.
        seed: of the 10,000 rows drawn.

    Returns:
        ``irs``, ``settings``.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = check_continuous(codes, factors)
    check_options(preset, seed)
    rows, _ = draw_rows(len(z), ROWS, 0, seed)
    z, bins = z[rows], equal_width_bins(_positions(v)[rows], BINS)
    settings = {"train": len(rows), "test": 0}
    z = z[:, z.amax(dim=0) > z.amin(dim=0)]
    if not z.shape[1]:
        return {"irs": 0.0, "settings": settings}
    largest = (z - z.mean(dim=0)).abs().amax(dim=0)
    moved = torch.stack([_deviation(z, column) for column in bins.T], dim=1)
    robustness = (1 - moved / largest[:, None]).amax(dim=1)
    return {"irs": float((robustness * largest).sum() / largest.sum()), "settings": settings}


def _deviation(codes: Float64[Tensor, "row code"], bins: Int64[Tensor, "row"]) -> Float64[Tensor, "code"]:
    """The 0.99 quantile of each code's deviation from its mean in a bin, mean over the occupied bins."""
    groups = [codes[bins == value] for value in torch.unique(bins)]
    deviations = [torch.quantile((group - group.mean(dim=0)).abs(), QUANTILE, dim=0) for group in groups]
    return torch.stack(deviations).mean(dim=0)


def _positions(factors: Tensor) -> Float64[Tensor, "row factor"]:
    """Labels of whole numbers, fractions as they are."""
    columns = [
        column.double()
        if column.is_floating_point() and (column != column.round()).any()
        else torch.unique(column, return_inverse=True)[1].double()
        for column in factors.T
    ]
    return torch.stack(columns, dim=1)


def _refusal(name: str, factors: Int64[Tensor, "row factor"]) -> list[str]:
    if factors.shape[1] < 2:
        return [f"{name} needs two factors to tell apart"]
    return list(unscored(factors).values())


class _Sharing(NamedTuple):
    """Which rows share a factor's value, as an index: rows in the order of their values, factor by factor."""

    order: Int64[Tensor, "row factor"]
    start: Int64[Tensor, "row factor"]
    """Where in ``order`` the group of a row begins."""
    size: Int64[Tensor, "row factor"]
    """How many rows that group has."""
    anchors: Int64[Tensor, "row factor"]
    """Rows, those first that share their value with another."""

    def draw(
        self, fixed: Int64[Tensor, "draw"], generator: torch.Generator
    ) -> tuple[Int64[Tensor, "draw"], Int64[Tensor, "draw"]]:
        """Start and size of the group of a random row that is not alone, for the factor fixed in each draw."""
        shared = (self.size > 1).sum(dim=0)[fixed]
        anchor = self.anchors[_below(shared, generator), fixed]
        return self.start[anchor, fixed], self.size[anchor, fixed]


def _sharing(factors: Int64[Tensor, "row factor"]) -> _Sharing:
    columns = []
    for column in factors.T:
        counts = column.bincount()
        size, start = counts[column], (counts.cumsum(dim=0) - counts)[column]
        columns.append((column.argsort(stable=True), start, size, (size < 2).int().argsort(stable=True)))
    return _Sharing(*(torch.stack(part, dim=1) for part in zip(*columns, strict=True)))


def _pairs(
    sharing: _Sharing, fixed: Int64[Tensor, "draw"], generator: torch.Generator
) -> tuple[Int64[Tensor, "draw"], Int64[Tensor, "draw"]]:
    """Two different rows for each draw that share a value of its fixed factor.

    Different, because in a small group a row would often meet itself, and betray its factor by that.
    """
    start, size = sharing.draw(fixed, generator)
    first = _below(size, generator)
    second = (first + 1 + _below(size - 1, generator)) % size
    return sharing.order[start + first, fixed], sharing.order[start + second, fixed]


def _rows(sharing: _Sharing, fixed: Int64[Tensor, "draw"], generator: torch.Generator) -> Int64[Tensor, "draw point"]:
    """64 rows for each draw that share a value of its fixed factor, with replacement."""
    start, size = sharing.draw(fixed, generator)
    return sharing.order[start[:, None] + _below(size[:, None].expand(-1, POINTS), generator), fixed[:, None]]


def _below(limit: Int64[Tensor, "*shape"], generator: torch.Generator) -> Int64[Tensor, "*shape"]:
    """Random whole numbers from 0 to below each limit, the same on every device."""
    draw = torch.rand(limit.shape, dtype=torch.float64, generator=generator).to(limit.device)
    return (draw * limit).long()
