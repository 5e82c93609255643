"""Disentanglement scores at every validation and, in full, of the finished model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from disentone import plots
from disentone.codes import encode, model_and_data
from disentone.files import write_atomically
from disentone.loggers import log_image
from disentone.metrics.evaluation import MATRICES, evaluate
from disentone.shapes import Codes

ACTIVE_VARIANCE = 0.01


class Scores(pl.Callback):
    """Encodes the evaluation rows once and scores the codes against the factors.

    At validation a smaller sample is scored and logged. At the test of the finished model all evaluation rows
    are, and the run folder gets ``scores.json`` (test terms, scores, settings), ``codes.npz`` (codes, factors,
    rows) and heat maps of the matrices.

    Args:
        run_dir: the run folder.
        preset: of the metrics.
        metrics: which ones, or ``all``.
        dci_backend: instead of the preset's.
        rows: the most rows that the final scores may use.
        validation_rows: as many at validation.
        seed: of the metrics.

    """

    def __init__(
        self,
        run_dir: str | Path,
        preset: str = "dlib",
        metrics: str | Sequence[str] = "all",
        dci_backend: str | None = None,
        rows: int = 50_000,
        validation_rows: int = 5_000,
        seed: int = 0,
    ) -> None:
        self.run_dir = Path(run_dir)
        self.preset, self.metrics, self.dci_backend = preset, metrics, dci_backend
        self.rows, self.validation_rows, self.seed = rows, validation_rows, seed

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score a sample and log the numbers."""
        scores, _ = self._score(trainer, self.validation_rows)
        pl_module.log_dict({key: value for key, value in scores.items() if isinstance(value, float)})

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score all evaluation rows; write numbers, codes and heat maps."""
        scores, arrays = self._score(trainer, self.rows)
        numbers = {key: value for key, value in scores.items() if isinstance(value, float)}
        pl_module.log_dict(numbers)
        if not trainer.is_global_zero:
            return
        test_terms = {
            key.removeprefix("test/"): float(value)
            for key, value in trainer.callback_metrics.items()
            if key.startswith("test/")
        }
        matrices = {key: scores[key].tolist() for key in MATRICES if key in scores}
        report = {
            "step": trainer.global_step,
            **test_terms,
            **numbers,
            **matrices,
            "settings": scores["settings"],
        }
        np.savez_compressed(self.run_dir / "codes.npz", **arrays)  # type: ignore[arg-type]
        for name, matrix in matrices.items():
            figure = plots.matrix(np.array(matrix), scores["settings"]["factors"], name)
            log_image(trainer, name, plots.save(figure, self.run_dir / "figures" / f"{name}.png"))
        write_atomically(self.run_dir / "scores.json", json.dumps(report, indent=2))

    def _score(self, trainer: pl.Trainer, limit: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        vae, data = model_and_data(trainer)
        rows = data.evaluation_rows(limit)
        codes = encode(vae, data, rows, trainer.strategy.root_device).mean
        factors = data.space.grid(rows)
        scores = evaluate(
            codes,
            factors,
            metrics=self.metrics,
            preset=self.preset,
            seed=self.seed,
            factor_names=data.space.names,
            chance=True,
            dci_backend=self.dci_backend,
        )
        scores["active_units"] = active_units(codes)
        return scores, {"codes": codes.double().numpy(), "factors": factors.numpy(), "rows": rows.numpy()}


def active_units(codes: Codes) -> float:
    """How many posterior means vary by more than 0.01 over the data (Burda et al. 2016)."""
    return float((codes.var(dim=0, correction=0) > ACTIVE_VARIANCE).sum())
