"""disentone-data: what a family of sounds consists of, and some of it to hear."""

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from disentone import config, errors, plots
from disentone.data import SyntheticData
from disentone.data.cache import image_bytes


def describe(data: SyntheticData) -> None:
    """Print factors, rows, splits and the size of an image."""
    table = Table(title=f"{len(data.space):,} sounds")
    for name in ("factor", "values", "from", "to", "unit"):
        table.add_column(name)
    for factor in data.space.factors:
        ends = (factor.describe(0).split(" ")[0], factor.describe(len(factor) - 1).split(" ")[0])
        table.add_row(factor.name, str(len(factor)), *ends, factor.unit)
    Console().print(table)
    print(", ".join(f"{size:,} {split}" for split, size in data.sizes.items()), "rows")
    cache = image_bytes(len(data.space), data.shape) / 1e9
    print(f"images {' x '.join(map(str, data.shape))}, {cache:.2f} GB as cached float16")


def render(data: SyntheticData, rows: list[int], out: Path) -> None:
    """Write rows as WAV files (32-bit float) and one picture of their images.

    Raises:
        ValueError: for a row that the space does not have.

    """
    for row in rows:
        if not 0 <= row < len(data.space):
            raise ValueError(f"there is no row {row}; rows are 0..{len(data.space) - 1}")
    sounds = data.sounds(torch.tensor(rows))
    out.mkdir(parents=True, exist_ok=True)
    for row, audio in zip(rows, data.audio(sounds), strict=True):
        soundfile.write(out / f"row_{row}.wav", audio.numpy().astype(np.float32), data.synth.sample_rate, "FLOAT")
    titles = [data.space.describe(positions) for positions in sounds.positions.tolist()]
    plots.save(plots.spectrograms(data.render(sounds), titles, data.frontend), out / "images.png")
    print(f"{len(rows)} sounds and their images are in {out}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="disentone-data", description=__doc__)
    parser.add_argument("--config-dir", type=Path, help="a folder of your own configs")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("describe", help="print factors, rows, splits and image size")
    rendering = actions.add_parser("render", help="write sounds as WAV files and a picture of their images")
    rendering.add_argument("--rows", type=int, nargs="+", default=[0], help="row numbers (default 0)")
    rendering.add_argument("--out", type=Path, default=Path("outputs/sounds"), help="folder (default outputs/sounds)")
    for action in actions.choices.values():
        action.add_argument("overrides", nargs="*", help="as of disentone-train, for instance synth=tones_noisy")
    arguments, rest = parser.parse_known_args()
    overrides = [*arguments.overrides, *rest]
    with errors.readable(sys.argv[1:]):
        extra = [f"hydra.searchpath=[file://{arguments.config_dir.absolute()}]"] if arguments.config_dir else []
        with initialize_config_dir(str(config.config_dir()), version_base="1.3"):
            cfg = compose("train", [*overrides, *extra, "run_dir=."])
        config.check(cfg)
        data = instantiate(cfg.data, _convert_="all")
        if arguments.action == "describe":
            describe(data)
        else:
            render(data, arguments.rows, arguments.out)


if __name__ == "__main__":
    main()
