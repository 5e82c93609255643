"""The LightningModule: step, log, optimiser."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from disentone.data import DataModule
from disentone.draws import Draw
from disentone.models import Model, WhitenedMLP
from disentone.objectives import Objective, Terms
from disentone.shapes import Batch, Scalar

# Rows whose images are made at once.
BATCH = 512
# A number of batches that no training reaches.
NEVER = sys.maxsize
VALIDATION, TEST = -1, -2
"""The numbers of the draws outside of training: the same every time, so that a curve is smoother."""


class System(pl.LightningModule):
    """A model trained by an objective.

    Args:
        model: the network and its likelihood.
        objective: its loss.
        optimizer: called with the parameters.
        seed: of all random draws of training, validation and test.

    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        optimizer: Callable[[Iterable[nn.Parameter] | Iterable[Mapping[str, Any]]], torch.optim.Optimizer],
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.model, self.objective, self.optimizer, self.seed = model, objective, optimizer, seed

    def supervision(self, data: DataModule) -> str:
        """What the method is told beside the images."""
        return self.objective.supervision(data)

    def check(self, data: DataModule) -> None:
        """Raise ValueError where objective, model and data do not belong together."""
        self.objective.check(self.model)
        if self.objective.labels and data.space is None:
            raise ValueError(
                f"the {self.objective.title} objective learns from labels, and the source knows none; take another"
            )
        if self.objective.learns_from_pairs and data.views is None:
            raise ValueError(
                f"the {self.objective.title} objective learns from pairs, and the data has none; take "
                f"views={self.objective.usual_views}, or its method, which sets all that belongs together"
            )
        if data.views is not None and not self.objective.learns_from_pairs:
            raise ValueError(
                f"views pair every row with another one, which the {self.objective.title} objective has no use for; "
                "leave views out, or take a method that learns from pairs"
            )

    def setup(self, stage: str) -> None:
        """Whiten by training images, before anything is trained or scored; a checkpoint then overwrites it."""
        if stage == "fit" and isinstance(self.model.encoder, WhitenedMLP):
            rows = self._data.rows("train", self.model.encoder.images)
            device = self.trainer.strategy.root_device
            parts = [self._data.images(part.to(device)).cpu() for part in torch.split(rows, BATCH)]
            self.model.encoder.whiten(torch.cat(parts))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Let the objective act at its milestones, and set the learning rate of this step."""
        (optimizer,) = self.trainer.optimizers
        if not _is_amid_step(self.trainer):
            self.reach(self.global_step, optimizer, self._data)
        self.set_rate(self.global_step, optimizer)

    def reach(self, step: int, optimizer: torch.optim.Optimizer, data: DataModule) -> None:
        """Let the objective act before a step that is one of its milestones."""
        if step in self.objective.milestones:
            self.objective.reach(step, self.model, data, self.device)
            # The moments are of another loss, along other axes.
            optimizer.state.clear()

    def set_rate(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate of a step, where the objective has one of its own."""
        if (rate := self.objective.rate(step)) is not None:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * rate

    def forward(self, batch: Batch, step: int, logged: bool) -> dict[str, Scalar]:
        """The terms of a batch as they are logged, or the loss alone: the others would only cost time.

        Of the batch's labels the objective sees only what it declares.
        """
        seen = batch if self.objective.labels else batch._replace(labels=None)
        terms = self.objective(self.model, seen, step)
        return dict(scalars(self.model, terms)) if logged else {"loss": terms["loss"]}

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """See that validations are counted in steps."""
        validate_after_steps(self.trainer)

    def training_step(self, batch: Batch, batch_idx: int) -> Scalar:
        """The loss of one batch; its scalar terms are logged as ``train/<term>``.

        Draws are those of the step: no row comes twice in one, so that a step in several batches is the same step.
        Where several processes share a batch each process's loss is weighted by its rows, so that the mean over the
        processes is the mean over the batch.
        """
        return self._step("train", batch, self.global_step)

    def validation_step(self, batch: Batch, batch_idx: int) -> Scalar:
        """Logs every term as ``validation/<term>``, the KL of each latent too."""
        return self._step("validation", batch, VALIDATION)

    def test_step(self, batch: Batch, batch_idx: int) -> Scalar:
        """Logs every term as ``test/<term>``, the KL of each latent too."""
        return self._step("test", batch, TEST)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Forget how long earlier sessions took, ``trainer.max_time`` is of one session; an early stop is for good."""
        states = checkpoint.get("callbacks", {})
        for key in [key for key in states if key.startswith("Timer")]:
            del states[key]
        if any(isinstance(state, dict) and state.get("stopping_reason_message") for state in states.values()):
            # Only what comes after the training was lost.
            self.trainer.fit_loop.epoch_loop.max_steps = checkpoint["global_step"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimiser for all parameters; each group's own rate stays with it as ``initial_lr``."""
        optimizer = self.optimizer(self.objective.parameter_groups(self.model))
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] = group["lr"] * group.get("lr_scale", 1.0)
        return optimizer

    @property
    def _data(self) -> DataModule:
        data: DataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        return data

    def _step(self, stage: str, batch: Batch, number: int) -> Scalar:
        is_logged = stage != "train" or is_logged_step(self.trainer)
        terms = self(batch._replace(draw=Draw(self.seed, number, batch.rows)), self.global_step, is_logged)
        if batch.part is not None:
            weight = batch.part.rows * self.trainer.world_size / batch.part.total
            terms = {name: weight * term for name, term in terms.items()}
        if is_logged:
            self.log_dict(
                # On the device, where processes meet; without waiting for it.
                {f"{stage}/{name}": term.to(self.device, non_blocking=True) for name, term in terms.items()},
                # It weighs the mean over an epoch: the last batch may be smaller.
                batch_size=len(batch.image) if batch.part is None else batch.part.total,
                on_step=stage == "train",
                on_epoch=stage != "train",
                sync_dist=True,
            )
        return terms["loss"]


def is_logged_step(trainer: pl.Trainer) -> bool:
    """Whether the terms of the step that a trainer is about to make are logged."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return every > 0 and (trainer.global_step + 1) % every == 0


def validate_after_steps(trainer: pl.Trainer) -> None:
    """Let a validation follow every ``val_check_interval`` steps, where several batches make one: called as one ends.

    Lightning counts batches. An interval that is a share of a pass or a time stays as it is.
    """
    every = trainer.val_check_interval
    if trainer.accumulate_grad_batches == 1 or not isinstance(every, int):
        return
    step = trainer.global_step
    if trainer.check_val_every_n_epoch is not None:
        step = -(-_batches_of_pass(trainer) // trainer.accumulate_grad_batches)
    trainer.val_check_batch = NEVER if _is_amid_step(trainer) or step % every else 1


def _is_amid_step(trainer: pl.Trainer) -> bool:
    """Whether the last batch left its step unfinished. The batches of a step are those of one pass."""
    done = _batches_of_pass(trainer)
    return done % trainer.accumulate_grad_batches > 0 and done < trainer.num_training_batches


def _batches_of_pass(trainer: pl.Trainer) -> int:
    """How many batches of the present pass were trained on."""
    return trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]


def scalars(model: Model, terms: Terms) -> Iterator[tuple[str, Scalar]]:
    """An objective's terms as they are logged: one number a name, the likelihood's width among them."""
    for name, term in terms.items():
        if term.ndim == 0:
            yield name, term
        else:
            yield from ((f"{name}/{i}", entry) for i, entry in enumerate(term))
    if model.likelihood.scale is not None:
        yield "likelihood_scale", model.likelihood.scale.detach()
