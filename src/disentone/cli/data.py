"""disentone-data: what a family of sounds consists of, and some of it to hear."""

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from disentone import config, errors, image_plots, plots
from disentone.data import DataModule, visibility
from disentone.data.cache import image_bytes
from disentone.data.visibility import NEAR_INVISIBLE
from disentone.sources import Rendered
from disentone.sweep import signals


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
        raise ValueError("disentone-data render needs source=tones; pictures have no sound")
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
    rows = torch.randperm(data.num_rows, generator=torch.Generator().manual_seed(seed))[:count]
    plots.save(image_plots.gallery(data.images(rows), data.titles(rows), data.frontend, columns), out)
    print(f"{len(rows)} images are in {out}")


def print_visibility(data: DataModule, rows: int, seed: int) -> None:
    """Print what each factor moves of the image, and warn of those that move next to nothing."""
    if not isinstance(data.source, Rendered):
        raise ValueError("disentone-data visibility needs source=tones; what is not rendered has no sound to change")
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


def positive(text: str) -> int:
    """A whole number of 1 or more, as an option of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, got {text}")
    return int(text)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="disentone-data", description=__doc__)
    parser.add_argument("--config-dir", type=Path, help="a folder of your own configs")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("describe", help="print factors, rows, splits and image size")
    rendering = actions.add_parser("render", help="write sounds as WAV files and a picture of their images")
    rendering.add_argument("--rows", type=int, nargs="+", default=[0], help="row numbers (default 0)")
    rendering.add_argument("--out", type=Path, default=Path("outputs/sounds"), help="folder (default outputs/sounds)")
    drawing = actions.add_parser("gallery", help="draw images of random rows with their factor values")
    drawing.add_argument("--count", type=positive, default=24, help="how many (default 24)")
    drawing.add_argument("--columns", type=positive, default=6, help="in a row (default 6)")
    drawing.add_argument("--out", type=Path, default=Path("outputs/gallery.png"), help="default outputs/gallery.png")
    seeing = actions.add_parser("visibility", help="print how much of the image each factor moves")
    seeing.add_argument("--rows", type=positive, default=1000, help="sounds to change (default 1000)")
    for action in (drawing, seeing):
        action.add_argument("--seed", type=int, default=0, help="of the rows (default 0)")
    for action in actions.choices.values():
        action.add_argument("overrides", nargs="*", help="as of disentone-train, for instance synth=tones_noisy")
    arguments, rest = parser.parse_known_args()
    if unknown := [word for word in rest if word.startswith("-")]:
        parser.error(f"there is no option {unknown[0]}; an override is written key=value")
    overrides = [*arguments.overrides, *rest]
    with signals.ending(lambda: "nothing is lost"), errors.readable(sys.argv[1:]):
        if arguments.config_dir and not arguments.config_dir.is_dir():
            raise ValueError(f"--config-dir={arguments.config_dir}: there is no such folder")
        cfg = config.composed([*overrides, "run_dir=."], arguments.config_dir)
        config.check(cfg)
        data = instantiate(cfg.data, _convert_="all")
        if arguments.action == "describe":
            describe(data)
        elif arguments.action == "render":
            render(data, arguments.rows, arguments.out)
        elif arguments.action == "gallery":
            gallery(data, arguments.count, arguments.columns, arguments.seed, arguments.out)
        else:
            print_visibility(data, arguments.rows, arguments.seed)


if __name__ == "__main__":
    main()
