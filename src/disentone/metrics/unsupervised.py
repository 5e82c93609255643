"""How much codes depend on one another, without factors (Locatello et al. 2019)."""

from functools import partial

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from disentone.metrics.arrays import Scores, check_codes, check_options, draw_rows
from disentone.metrics.information import ROWS, equal_width_bins, joint_counts, plug_in_information
from disentone.metrics.score import Score

_score = partial(Score, high=None, higher_is_better=False, needs_labels=False)
UNSUPERVISED = (
    _score("gaussian_tc", "Gaussian TC", unit="nats"),
    _score("wasserstein", "Wasserstein correlation"),
    _score("wasserstein_normalised", "normalised Wasserstein correlation", high=2.0),
    _score("mutual_information", "information between codes", unit="nats"),
)


def unsupervised(
    codes: ArrayLike | Tensor, factors: ArrayLike | Tensor | None = None, preset: str = "dlib", seed: int = 0
) -> Scores:
    """How much codes depend on one another: total correlation, Wasserstein correlation, mutual information.

    With S the covariance of the codes that vary and D its diagonal: ``gaussian_tc`` is 1/2 (sum log D - log det
    S), in nats; ``wasserstein`` 2 tr S - 2 tr (D^1/2 S D^1/2)^1/2, in the codes' squared unit; the same over tr S
    is ``wasserstein_normalised``, in [0, 2]; ``mutual_information`` is the mean over pairs of codes, 20
    equal-width bins, in nats. 0 is independence. The same in both presets; all 0 if fewer than two codes vary.

    Args:
        codes: [row code] floats.
        factors: not looked at.
        preset: ``dlib`` or ``robust``.
        seed: of the 10,000 rows drawn.

    Returns:
        the four scores and ``settings``; ``gaussian_tc`` is nan where it is infinite.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_codes`.

    """
    z = check_codes(codes)
    check_options(preset, seed)
    rows, _ = draw_rows(len(z), ROWS, 0, seed)
    z = z[rows]
    z = z[:, z.amax(dim=0) > z.amin(dim=0)]
    settings: dict[str, object] = {"train": len(rows), "test": 0}
    if z.shape[1] < 2:
        return {**dict.fromkeys([score.key for score in UNSUPERVISED], 0.0), "settings": settings}
    # Products of four codes would overflow or vanish long before these do.
    unit = z.std(dim=0).max()
    covariance = torch.cov((z / unit).T)
    deviation = covariance.diagonal().sqrt()
    correlation = covariance / torch.outer(deviation, deviation)
    total = _total_correlation(correlation)
    if total != total:
        settings["reason"] = "gaussian_tc is infinite: the codes are linearly dependent"
    # D^1/2 S D^1/2 is symmetric; the trace of its root is the sum of its eigenvalues' roots.
    scaled = covariance * torch.outer(deviation, deviation)
    root = torch.linalg.eigvalsh(scaled).clamp(min=0).sqrt().sum()
    wasserstein = float(2 * covariance.trace() - 2 * root)
    return {
        "gaussian_tc": total,
        "wasserstein": max(wasserstein, 0.0) * float(unit) ** 2,
        "wasserstein_normalised": max(wasserstein, 0.0) / float(covariance.trace()),
        "mutual_information": _mean_information(z),
        "settings": settings,
    }


def _total_correlation(correlation: Tensor) -> float:
    """Half the negative log determinant of the correlations; nan where that is infinite but for rounding."""
    eigenvalues = torch.linalg.eigvalsh(correlation)
    if eigenvalues.min() < len(correlation) * torch.finfo(correlation.dtype).eps:
        return float("nan")
    return float(-0.5 * eigenvalues.log().sum())


def _mean_information(codes: Tensor) -> float:
    bins = equal_width_bins(codes)
    # One code against all others at a time: a table of every pair grows with the square of their number.
    total = sum(
        float(plug_in_information(joint_counts(bins[:, j : j + 1], bins[:, j + 1 :])).sum())
        for j in range(bins.shape[1] - 1)
    )
    return total / (bins.shape[1] * (bins.shape[1] - 1) / 2)
