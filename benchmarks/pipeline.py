"""Positions to image, end to end, beside NumPy and librosa in a loop: python -m benchmarks.pipeline.

Rows of the default preset become images of 80 bins by 63 frames, on one thread. The floor is what memory allows:
writing a batch's audio once, reading it once and writing its images, at the speed of a copy.
"""

from statistics import median

import librosa
import numpy as np
import torch
from benchmarks.cases import synth
from benchmarks.frontend import images_by_librosa
from benchmarks.measure import in_turns, ratio, report, threads
from tests.reference.synthesis import tone

from disentone.data import SyntheticData
from disentone.frontends import CQT

ROWS, ROWS_IN_LOOP = 256, 8


def main() -> None:
    data = SyntheticData(synth(), CQT(), mode="on_the_fly")
    rows = data.rows("train")[:ROWS]
    values = data.space.values(data.positions(rows[:ROWS_IN_LOOP])).tolist()
    # The copy reads and writes: half the audio and images, twice.
    moved = torch.zeros(ROWS * (2 * data.synth.num_samples + data.shape[1] * data.shape[2]) // 2)
    target = torch.zeros_like(moved)
    versions = {
        "disentone": lambda: data.images(rows),
        "NumPy and librosa, in a loop": lambda: images_by_librosa(
            np.stack([tone(*row) for row in values]).astype(np.float32)
        ),
        "memory, the floor": lambda: target.copy_(moved),
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
