"""``hydra/sweeper=points``, the default: sweeps over products, as Hydra's own, and over a list of points beside."""

import math
import re
from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

EXACT = 2.0**53
"""Below it every whole number is a float."""


class PointsSweeper(BasicSweeper):
    """Hydra's sweeper; an experiment may list points that are no product, since methods do not share strengths.

    The product of the command line's values is run at every point. A command line that itself names a ``method`` or
    an option of the objective replaces the points.

    Args:
        max_batch_size: the most jobs that a launcher gets at once; all of them by default.
        params: overrides that are swept as a product, as those of the command line are.
        points: a list of points, each a list of overrides.

    """

    def __init__(
        self,
        max_batch_size: int | None = None,
        params: dict[str, str] | None = None,
        points: Sequence[Sequence[str]] | None = None,
    ) -> None:
        super().__init__(max_batch_size, params)
        self.points = points

    def split_arguments(  # type: ignore[override]
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """Jobs, each a list of overrides, in chunks of ``max_batch_size``.

        Raises:
            HydraException: for points that are no list of lists of single overrides.

        """
        (jobs,) = BasicSweeper.split_arguments(overrides, None)
        chosen = {re.split(r"[./]", override.key_or_group)[0] for override in overrides}
        if self.points and not chosen & {"method", "objective"}:
            jobs = [[*job, *point] for point in map(_checked, self.points) for job in jobs]
        # One number has many spellings, and the run that it makes has one name.
        different = list(dict.fromkeys(tuple(map(_spelt, job)) for job in jobs))
        chunks = BasicSweeper.split_overrides_to_chunks([list(job) for job in different], max_batch_size)
        return [list(chunk) for chunk in chunks]


def _spelt(override: str) -> str:
    """An override with its number in one spelling: 4, 4.0 and 4e0 are the same point."""
    (parsed,) = OverridesParser.create().parse_overrides([override])
    value = parsed.value()
    if not isinstance(value, float) or not math.isfinite(value):
        return override
    number = int(value) if value.is_integer() and abs(value) < EXACT else value
    return f"{override.partition('=')[0]}={number!r}"


def _checked(point: Sequence[str]) -> list[str]:
    words = [point] if isinstance(point, str) else [str(word) for word in point]
    parsed = [] if isinstance(point, str) else OverridesParser.create().parse_overrides(words)
    if not parsed or any(override.is_sweep_override() for override in parsed):
        raise HydraException(
            "hydra.sweeper.points: expected a list of points, each a list of overrides with one value, for instance "
            f"[[method=contrastive], [method=beta_vae]]; got the point {words[0] if isinstance(point, str) else words}"
        )
    return words
