"""The plainest question of all: does a linear classifier read the factor off the codes?"""

import warnings

from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from disentone.metrics.arrays import Scores, check_arrays, check_options, draw_labelled, standardised
from disentone.metrics.modularity import TEST, TRAIN
from disentone.metrics.score import Score

LINEAR_PROBE = (Score("linear_probe", "linear probe", headline=True, reads_out=True, short="probe"),)


def linear_probe(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """Test accuracy of multinomial logistic regression of each factor on standardised codes, mean over factors.

    In [0, 1]; chance is the share of the commonest value. The same in both presets. Blind to entanglement by
    rotation, as every read-out of all codes is (Alain & Bengio 2017).

    Args:
        codes: [row code] floats.
        factors: [row factor] whole numbers.
        preset: ``dlib`` or ``robust``.
        seed: of the 10,000 rows to fit on and the 5,000 to test on.

    Returns:
        ``linear_probe``, ``linear_probe_per_factor``, ``settings``.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = check_arrays(codes, factors)
    check_options(preset, seed)
    sample = draw_labelled(v, TRAIN, TEST, seed)
    train, test = sample.train, sample.test
    z_array, v_array = standardised(z.cpu().numpy(), train), v.cpu().numpy()

    def accuracy(k: int) -> float:
        return LogisticRegression().fit(z_array[train], v_array[train, k]).score(z_array[test], v_array[test, k])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = sample.each_factor(v.shape[1], accuracy)
    return sample.averaged("linear_probe", scores)
