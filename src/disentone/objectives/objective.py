"""What every objective promises, and the evidence lower bound that those of Gaussian latents share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from disentone.data import DataModule
from disentone.models import GaussianLatent, Latent, Model
from disentone.shapes import Batch, Codes, Image, Scalar

Terms = dict[str, Float[Tensor, "*latent"]]


class Objective(nn.Module, ABC):
    """Training losses as named terms, in nats per example (summed over pixels and latents, mean over the batch).

    Terms are scalars, or vectors over the latents; the gradient flows from ``loss``. ``fit`` is there too, higher is
    better: the best checkpoint is kept by it. Names are those of the log.
    """

    title: ClassVar[str]
    """What tables and pages call the method; the class's name unless it says otherwise."""
    kind: ClassVar[type[Latent]] = Latent  # type: ignore[type-abstract]
    """The kind of latents that it trains; by default every one, of which it sees the codes alone."""
    learns_from_pairs: ClassVar[bool] = False
    """Whether a batch must show each row's partner."""
    usual_views: ClassVar[str] = ""
    """The views that its method takes, where it learns from pairs."""
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

    @classmethod
    def supervision(cls, data: DataModule) -> str:
        """What the method is told beside the images."""
        return "labels" if cls.labels else data.supervision

    def check(self, model: Model) -> None:
        """Raise ValueError for a model that this objective cannot train: one of another kind of latents."""
        if not issubclass(model.kind, self.kind):
            raise ValueError(
                f"the {self.title} objective needs {self.kind.described}, and {type(model).__name__} has "
                f"{model.kind.described}; take {self.kind.example}, or its method, which sets all that belongs together"
            )

    def build(self, latents: int, rows: int) -> None:
        """Make what depends on sizes, before the optimiser and any checkpoint: the latents and the training rows."""

    def parameter_groups(self, model: Model) -> Iterable[nn.Parameter] | Iterable[Mapping[str, Any]]:
        """What the optimiser trains: parameters, or groups of them whose ``lr_scale`` multiplies its learning rate."""
        return [*model.parameters(), *self.parameters()]

    def rate(self, step: int) -> float | None:
        """The share of the learning rate that applies at a step; None leaves it as it is."""
        return None

    def reach(self, step: int, model: Any, data: DataModule, device: torch.device) -> None:
        """Look at the training rows before the step of a milestone, and change the model by what they show."""


class Evidence(NamedTuple):
    """The two parts of the evidence lower bound, in nats per example, mean over the batch, with their gradients."""

    reconstruction: Scalar
    """-log p(x|z)."""
    divergence: Float[Tensor, "latent"]
    """KL(q(z_j|x) || p(z_j)) of each latent."""

    @property
    def kl(self) -> Scalar:
        """Of all latents together."""
        return self.divergence.sum()

    @property
    def terms(self) -> Terms:
        """As they are logged, without gradient: fit, reconstruction, kl, kl_per_latent, elbo."""
        elbo = -(self.reconstruction + self.kl)
        terms = {"fit": elbo, "reconstruction": self.reconstruction, "kl": self.kl, "kl_per_latent": self.divergence}
        return {name: term.detach() for name, term in {**terms, "elbo": elbo}.items()}


def evidence(model: Model, latent: GaussianLatent, codes: Codes, image: Image) -> Evidence:
    """What posteriors, and codes drawn from them, make of the images that they are of."""
    reconstruction = model.likelihood.nll(model.decoder(codes), image).mean()
    return Evidence(reconstruction, latent.nats.mean(dim=0))
