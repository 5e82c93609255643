"""Mutual-information-based entropy disentanglement (Cao et al. 2022)."""

from numpy.typing import ArrayLike
from torch import Tensor

from disentone.metrics.arrays import Scores, check_arrays, check_options, draw_labelled, undefined
from disentone.metrics.dci import concentration
from disentone.metrics.information import ROWS, mutual_information
from disentone.metrics.score import Score

MED = (Score("med", "MED"),)


def med(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """DCI's disentanglement without trees: mutual information, as a share per factor, is the importance.

    20 equal-width bins, the same in both presets. In [0, 1].

    Args:
        codes: [row code] floats.
        factors: [row factor] whole numbers.
        preset: ``dlib`` or ``robust``.
        seed: of the 10,000 rows drawn.

    Returns:
        ``med``, ``settings``; nan for a single factor.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = check_arrays(codes, factors)
    check_options(preset, seed)
    if v.shape[1] < 2:
        return undefined(["med"], "med needs two factors to tell apart")
    sample = draw_labelled(v, ROWS, 0, seed)
    if sample.reasons:
        return undefined(["med"], *sample.reasons.values())
    information, _ = mutual_information(z[sample.train], v[sample.train])
    total = information.sum(dim=0)
    score, _ = concentration((information / total.where(total > 0, 1)).cpu().numpy())
    return {"med": score, "settings": sample.settings}
