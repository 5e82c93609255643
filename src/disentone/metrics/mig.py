"""The mutual information gap: does one code, and one only, know a factor?"""

from numpy.typing import ArrayLike
from torch import Tensor

from disentone.metrics.arrays import Preset, Scores, check_arrays, draw_rows
from disentone.metrics.information import mutual_information

ROWS = 10_000


def mig(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: Preset = "dlib", seed: int = 0) -> Scores:
    """Mean over factors of the gap between the two most informative codes, as a share of the factor's entropy.

    Chen et al. 2018. In [0, 1]. ``dlib``: 20 equal-width bins, so that factors of more values cannot reach 1;
    ``robust``: see :func:`~disentone.metrics.information.mutual_information`.

    Returns:
        ``mig``, ``mig_per_factor`` [factor], ``mi_matrix`` [code factor] in nats.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = check_arrays(codes, factors)
    rows, _ = draw_rows(len(z), ROWS, 0, seed)
    information, entropies = mutual_information(z[rows], v[rows], preset)
    ranked = information.sort(dim=0, descending=True).values
    second = ranked[1] if len(ranked) > 1 else 0
    gap = (ranked[0] - second) / entropies
    return {
        "mig": float(gap.mean()),
        "mig_per_factor": gap.cpu().numpy(),
        "mi_matrix": information.cpu().numpy(),
    }
