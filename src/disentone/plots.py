"""Numbers to figures: matrices with factor names, scores against the strength of a method."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disentone.metrics.score import Score
from disentone.metrics.table import MAIN, MATRICES, SCORES

HEAT = "viridis"
# Okabe & Ito's palette, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def matrix(
    values: Float[np.ndarray, "code factor"], factors: Sequence[str], name: str, left_out: Sequence[int] = ()
) -> Figure:
    """A heat map of codes by factors, its numbers written in; codes that the method ``left_out`` are named so."""
    figure = Figure(figsize=(1.2 + 1.1 * len(factors), 1.2 + 0.36 * len(values)), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(values, cmap=HEAT, vmin=0, aspect="auto")
    middle = values.max() / 2
    for (j, k), value in np.ndenumerate(values):
        axes.text(k, j, f"{value:.2f}", ha="center", va="center", fontsize=8, color="w" if value < middle else "k")
    axes.set_xticks(range(len(factors)), factors)
    axes.set_yticks(range(len(values)), [f"z{j} (left out)" if j in left_out else f"z{j}" for j in range(len(values))])
    axes.set_title(MATRICES.get(name, name), fontsize=9)
    figure.colorbar(picture, ax=axes)
    return figure


def scores_against_strength(results: pd.DataFrame, groups: Sequence[str] = ()) -> Figure:
    """Left: what strength costs. Right: the disentanglement scores, dotted their chance. A point is a run.

    One row of panels for every combination of the ``groups`` columns.
    """
    parts = list(results.groupby(list(groups))) if groups else [((), results)]
    figure = Figure(figsize=(11, 3.6 * len(parts)), layout="constrained")
    panels = figure.subplots(len(parts), 3, squeeze=False)
    for (left, middle, right), (values, part) in zip(panels, parts, strict=True):
        left.set_title("  ".join(f"{name} {value}" for name, value in zip(groups, values, strict=True)), fontsize=8)
        _line(left, part, SCORES["reconstruction"], COLOURS[0])
        left.set_ylabel(SCORES["reconstruction"].label)
        _kl_and_active_units(middle, part)
        _scores(right, part)
        strengths = sorted(part["strength"].unique())
        for axes in (left, middle, right):
            axes.set_xlabel(part["strength_name"].iloc[0])
            if strengths[0] > 0:
                axes.set_xscale("log")
            axes.set_xticks(strengths, [f"{strength:g}" for strength in strengths])
            axes.minorticks_off()
    return figure


def _kl_and_active_units(axes: Axes, results: pd.DataFrame) -> None:
    for score, colour, place in zip(("kl", "active_units"), COLOURS, (axes, axes.twinx()), strict=False):
        _line(place, results, SCORES[score], colour)
        place.set_ylabel(SCORES[score].label, color=colour)
        place.set_ylim(bottom=0)


def _scores(axes: Axes, results: pd.DataFrame) -> None:
    shown = [score for score in MAIN if (score.low, score.high) == (0, 1)]
    for score, colour in zip(shown, COLOURS, strict=False):
        _line(axes, results, score, colour)
        if (chance := f"chance/{score.key}") in results:
            axes.plot(*_medians(results["strength"], results[chance]), ":", color=colour, lw=1)
    axes.set_ylim(0, 1)
    axes.set_ylabel("score (dotted: chance)")
    axes.legend(fontsize=7)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, making its folder; answers the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def _line(axes: Axes, results: pd.DataFrame, score: Score, colour: str) -> None:
    if score.key not in results:
        return  # an objective without this term
    axes.plot(results["strength"], results[score.key], "o", color=colour, ms=4)
    axes.plot(*_medians(results["strength"], results[score.key]), "-", color=colour, label=score.title)


def _medians(strength: pd.Series, values: pd.Series) -> tuple[pd.Index, pd.Series]:
    medians = values.groupby(strength).median()
    return medians.index, medians
