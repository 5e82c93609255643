"""What the data costs a training step: python -m benchmarks.training.

Runs of the quickstart's network and batch on one thread, by the trainer that trains it, without what it does beside
the steps: images rendered on the fly, read from the cache, and the floor, one constant batch in memory.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from statistics import median

import pytorch_lightning as pl
from benchmarks.cases import config
from benchmarks.measure import in_turns, ratio, report, threads
from hydra.utils import instantiate
from omegaconf import DictConfig

from disentone.shapes import Batch
from disentone.system import System

STEPS = 100


class Constant:
    """The same batch for ever."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield self.batch


def train(cfg: DictConfig, shape: tuple[int, ...], **source: object) -> None:
    vae = instantiate(cfg.model, _convert_="all")(shape)
    system = System(vae, instantiate(cfg.objective), instantiate(cfg.optimizer))
    trainer = instantiate(cfg.trainer, _convert_="all")(
        accelerator="cpu", max_steps=STEPS, limit_val_batches=0, logger=False, enable_checkpointing=False
    )
    trainer.fit(system, **source)


def main() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, threads(1):
        cfg = config("experiment=quickstart", f"data.cache_dir={folder}")
        cached, on_the_fly = (instantiate(cfg.data, _convert_="all", mode=mode) for mode in ("cached", "on_the_fly"))
        cached.setup()
        rows = cached.rows("train")[: cached.batch_size]
        constant = Constant(Batch(cached.images(rows), rows))
        versions = {
            "constant batch": lambda: train(cfg, cached.shape, train_dataloaders=constant),
            "cached": lambda: train(cfg, cached.shape, datamodule=cached),
            "on the fly": lambda: train(cfg, cached.shape, datamodule=on_the_fly),
        }
        seconds = in_turns(versions)
    floor = seconds["constant batch"]
    table = {
        name: [1000 * median(spent) / STEPS, ratio(spent, floor), 1 - 1 / ratio(spent, floor)]
        for name, spent in seconds.items()
    }
    columns = ("ms a step", "times the floor", "share of the data")
    title = f"Training steps of the quickstart, {cached.batch_size} images, one thread"
    report("training", title, columns, table, pl)


if __name__ == "__main__":
    main()
