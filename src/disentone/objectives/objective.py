"""What every objective promises, and the divergence that they share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from disentone.data import FactorData
from disentone.models import Model
from disentone.shapes import Batch, Codes, Posterior

Terms = dict[str, Float[Tensor, "*latent"]]


class Objective(nn.Module, ABC):
    """Training losses as named terms, in nats per example (summed over pixels and latents, mean over the batch).

    Terms are scalars, or vectors over the latents; the gradient flows from ``loss``. ``fit`` is there too, higher is
    better: the best checkpoint is kept by it. Names are those of the log.
    """

    title: ClassVar[str]
    """What tables and pages call the method; the class's name unless it says otherwise."""
    learns_from_pairs: ClassVar[bool] = False
    """Whether a batch must show each row's partner."""
    couples_rows: ClassVar[bool] = False
    """Whether the loss compares the rows of a batch, so that a part of the batch has another loss than the whole."""
    labels: ClassVar[bool] = False
    """Whether it may see the factors' values: a run then says that its supervision is labels."""
    milestones: tuple[int, ...] = ()
    """The optimiser steps before which :meth:`reach` is called."""

    @abstractmethod
    def forward(self, model: Any, batch: Batch, step: int) -> Terms:
        """The terms of one batch at one optimiser step."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "title" not in vars(cls):
            cls.title = cls.__name__

    def check(self, model: Model) -> None:
        """Raise ValueError for a model that this objective cannot train; by default it trains every one."""

    def parameter_groups(self, model: Model) -> Iterable[nn.Parameter] | Iterable[Mapping[str, Any]]:
        """What the optimiser trains: parameters, or groups of them whose ``lr_scale`` multiplies its learning rate."""
        return [*model.parameters(), *self.parameters()]

    def rate(self, step: int) -> float | None:
        """The share of the learning rate that applies at a step; None leaves it as it is."""
        return None

    def reach(self, step: int, model: Any, data: FactorData, device: torch.device) -> None:
        """Look at the training rows before the step of a milestone, and change the model by what they show."""


def kl_per_latent(posterior: Posterior) -> Codes:
    """KL(q(z_j|x) || N(0, 1)) of every example and latent: (mu^2 + sigma^2 - log sigma^2 - 1) / 2."""
    assert posterior.logvar is not None, "points have no divergence"
    return 0.5 * (posterior.mean.square() + posterior.logvar.exp() - posterior.logvar - 1)
