"""Positions to image, end to end, beside NumPy and librosa in a loop: python -m benchmarks.pipeline.

Rows of the default preset become images of 80 bins by 63 frames, on one thread. Two floors: memory, which must take
the audio, give it back and take the images, at the speed of a copy; and arithmetic, as many multiplications as our
products and convolutions have, at the speed of a large matrix product.
"""

from statistics import median

import librosa
import numpy as np
import torch
from benchmarks.cases import synth
from benchmarks.frontend import images_by_librosa
from benchmarks.measure import in_turns, ratio, report, threads
from tests.reference.synthesis import tone

from disentone.data import DataModule
from disentone.frontends import CQT
from disentone.frontends.halving import AT_ONCE
from disentone.sources import Tones

ROWS, ROWS_IN_LOOP = 256, 8


def multiplications(data: DataModule) -> float:
    """Of one row: its sum of ten partials, the halvings, the correlations of every band."""
    cqt, samples = data.frontend, data.source.num_samples
    steps = [2**i for i in range(max(band.step for band in cqt.bands).bit_length() - 1)]
    halvings = sum(cqt.halving.kernels.numel() * samples / step / (2 * AT_ONCE) for step in steps)
    return 2 * 10 * samples + halvings + data.shape[2] * sum(band.kernels.numel() for band in cqt.bands)


def main() -> None:
    data = DataModule(Tones(synth(), CQT()), mode="on_the_fly")
    rows = data.rows("train")[:ROWS]
    values = data.space.values(data.positions(rows[:ROWS_IN_LOOP])).tolist()
    # The copy reads and writes: half the audio and images, twice.
    moved = torch.zeros(ROWS * (2 * data.source.num_samples + data.shape[1] * data.shape[2]) // 2)
    target = torch.zeros_like(moved)
    square = torch.randn(2, *[round((ROWS * multiplications(data)) ** (1 / 3))] * 2)
    versions = {
        "disentone": lambda: data.images(rows),
        "NumPy and librosa, in a loop": lambda: images_by_librosa(
            np.stack([tone(*row) for row in values]).astype(np.float32)
        ),
        "floor of memory": lambda: target.copy_(moved),
        "floor of arithmetic": lambda: square[0] @ square[1],
    }
    with threads(1):
        seconds = in_turns(versions)
    count = {name: ROWS_IN_LOOP if "loop" in name else ROWS for name in versions}
    per_row = {name: [second / count[name] for second in spent] for name, spent in seconds.items()}
    table = {name: [1 / median(spent), ratio(spent, per_row["disentone"])] for name, spent in per_row.items()}
    columns = ("rows/s", "times as long as ours")
    report("pipeline", "Positions to images, one thread", columns, table, librosa)


if __name__ == "__main__":
    main()
