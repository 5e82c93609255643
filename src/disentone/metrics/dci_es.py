"""DCI-ES: explicitness and size beside DCI (Eastwood et al. 2023)."""

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import ArrayLike
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor

from disentone.metrics.arrays import Scores, check_arrays, check_options, draw_labelled, standardised
from disentone.metrics.parallel import each
from disentone.metrics.score import Score

TRAIN, TEST = 10_000, 5_000
DEPTHS = (1, 2, 4, 8, 16, 32)


DCI_ES = (
    Score("dci_es", "DCI-ES explicitness", slow=True),
    Score("dci_es_size", "DCI-ES size", high=None, higher_is_better=None, unit="factors per code", slow=True),
)


def dci_es(codes: ArrayLike | Tensor, factors: ArrayLike | Tensor, preset: str = "dlib", seed: int = 0) -> Scores:
    """How simple a read-out suffices: the area under the curve of loss against the read-out's capacity, from 1.

    Random forests (100 trees) of depth 1, 2, 4 ... 32; the capacity is the depth's logarithm, the loss the error
    rate, of the rows fitted to (``dlib``) or held-out ones (``robust``). The area between the curve and its
    lowest loss, up to where that is first reached, is set against the triangle that a straight fall over all
    capacities from the loss of guessing would leave. Clipped to [0, 1]; 1: shallow trees do as well as deep ones;
    0: depth never helps, or all of it is needed. Mean over factors. Size is factors per code. Takes minutes.

    Args:
        codes: [row code] floats.
        factors: [row factor] whole numbers.
        preset: ``dlib`` or ``robust``.
        seed: of rows and forests.

    Returns:
        ``dci_es`` (the explicitness), ``dci_es_per_factor``, ``dci_es_size``, ``settings``.

    Raises:
        ValueError: see :func:`~disentone.metrics.arrays.check_arrays`.

    """
    z, v = (array.cpu().numpy() for array in check_arrays(codes, factors))
    robust = check_options(preset, seed)
    sample = draw_labelled(torch.as_tensor(v), TRAIN, TEST, seed)
    train = sample.train
    scored = sample.test if robust else train
    if robust:
        z = standardised(z, train)

    def loss(task: tuple[int, int]) -> float:
        k, depth = task
        model = RandomForestClassifier(max_depth=depth, random_state=seed, n_jobs=1).fit(z[train], v[train, k])
        return float(np.mean(model.predict(z[scored]) != v[scored, k]))

    # The longest first, so that no thread is left alone with it.
    tasks = [(k, depth) for depth in reversed(DEPTHS) for k in range(v.shape[1]) if k not in sample.reasons]
    losses = dict(zip(tasks, each(loss, tasks), strict=True))

    def curve(k: int) -> float:
        guessing = float(np.mean(v[scored, k] != np.bincount(v[train, k]).argmax()))
        return curve_explicitness(np.array([losses[k, depth] for depth in DEPTHS]), guessing)

    scores = sample.averaged("dci_es", sample.each_factor(v.shape[1], curve))
    used = {**sample.settings, "test": len(sample.test) if robust else 0}
    return {**scores, "dci_es_size": v.shape[1] / z.shape[1], "settings": used}


def curve_explicitness(losses: Float64[np.ndarray, "depth"], guessing: float) -> float:
    """1 less the area between losses (at equally spaced capacities) and the lowest, over that of a straight fall."""
    lowest, reached = float(losses.min()), int(losses.argmin())
    if guessing - lowest <= 0:
        return 0.0
    excess = losses[: reached + 1] - lowest
    area = float((excess[1:] + excess[:-1]).sum() / 2)
    triangle = (len(losses) - 1) * (guessing - lowest) / 2
    return float(np.clip(1 - area / triangle, 0, 1))
