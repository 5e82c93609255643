"""What writing checkpoints costs a run: python -m benchmarks.checkpoints.

By the clock, since a disk is waited for: one write of the network and Adam's state, whole and flushed to the disk,
beside the 1,000 steps from one to the next, which are taken from a few.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.cases import config
from benchmarks.measure import in_turns, report, threads
from benchmarks.network import SHAPES, step
from hydra.utils import instantiate

from disentone.checkpoints import AtomicCheckpointIO
from disentone.run.folder import LAST


def main() -> None:
    rows: dict[str, list[float | None]] = {}
    for experiment, shape in SHAPES.items():
        cfg = config(f"experiment={experiment}")
        every = cfg.callbacks.last.every_n_train_steps
        weights = instantiate(cfg.model, _convert_="all")(shape).state_dict()
        # Adam keeps two numbers for every weight.
        content = {"state_dict": weights, "first": dict(weights), "second": dict(weights)}
        content = {part: {name: value.clone() for name, value in content[part].items()} for part in content}
        Path("outputs").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir="outputs") as folder, threads(1):
            io, path = AtomicCheckpointIO(), Path(folder) / LAST
            versions = {"write": lambda io=io, path=path, content=content: io.save_checkpoint(content, path)}
            seconds = in_turns({**versions, "step": step(experiment)}, clock=time.perf_counter)
            size = path.stat().st_size / 1e6
        write, one = median(seconds["write"]), median(seconds["step"])
        rows[experiment] = [size, 1000 * write, every * one, write / (every * one)]
    columns = ("MB", "ms a write", "seconds of steps between two", "share of the time")
    report("checkpoints", "Checkpoints, one thread, by the clock", columns, rows)


if __name__ == "__main__":
    main()
