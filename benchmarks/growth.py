"""How long things take as they grow: python -m benchmarks.growth.

Synthesis and CQT by batch, partials and duration, the data module's start and a metric by rows; on one thread, the
others of a line fixed. Each line's slope is fitted to its last three sizes, on logarithms: 1 is proportional. Also
draws ``docs/images/growth.png``.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
import numpy as np
import torch
from benchmarks.cases import sounds, synth
from benchmarks.measure import in_turns, report, threads

from disentone.data import DataModule
from disentone.frontends import CQT
from disentone.metrics import METRICS
from disentone.sources import Tones
from disentone.synths import Additive

FIGURE = Path(__file__).parents[1] / "docs" / "images" / "growth.png"


def synthesis(clips: int = 64, **changes: object) -> Callable[[], object]:
    family = synth(**changes)
    values, keys = sounds(clips, family)
    return lambda: family(values, keys)


def transform(clips: int = 64, **changes: object) -> Callable[[], object]:
    audio, cqt = synthesis(clips, **changes)(), CQT()
    return lambda: cqt(audio)


def start(rows: int) -> Callable[[], object]:
    """Build the synth, the CQT and the data of so many rows, take its first batch and the rows it is scored on."""
    side = round(rows ** (1 / 3))
    ranges = {"f0": (100, 1000), "slope": (-0.9, -0.1), "decay": (0, 10)}
    factors = {name: {"start": low, "stop": high, "count": side} for name, (low, high) in ranges.items()}

    def begun() -> object:
        data = DataModule(Tones(Additive(factors=factors), CQT()), mode="on_the_fly")
        return next(iter(data.train_dataloader())), data.evaluation_rows(50_000)

    return begun


def mig(rows: int) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    codes, factors = rng.normal(size=(rows, 10)), rng.integers(0, 11, (rows, 4))
    return lambda: METRICS["mig"].score(codes, factors)


LINES: dict[str, dict[int, Callable[[], Callable[[], object]]]] = {
    "synthesis by batch": {n: lambda n=n: synthesis(n) for n in (4, 16, 64, 256)},
    "synthesis by partials": {n: lambda n=n: synthesis(partials=n) for n in (5, 10, 20, 40, 80)},
    "synthesis by seconds": {n: lambda n=n: synthesis(16, duration=float(n)) for n in (1, 2, 4, 8, 16)},
    "CQT by batch": {n: lambda n=n: transform(n) for n in (4, 16, 64, 256)},
    "CQT by seconds": {n: lambda n=n: transform(16, duration=float(n)) for n in (1, 2, 4, 8, 16)},
    "start by rows": {n: lambda n=n: start(n) for n in (10**4, 10**5, 10**6, 10**7)},
    "MIG by rows": {n: lambda n=n: mig(n) for n in (1_000, 10_000, 100_000)},
}


def slope(sizes: list[int], seconds: list[float]) -> float:
    return float(np.polyfit(np.log(sizes[-3:]), np.log(seconds[-3:]), 1)[0])


def main() -> None:
    rows: dict[str, list[float | None]] = {}
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    with threads(1), torch.no_grad():
        for name, makers in LINES.items():
            measured = in_turns({str(size): make() for size, make in makers.items()}, repeats=3)
            sizes, seconds = list(makers), [median(spent) for spent in measured.values()]
            fitted = slope(sizes, seconds)
            rows[name] = [sizes[0], seconds[0], sizes[-1], seconds[-1], fitted]
            axes.loglog(sizes, seconds, marker="o", label=f"{name}: slope {fitted:.2f}")
    axes.set_xlabel("clips, partials, seconds or rows")
    axes.set_ylabel("processor's seconds, one thread")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(FIGURE, dpi=110)
    report("growth", "Growth, one thread", ("from", "seconds", "to", "seconds then", "slope"), rows)


if __name__ == "__main__":
    main()
