"""Disentanglement scores before training, at every validation and, in full, of the finished model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from disentone import plots
from disentone.codes import BATCH, encode, model_and_data
from disentone.data import DataModule
from disentone.files import write_atomically, written_whole
from disentone.loggers import log_found, log_image, log_table
from disentone.metrics.dci import backend_of
from disentone.metrics.evaluation import chosen_metrics, evaluate, for_json, matrices_for_json, numbers
from disentone.metrics.extra import ExtraMetric, known_metrics
from disentone.metrics.traversal import STEPS, traversal
from disentone.models import Model
from disentone.run.folder import RunFolder
from disentone.shapes import Codes, Rows
from disentone.system import System

ACTIVE_VARIANCE = 0.01


class Scores(pl.Callback):
    """Encodes the evaluation rows once and scores the codes against the factors, chance beside every score.

    At validation a few scores of a smaller sample are logged. At the test of the finished model all evaluation
    rows are scored, its decoder too (``traversal_*``), and the run folder gets ``scores.json`` (test terms,
    scores, settings), ``codes.npz`` (codes, factors, rows) and heat maps of the matrices. Beside them stand, as
    ``untrained/<score>``, those of the network as it was before its first step, and ``unexplained_variance``, what
    reconstructions miss of the test images.

    Args:
        run_dir: the run folder.
        preset: of the metrics.
        metrics: of the finished and of the untrained model: ``all``, ``fast`` or names.
        validation_metrics: likewise, at every validation.
        dci_backend: instead of the preset's.
        rows: the most rows that the final scores may use.
        validation_rows: as many at validation.
        traversal: score the finished model's decoder too, where the rows are a grid of factors.
        seed: of the metrics.
        extra: metrics of one's own by name. At the end they are always scored, at validation if they are named there.

    Raises:
        ValueError: for a metric that does not exist, or fewer than 2 rows; before training, for so few rows that a
            factor has one value among them.

    """

    def __init__(
        self,
        run_dir: str | Path,
        preset: str = "dlib",
        metrics: str | Sequence[str] = "fast",
        validation_metrics: str | Sequence[str] = ("mig", "dci", "sap"),
        dci_backend: str | None = None,
        rows: int = 50_000,
        validation_rows: int = 5_000,
        traversal: bool = True,
        seed: int = 0,
        extra: Mapping[str, ExtraMetric] | None = None,
    ) -> None:
        for key, count in (("rows", rows), ("validation_rows", validation_rows)):
            if count < 2:
                raise ValueError(f"metrics.{key} must be at least 2, since scores compare rows, got {count}")
        # Names that no metric has should stop the run before it trains.
        backend, known = backend_of(preset, dci_backend), known_metrics(extra)
        self.extra = dict(extra or {})
        self.metrics = list(dict.fromkeys([*chosen_metrics(metrics, backend, known), *self.extra]))
        self.validation_metrics = chosen_metrics(validation_metrics, backend, known)
        self.folder, self.preset, self.dci_backend = RunFolder(run_dir), preset, backend
        self.rows, self.validation_rows, self.traversal, self.seed = rows, validation_rows, traversal, seed
        self.untrained: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run cannot measure again."""
        return {"untrained": self.untrained}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the untrained network's scores."""
        self.untrained = dict(state_dict["untrained"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score the untrained network; a resumed run has these scores in its checkpoint."""
        _, data = model_and_data(trainer)
        for key, count in (("rows", self.rows), ("validation_rows", self.validation_rows)):
            check_rows(data, key, count)
        if trainer.ckpt_path is not None or trainer.global_step > 0:
            return
        if trainer.is_global_zero:
            training = pl_module.training
            pl_module.eval()
            codes, rows = self._codes(trainer, self.rows)
            scores = self._score(trainer, codes, rows, self.metrics, chance=False)
            pl_module.train(training)
            self.untrained = {f"untrained/{key}": value for key, value in numbers(scores).items()}
        self.untrained = trainer.strategy.broadcast(self.untrained)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score a sample and log the numbers."""
        found: dict[str, float] = {}
        if trainer.is_global_zero:
            codes, rows = self._codes(trainer, self.validation_rows)
            found = numbers(self._score(trainer, codes, rows, self.validation_metrics))
        log_found(trainer, found)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score all evaluation rows; write numbers, codes and heat maps."""
        # Read in every process, since they meet to add the terms up.
        terms = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("test/")}
        log_found(trainer, self._score_and_write(trainer, terms) if trainer.is_global_zero else {})

    def _score_and_write(self, trainer: pl.Trainer, terms: dict[str, float]) -> dict[str, float]:
        vae, data = model_and_data(trainer)
        codes, rows = self._codes(trainer, self.rows)
        scores = self._score(trainer, codes, rows, self.metrics)
        walked = {}
        if self.traversal and data.source.is_grid:
            walked = walk(vae, data, codes, rows, trainer.strategy.root_device, self.seed)
        missed = unexplained_variance(vae, data, data.rows("test", self.rows), trainer.strategy.root_device)
        found = {"unexplained_variance": missed, **numbers(scores), **numbers(walked), **self.untrained}
        test_terms = {key.removeprefix("test/"): value for key, value in terms.items()}
        matrices = matrices_for_json(scores)
        system: System = trainer.lightning_module  # type: ignore[assignment]
        settings = {
            **scores["settings"],
            "traversal": walked.get("settings"),
            "method": system.objective.title,
            "supervision": system.supervision(data),
            "left_out": list(vae.left_out),
        }
        report = {"step": trainer.global_step, **for_json({**test_terms, **found}), **matrices, "settings": settings}
        factors = np.empty((len(rows), 0), np.int64) if data.space is None else data.positions(rows).numpy()
        arrays = {"codes": codes.double().numpy(), "factors": factors, "rows": rows.numpy()}
        names = np.array(data.factor_names, dtype=str)
        with written_whole(self.folder.codes) as place, place.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, factor_names=names, **arrays)
        for name, matrix in matrices.items():
            figure = plots.matrix(np.array(matrix, dtype=np.float64), scores["settings"]["factors"], name, vae.left_out)
            log_image(trainer, name, plots.save(figure, self.folder.figures / f"{name}.png"))
        if parts := by_factor(scores):
            log_table(trainer, "scores_by_factor", list(parts[0]), [list(part.values()) for part in parts])
        write_atomically(self.folder.scores, json.dumps(report, indent=2))
        return found

    def _codes(self, trainer: pl.Trainer, limit: int) -> tuple[Codes, Rows]:
        vae, data = model_and_data(trainer)
        rows = data.evaluation_rows(limit)
        return encode(vae, data, rows, trainer.strategy.root_device).codes, rows

    def _score(
        self, trainer: pl.Trainer, codes: Codes, rows: Rows, metrics: Sequence[str], chance: bool = True
    ) -> dict[str, Any]:
        _, data = model_and_data(trainer)
        scores = evaluate(
            codes,
            None if data.space is None else data.positions(rows),
            metrics=metrics,
            preset=self.preset,
            seed=self.seed,
            factor_names=data.factor_names,
            chance=chance,
            dci_backend=self.dci_backend,
            extra=self.extra,
        )
        return {**scores, "active_units": active_units(codes)}


@torch.no_grad()
def walk(vae: Model, data: DataModule, codes: Codes, rows: Rows, device: torch.device, seed: int) -> dict[str, Any]:
    """Traversal scores of a decoder, its latents under ``<score>/<latent>``."""
    # Rendered again batch by batch: all images at once may not fit.
    images = (data.images(part.to(device)) for part in torch.split(rows, BATCH))
    values = torch.stack([vae.walk(codes.double(), latent, STEPS) for latent in range(codes.shape[1])])
    scores = traversal(vae.decode, codes.to(device), images, data.positions(rows), seed, values)
    parts = {
        f"{key.removesuffix('_per_latent')}/{latent}": value
        for key, values in scores.items()
        if key.endswith("_per_latent")
        for latent, value in enumerate(values.tolist())
    }
    return {**scores, **parts}


@torch.no_grad()
def unexplained_variance(vae: Model, data: DataModule, rows: Rows, device: torch.device) -> float:
    """Squared error of the reconstructions, as a share of that of the rows' mean image.

    0 is perfect, 1 no better than the mean image; nan where all images are the same.
    """
    total = torch.zeros(data.shape, dtype=torch.float64, device=device)
    square = error = torch.zeros((), dtype=torch.float64, device=device)
    for part in torch.split(rows, BATCH):
        image = data.images(part.to(device))
        total += image.sum(dim=0, dtype=torch.float64)
        square = square + image.double().square().sum()
        error = error + (vae(image) - image).double().square().sum()
    variance = float(square - total.square().sum() / len(rows))
    return float(error) / variance if variance > 0 else float("nan")


def check_rows(data: DataModule, key: str, count: int) -> None:
    """Raise ValueError for so few rows that a factor of several values has one among them."""
    if data.space is None:
        return
    positions = data.positions(data.evaluation_rows(count)).cpu()
    for name, column in zip(data.factor_names, positions.T, strict=True):
        known = column[column.isfinite()]
        if len(column) < data.num_rows and len(known) and (known == known[0]).all():
            raise ValueError(
                f"metrics.{key}={count}: {name} has one value in so few rows; expected more rows to score it"
            )


def by_factor(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for every factor: its part of each score that has one."""
    factors = scores["settings"]["factors"]
    keys = [key for key in scores if "/" not in key and any(f"{key}/{factor}" in scores for factor in factors[:1])]
    return [{"factor": factor, **{key: scores.get(f"{key}/{factor}") for key in keys}} for factor in factors]


def active_units(codes: Codes) -> float:
    """How many codes vary by more than 0.01 over the data (Burda et al. 2016)."""
    return float((codes.var(dim=0, correction=0) > ACTIVE_VARIANCE).sum())
