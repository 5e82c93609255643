"""What a family of sounds consists of, printed, written as sounds, and drawn."""

from pathlib import Path

import numpy as np
import soundfile
import torch
from rich.console import Console
from rich.table import Table

from disentone import image_plots, plots
from disentone.data.cache import image_bytes
from disentone.data.module import DataModule
from disentone.data.visibility import NEAR_INVISIBLE, visibility
from disentone.hashing import Permutation
from disentone.sources import Rendered


def describe(data: DataModule) -> None:
    """Print factors, rows, splits and the size of an image."""
    table = Table(title=f"{data.num_rows:,} {'images' if data.source.num_samples is None else 'sounds'}")
    for name in ("factor", "values", "from", "to", "unit"):
        table.add_column(name)
    for factor in () if data.space is None else data.space.factors:
        ends = (factor.describe(0).split(" ")[0], factor.describe(len(factor) - 1).split(" ")[0])
        table.add_row(factor.name, str(len(factor)), *ends, factor.unit)
    Console().print(table)
    print(", ".join(f"{size:,} {split}" for split, size in data.sizes.items()), "rows")
    size = f"images {' x '.join(map(str, data.shape))}"
    if data.source.key is not None:
        size += f", {image_bytes(len(data.source), data.shape) / 1e9:.2f} GB as cached float16"
    print(size)


def render(data: DataModule, rows: list[int], out: Path) -> None:
    """Write rows as WAV files (32-bit float) and one picture of their images.

    Raises:
        ValueError: for a row that there is not, or data without sound.

    """
    if data.frontend is None or data.source.num_samples is None:
        raise ValueError("disentone data render needs source=tones; pictures have no sound")
    for row in rows:
        if not 0 <= row < len(data.source):
            raise ValueError(f"there is no row {row}; rows are 0..{len(data.source) - 1}")
    asked = torch.tensor(rows)
    out.mkdir(parents=True, exist_ok=True)
    for row, audio in zip(rows, data.audio(asked), strict=True):
        soundfile.write(out / f"row_{row}.wav", audio.numpy().astype(np.float32), data.frontend.sample_rate, "FLOAT")
    plots.save(image_plots.gallery(data.images(asked), data.titles(asked), data.frontend), out / "images.png")
    print(f"{len(rows)} sounds and their images are in {out}")


def gallery(data: DataModule, count: int, columns: int, seed: int, out: Path) -> None:
    """Draw images of random rows with their factor values."""
    rows = Permutation(len(data.source), seed, "gallery")(torch.arange(min(count, len(data.source))))
    plots.save(image_plots.gallery(data.images(rows), data.titles(rows), data.frontend, columns), out)
    print(f"{len(rows)} images are in {out}")


def print_visibility(data: DataModule, rows: int, seed: int) -> None:
    """Print what each factor moves of the image, and warn of those that move next to nothing."""
    if not isinstance(data.source, Rendered):
        raise ValueError("disentone data visibility needs source=tones; what is not rendered has no sound to change")
    found = visibility(data.source, rows, seed)
    variance = found.pop("")["variance"]
    if not variance:
        raise ValueError("all images are the same: the front-end sees none of the factors; check its range and floor")
    table = Table(title=f"mean squared image distance, {rows:,} sounds; image variance {variance:.1f}")
    for name in ("factor", "one step", "share", "random change", "share"):
        table.add_column(name, justify="left" if name == "factor" else "right")
    for name, entry in found.items():
        shares = [f"{100 * entry[key]:.1f} %" for key in ("step_share", "random_share")]
        table.add_row(name, f"{entry['step']:.1f}", shares[0], f"{entry['random']:.1f}", shares[1])
    Console().print(table)
    for name, entry in found.items():
        if entry["random_share"] < NEAR_INVISIBLE:
            print(
                f"warning: {name} is near invisible to this front-end: changing it at random moves "
                f"{100 * entry['random_share']:.1f} % of the image variance; no model can find what it cannot see"
            )
