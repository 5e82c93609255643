"""Arrays to figures: spectrograms in Hz, seconds and dB, matrices with factor names, scores against beta."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from disentone.frontends import Frontend
from disentone.shapes import Image

SPECTRUM, HEAT = "magma", "viridis"
# Okabe & Ito's palette, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def reconstructions(originals: Image, images: Image, titles: Sequence[str], frontend: Frontend) -> Figure:
    """Originals in the upper row, what the model made of them below."""
    return _rows_of_spectrograms({"original": originals, "reconstruction": images}, titles, frontend)


def spectrograms(images: Image, titles: Sequence[str], frontend: Frontend) -> Figure:
    """Images side by side."""
    return _rows_of_spectrograms({"": images}, titles, frontend)


def _rows_of_spectrograms(rows: Mapping[str, Image], titles: Sequence[str], frontend: Frontend) -> Figure:
    frames = next(iter(rows.values())).shape[-1]
    figure = Figure(figsize=(1.4 + 1.5 * len(titles), 0.9 + 2.2 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), len(titles), squeeze=False, sharex=True, sharey=True)
    for row, (label, pictures) in zip(panels, rows.items(), strict=True):
        for axes, image in zip(row, pictures, strict=True):
            picture = _spectrogram(axes, image[0].numpy(), frontend)
        row[0].set_ylabel(f"{label}\nHz".strip(), fontsize=7)
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, fontsize=7)
    times = frontend.times(frames)
    seconds = np.linspace(times[0], times[-1], 3)
    for axes in panels[-1]:
        axes.set_xticks(np.linspace(0, frames - 1, 3), [f"{tick:.2g}" for tick in seconds])
        axes.set_xlabel("seconds", fontsize=7)
    _decibel_bar(figure, picture, panels)
    return figure


def traversals(
    images: Float[Tensor, "latent step channel bin frame"],
    walk: Sequence[float],
    labels: Sequence[str],
    frontend: Frontend,
) -> Figure:
    """One strip per latent: what is decoded along its values, side by side."""
    steps, frames = images.shape[1], images.shape[-1]
    figure = Figure(figsize=(1.4 + 1.5 * steps, 0.9 + 1.1 * len(images)), layout="constrained")
    strips = figure.subplots(len(images), 1, squeeze=False, sharex=True)[:, 0]
    for axes, label, strip in zip(strips, labels, images, strict=True):
        # One picture per strip: a figure of a hundred axes takes matplotlib seconds.
        picture = _spectrogram(axes, torch.cat([*strip[:, 0]], dim=1).numpy(), frontend)
        axes.vlines([k * frames - 0.5 for k in range(1, steps)], *axes.get_ylim(), color="w", lw=1.5)
        axes.set_ylabel(f"{label}\nHz", fontsize=7)
    starts, seconds = np.arange(steps) * frames, frontend.times(frames)
    strips[-1].set_xticks(
        np.concatenate([starts, starts + frames // 2]), ["0"] * steps + [f"{seconds[frames // 2]:.2g}"] * steps
    )
    strips[-1].set_xlabel("seconds, from 0 in every picture", fontsize=7)
    top = strips[0].secondary_xaxis("top")
    top.set_xticks(starts + (frames - 1) / 2, [f"{z:+.1f}" for z in walk])
    top.tick_params(labelsize=7, length=0)
    _decibel_bar(figure, picture, strips)
    return figure


def matrix(values: Float[np.ndarray, "code factor"], factors: Sequence[str], name: str) -> Figure:
    """A heat map of codes by factors, its numbers written in."""
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
    axes.set_yticks(range(len(values)), [f"z{j}" for j in range(len(values))])
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


def _spectrogram(axes: Axes, image: Float[np.ndarray, "bin frame"], frontend: Frontend) -> AxesImage:
    """Bins and frames in their own units; the caller labels the frames."""
    frequencies = frontend.frequencies()
    decibel = (1 - image) * frontend.floor_db
    picture = axes.imshow(decibel, cmap=SPECTRUM, vmin=frontend.floor_db, vmax=0, origin="lower", aspect="auto")
    ticks = [f for f in (63, 125, 250, 500, 1000, 2000, 4000, 8000, 16000) if frequencies[0] <= f <= frequencies[-1]]
    axes.set_yticks(np.interp(ticks, frequencies, np.arange(len(frequencies))), [f"{f:g}" for f in ticks])
    axes.tick_params(labelsize=6)
    return picture


def _decibel_bar(figure: Figure, picture: AxesImage, panels: np.ndarray) -> None:
    bar = figure.colorbar(picture, ax=panels, shrink=0.8, pad=0.01)
    bar.set_label("dB", fontsize=7)
    bar.ax.tick_params(labelsize=6)


def _line(axes: Axes, results: pd.DataFrame, key: str, colour: str, label: str) -> None:
    if key not in results:
        return  # an objective without this term
    axes.plot(results["beta"], results[key], "o", color=colour, ms=4)
    axes.plot(*_medians(results["beta"], results[key]), "-", color=colour, label=label)


def _medians(beta: pd.Series, values: pd.Series) -> tuple[pd.Index, pd.Series]:
    medians = values.groupby(beta).median()
    return medians.index, medians
