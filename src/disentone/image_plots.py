"""Images to figures: spectrograms in Hz, seconds and dB, waveforms in seconds, pictures; maps of latents."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from matplotlib import color_sequences
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from torch import Tensor
from torchvision.utils import make_grid

from disentone.factors import FactorSpace
from disentone.frontends import Frontend
from disentone.shapes import Codes, Image, Positions

SPECTRUM, PICTURE, HEAT = "magma", "gray", "viridis"
# Petroff's ten colours (2021), which colour-blind readers can tell apart.
CATEGORIES = color_sequences["petroff10"]
REACH = 4.0  # of the axes of a map: a VAE's codes seldom lie beyond


def reconstructions(originals: Image, images: Image, titles: Sequence[str], frontend: Frontend | None) -> Figure:
    """Originals in the upper row, what the model made of them below."""
    return _figure({"original": originals, "reconstruction": images}, titles, frontend)


def gallery(images: Image, titles: Sequence[str], frontend: Frontend | None, columns: int = 6) -> Figure:
    """Images in rows of ``columns``, each under its title."""
    columns, rows = min(columns, len(images)), -(-len(images) // columns)
    lines = 1 + max(title.count("\n") for title in titles)
    size = (1.4 + 1.5 * columns, 0.6 + (1.3 + 0.12 * lines) * rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(images) :]:
        axes.set_axis_off()
    for axes, image, title in zip(panels.flat, images, titles, strict=False):
        drawn = _draw(axes, image, frontend)
        axes.set_title(title, fontsize=6)
    for axes in panels[:, 0]:
        axes.set_ylabel(_vertical(images, frontend), fontsize=7)
    for axes in panels[-1]:
        _label_time(axes, images, frontend)
    _decibel_bar(figure, drawn, panels, frontend)
    return figure


def _figure(rows: Mapping[str, Image], titles: Sequence[str], frontend: Frontend | None) -> Figure:
    images = next(iter(rows.values()))
    high = 1.5 if frontend is None else 2.2
    figure = Figure(figsize=(1.4 + 1.5 * len(titles), 0.9 + high * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), len(titles), squeeze=False, sharex=True, sharey=True)
    for row, (label, pictures) in zip(panels, rows.items(), strict=True):
        for axes, image in zip(row, pictures, strict=True):
            drawn = _draw(axes, image, frontend)
        row[0].set_ylabel(f"{label}\n{_vertical(images, frontend)}".strip(), fontsize=7)
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, fontsize=7)
    for axes in panels[-1]:
        _label_time(axes, images, frontend)
    _decibel_bar(figure, drawn, panels, frontend)
    return figure


def traversals(
    images: Float[Tensor, "latent step channel *size"],
    walks: Sequence[Sequence[float]],
    labels: Sequence[str],
    frontend: Frontend | None,
) -> Figure:
    """One strip per latent: what is decoded along its values, which stand above it, side by side."""
    high = 1.5 if frontend is None else 1.1
    figure = Figure(figsize=(1.4 + 1.5 * images.shape[1], 0.9 + high * len(images)), layout="constrained")
    draw_strips(figure, images, walks, labels, frontend)
    return figure


def draw_strips(
    figure: Figure | SubFigure,
    images: Float[Tensor, "latent step channel *size"],
    walks: Sequence[Sequence[float]],
    labels: Sequence[str],
    frontend: Frontend | None,
) -> None:
    """The strips of :func:`traversals` in a figure, or a part of one."""
    steps, width = images.shape[1], images.shape[-1]
    strips = figure.subplots(len(images), 1, squeeze=False, sharex=True)[:, 0]
    starts = np.arange(steps) * width
    for axes, label, walk, strip in zip(strips, labels, walks, images, strict=True):
        # One picture per strip: a figure of a hundred axes takes matplotlib seconds.
        drawn = _draw(axes, torch.cat([*strip], dim=-1), frontend)
        axes.vlines([k * width - 0.5 for k in range(1, steps)], *axes.get_ylim(), color="0.6", lw=1.5)
        axes.set_ylabel(f"{label}\n{_vertical(images[0], frontend)}".strip(), fontsize=7)
        top = axes.secondary_xaxis("top")
        top.set_xticks(starts + (width - 1) / 2, [f"{z:+.2f}" for z in walk])
        top.tick_params(labelsize=6, length=0, pad=1)
    if frontend is not None:
        middle = f"{frontend.times(width)[width // 2]:.2g}"
        strips[-1].set_xticks(np.concatenate([starts, starts + width // 2]), ["0"] * steps + [middle] * steps)
        strips[-1].set_xlabel("seconds, from 0 in every picture", fontsize=7)
    _decibel_bar(figure, drawn, strips, frontend)


def samples(images: Image, title: str, frontend: Frontend | None) -> Figure:
    """Decoded draws in a square."""
    columns = round(len(images) ** 0.5)
    if images.ndim == 3:
        return gallery(images, [""] * len(images), frontend, columns)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    _tiles(axes, images, columns, frontend)
    axes.set_axis_off()
    axes.set_title(title, fontsize=8)
    return figure


def latent_map(
    codes: Codes,
    positions: Positions | None,
    space: FactorSpace | None,
    names: tuple[str, str],
    title: str,
    manifold: Float[Tensor, "tile channel *tile_size"] | None,
    values: Float[Tensor, "2 side"],
    frontend: Frontend | None,
    reach: float = REACH,
) -> Figure:
    """Two latents as a plane: where each row's code lies, a panel a factor, and what is decoded there.

    Args:
        codes: [row 2] of the two.
        positions: [row factor] integers, which colour the points; None leaves them grey.
        space: names the factors and their values; None where nothing is known of any.
        names: of the two latents.
        title: of the figure.
        manifold: decoded images on the square grid of ``values``, the first latent fastest; None draws none.
        values: of each of the two, ascending.
        frontend: of the images.
        reach: how far from 0 the plane is shown.

    """
    factors = [None] if space is None else space.factors
    count = len(factors) + (manifold is not None)
    figure = Figure(figsize=(0.4 + 4.2 * count, 4.2), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    figure.suptitle(title, fontsize=9)
    for k, (axes, factor) in enumerate(zip(panels, factors, strict=False)):
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel=names[0], ylabel=names[1], aspect="equal")
        if factor is None or positions is None:
            axes.scatter(*codes.T.numpy(), c="0.4", s=3, alpha=0.6, lw=0)
            continue
        colours = ListedColormap(CATEGORIES[: len(factor)]) if len(factor) <= len(CATEGORIES) else HEAT
        points = axes.scatter(*codes.T.numpy(), c=positions[:, k].numpy(), cmap=colours, s=3, alpha=0.6, lw=0)
        points.set_clim(-0.5, len(factor) - 0.5)
        ticks = np.unique(np.linspace(0, len(factor) - 1, min(len(factor), 10)).round().astype(int)).tolist()
        bar = figure.colorbar(points, ax=axes, ticks=ticks, label=factor.name)
        bar.solids.set_alpha(1)  # type: ignore[union-attr]
        bar.ax.set_yticklabels([factor.describe(tick) for tick in ticks], fontsize=7)
    if manifold is not None:
        side = values.shape[1]
        # From the top: the second latent's largest value first.
        upwards = manifold.view(side, side, *manifold.shape[1:]).flip(0).flatten(0, 1)
        _tiles(panels[-1], upwards, side, frontend)
        high, wide = manifold.shape[-2:]
        (across, right), (up, above) = (_marks(line.numpy()) for line in values)
        panels[-1].set_xticks(across * wide, right)
        panels[-1].set_yticks((side - up) * high, above)
        panels[-1].set(xlabel=names[0], ylabel=names[1])
    return figure


def _marks(values: Float[np.ndarray, "side"]) -> tuple[Float[np.ndarray, "mark"], list[str]]:
    """Where whole numbers lie among tiles of ascending values, and their names."""
    marks = [mark for mark in (-2, -1, 0, 1, 2) if values[0] - 0.1 < mark < values[-1] + 0.1]
    return np.interp(marks, values, np.arange(len(values))) + 0.5, [f"{mark:+d}" for mark in marks]


def _tiles(axes: Axes, images: Image, columns: int, frontend: Frontend | None) -> None:
    """Images edge to edge as one picture."""
    upright = images if frontend is None else images.flip(-2)
    grid = make_grid(upright[:, :1], nrow=columns, padding=0)[0]
    axes.imshow(grid.numpy(), cmap=PICTURE if frontend is None else SPECTRUM, vmin=0, vmax=1, aspect="auto")


def _draw(axes: Axes, image: Float[Tensor, "channel *size"], frontend: Frontend | None) -> AxesImage | None:
    """One image in its own units; the caller labels time. Answers what a colour bar may explain."""
    first = image[0].numpy()
    axes.tick_params(labelsize=6)
    if frontend is None:
        axes.imshow(first, cmap=PICTURE, vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        return None
    if first.ndim == 1:
        axes.plot(first, lw=0.4, color="k")
        axes.set(xlim=(0, len(first)), ylim=(-1, 1))
        return None
    frequencies = frontend.frequencies()
    decibel = (1 - first) * frontend.floor_db
    drawn = axes.imshow(decibel, cmap=SPECTRUM, vmin=frontend.floor_db, vmax=0, origin="lower", aspect="auto")
    ticks = [f for f in (63, 125, 250, 500, 1000, 2000, 4000, 8000, 16000) if frequencies[0] <= f <= frequencies[-1]]
    axes.set_yticks(np.interp(ticks, frequencies, np.arange(len(frequencies))), [f"{f:g}" for f in ticks])
    return drawn


def _vertical(images: Image, frontend: Frontend | None) -> str:
    """What the vertical axis of an image counts."""
    if frontend is None:
        return ""
    return "Hz" if images.ndim == 4 else "amplitude"


def _label_time(axes: Axes, images: Image, frontend: Frontend | None) -> None:
    if frontend is None:
        return
    length = images.shape[-1]
    times = frontend.times(length)
    seconds = np.linspace(times[0], times[-1], 3)
    axes.set_xticks(np.linspace(0, length - 1, 3), [f"{tick:.2g}" for tick in seconds])
    axes.set_xlabel("seconds", fontsize=7)


def _decibel_bar(
    figure: Figure | SubFigure, drawn: AxesImage | None, panels: np.ndarray, frontend: Frontend | None
) -> None:
    if drawn is None:
        return
    bar = figure.colorbar(drawn, ax=panels, shrink=0.8, pad=0.01)
    bar.set_label("dB", fontsize=7)
    bar.ax.tick_params(labelsize=6)
