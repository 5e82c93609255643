"""Metrics of one's own, which a config names: they are scored and shown as those of the table are."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64
from torch import Tensor

from disentone.metrics.arrays import Scores
from disentone.metrics.score import Score
from disentone.metrics.table import MATRICES, METRICS, SCORES, Metric

COLUMNS = ("run", "method", "supervision", "strength_name", "strength", "final_strength", "setting", "label", "seed")
RESERVED = {*METRICS, *SCORES, *MATRICES, *COLUMNS, "loss", "settings", "step", "rows"}
"""Names of columns and scores that something else has."""


class ExtraMetric(ABC):
    """A metric from outside of the package: ``metrics.extra: {spread: {_target_: my_metrics.Spread}}`` adds it.

    A subclass describes its scores and computes them; its options are arguments of its constructor.
    """

    scores: ClassVar[tuple[Score, ...]]
    continuous: ClassVar[bool] = False
    """Whether factors may have fractions; otherwise they are whole numbers from 0."""

    @abstractmethod
    def __call__(
        self, codes: Float64[Tensor, "row code"], factors: Tensor, preset: str, seed: int
    ) -> Mapping[str, Any]:
        """Score codes against the factors that they should stand for.

        Args:
            codes: [row code], finite.
            factors: [row factor], each of two values or more.
            preset: of the other metrics, ``dlib`` or ``robust``.
            seed: of whatever is drawn.

        Returns:
            a number under the key of each score; beside it, if there are parts, ``<key>_per_factor`` [factor]; under
            ``settings``, if there is something to say, the rows used (``train``, ``test``) and the ``reason`` of nans.

        """


def known_metrics(extra: Mapping[str, ExtraMetric] | None) -> dict[str, Metric]:
    """The table's metrics and those of a config, by their names.

    Raises:
        ValueError: for one that is no :class:`ExtraMetric`, describes no score, or has a name that is taken.

    """
    found, taken = dict(METRICS), set(RESERVED)
    for name, metric in (extra or {}).items():
        if not isinstance(metric, ExtraMetric):
            raise ValueError(f"metrics.extra.{name}: expected a subclass of {__name__}.ExtraMetric, got {metric!r}")
        scores = getattr(metric, "scores", ())
        if not scores or not all(isinstance(score, Score) for score in scores):
            raise ValueError(f"metrics.extra.{name}: expected a tuple of Score under scores, got {scores!r}")
        for key in (name, *(score.key for score in scores if score.key != name)):
            if key in taken:
                raise ValueError(f"metrics.extra.{name}: {key} is the name of something else; take another one")
            if not re.fullmatch(r"[A-Za-z]\w*", key) or key.endswith("_per_factor"):
                raise ValueError(f"metrics.extra.{name}: expected a name of letters, digits and _, got {key!r}")
            taken.add(key)
        found[name] = Metric(partial(_answer, metric), tuple(scores), metric.continuous)
    return found


def _answer(metric: ExtraMetric, codes: Tensor, factors: Tensor, preset: str, seed: int) -> Scores:
    """What a metric answers, as floats and arrays. Raises ValueError for keys or sizes that it did not promise."""
    answer = dict(metric(codes, factors, preset, seed))
    settings = answer.pop("settings", {})
    keys = {score.key for score in metric.scores}
    parts = {f"{key}_per_factor" for key in keys} & answer.keys()
    if answer.keys() != keys | parts:
        raise ValueError(f"expected {', '.join(sorted(keys))}, got {', '.join(sorted(answer)) or 'nothing'}")
    vectors = {key: np.asarray(answer[key], dtype=np.float64) for key in parts}
    for key, vector in vectors.items():
        if vector.shape != (factors.shape[1],):
            raise ValueError(f"{key}: expected {factors.shape[1]} numbers, one a factor, got {list(vector.shape)}")
    used = {"train": int(settings.get("train", len(codes))), "test": int(settings.get("test", 0))}
    why = {"reason": str(settings["reason"])} if "reason" in settings else {}
    return {**{key: float(answer[key]) for key in keys}, **vectors, "settings": used | why}
