"""Numbers to figures: matrices with factor names, scores against beta."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HEAT = "viridis"
# Okabe & Ito's palette, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def matrix(
    values: Float[np.ndarray, "code factor"], factors: Sequence[str], name: str, left_out: Sequence[int] = ()
) -> Figure:
    """A heat map of codes by factors, its numbers written in; codes that the method ``left_out`` are named so."""
    titles = {
        "mi_matrix": "mutual information (nats)",
        "dci_importance": "importance for predicting the factor",
    }
    figure = Figure(figsize=(1.2 + 1.1 * len(factors), 1.2 + 0.36 * len(values)), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(values, cmap=HEAT, vmin=0, aspect="auto")
    middle = values.max() / 2
    for (j, k), value in np.ndenumerate(values):
        axes.text(k, j, f"{value:.2f}", ha="center", va="center", fontsize=8, color="w" if value < middle else "k")
    axes.set_xticks(range(len(factors)), factors)
    axes.set_yticks(range(len(values)), [f"z{j} (left out)" if j in left_out else f"z{j}" for j in range(len(values))])
    axes.set_title(titles.get(name, name), fontsize=9)
    figure.colorbar(picture, ax=axes)
    return figure


def scores_against_beta(results: pd.DataFrame, groups: Sequence[str] = ()) -> Figure:
    """Left: what beta costs. Right: the disentanglement scores, dotted their chance. A point is a run.

    One row of panels for every combination of the ``groups`` columns.
    """
    parts = list(results.groupby(list(groups))) if groups else [((), results)]
    figure = Figure(figsize=(11, 3.6 * len(parts)), layout="constrained")
    panels = figure.subplots(len(parts), 3, squeeze=False)
    for (left, middle, right), (values, part) in zip(panels, parts, strict=True):
        left.set_title("  ".join(f"{name} {value}" for name, value in zip(groups, values, strict=True)), fontsize=8)
        _line(left, part, "reconstruction", COLOURS[0], "reconstruction")
        left.set_ylabel("reconstruction, -log p(x|z) (nats)")
        _kl_and_active_units(middle, part)
        _scores(right, part)
        betas = sorted(part["beta"].unique())
        for axes in (left, middle, right):
            axes.set_xlabel("beta")
            if betas[0] > 0:
                axes.set_xscale("log")
            axes.set_xticks(betas, [f"{beta:g}" for beta in betas])
            axes.minorticks_off()
    return figure


def _kl_and_active_units(axes: Axes, results: pd.DataFrame) -> None:
    _line(axes, results, "kl", COLOURS[0], "KL")
    axes.set_ylabel("KL (nats)", color=COLOURS[0])
    axes.set_ylim(bottom=0)
    twin = axes.twinx()
    _line(twin, results, "active_units", COLOURS[1], "active units")
    twin.set_ylabel("active units", color=COLOURS[1])
    twin.set_ylim(bottom=0)


def _scores(axes: Axes, results: pd.DataFrame) -> None:
    shown = ("mig", "dci_disentanglement", "dci_completeness", "dci_informativeness", "sap")
    for key, colour in zip(shown, COLOURS, strict=False):
        _line(axes, results, key, colour, key)
        if f"chance/{key}" in results:
            axes.plot(*_medians(results["beta"], results[f"chance/{key}"]), ":", color=colour, lw=1)
    axes.set_ylim(0, 1)
    axes.set_ylabel("score (dotted: chance)")
    axes.legend(fontsize=7)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, making its folder; answers the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def _line(axes: Axes, results: pd.DataFrame, key: str, colour: str, label: str) -> None:
    if key not in results:
        return  # an objective without this term
    axes.plot(results["beta"], results[key], "o", color=colour, ms=4)
    axes.plot(*_medians(results["beta"], results[key]), "-", color=colour, label=label)


def _medians(beta: pd.Series, values: pd.Series) -> tuple[pd.Index, pd.Series]:
    medians = values.groupby(beta).median()
    return medians.index, medians
