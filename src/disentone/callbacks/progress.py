"""How far the run is and how long it will take."""

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)

from disentone.callbacks.scores import Scores
from disentone.metrics.table import HEADLINES, TERMS


class Progress(pl.Callback):
    """One bar over all optimiser steps with the time left, and a line at every validation.

    Args:
        name: of the experiment.
        run_dir: the run folder, whose name says which run it is.

    """

    def __init__(self, name: str, run_dir: str | Path) -> None:
        console = Console()
        self.label = f"{name} {Path(run_dir).name}"
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            refresh_per_second=4,
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start where the run stands, which is not 0 after a resume."""
        if trainer.is_global_zero:
            self.bar.start()
            steps = trainer.estimated_stepping_batches
            total = None if steps == float("inf") else int(steps)
            self.task = self.bar.add_task(self.label, total=total, completed=trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Count the step."""
        if trainer.is_global_zero:
            self.bar.update(self.task, completed=trainer.global_step)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how good the model is by now."""
        if not trainer.is_global_zero:
            return
        shown = {f"validation/{term.key}": term.heading for term in TERMS if term.headline}
        known = trainer.callback_metrics
        if math.isfinite(known.get("validation/fit", math.nan)) and "validation/elbo" not in known:
            # An encoder that rests has a loss no more; its last value stays in the metrics.
            reads_out = shown.pop("validation/info_nce", None) and "validation/info_nce" in known
            shown = {"validation/fit": "read-out" if reads_out else "fit", **shown}
        extra = [callback.extra for callback in trainer.callbacks if isinstance(callback, Scores)]  # type: ignore[attr-defined]
        own = [score for metrics in extra for metric in metrics.values() for score in metric.scores]
        shown |= {score.key: score.heading for score in (*HEADLINES, *own)}
        numbers = "  ".join(f"{name} {float(known[key]):.4g}" for key, name in shown.items() if key in known)
        line = f"{self.label}  step {trainer.global_step}  {numbers}"
        try:
            self.bar.console.print(line, highlight=False, soft_wrap=True)
        except SystemExit:
            self.bar.console.quiet = True  # nobody reads any more, which is no reason to stop training

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the terminal as it was."""
        self.bar.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the terminal as it was."""
        self.bar.stop()
