"""What models make of images: codes, and by kind what belongs to them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import torch

from disentone.draws import Draw
from disentone.shapes import Codes


@dataclass(frozen=True)
class Latent(ABC):
    """What is known of a batch in the latent space; each field is a tensor with a line for every image."""

    described: ClassVar[str]
    """What models of this kind have, as it is said where an objective needs another kind."""
    example: ClassVar[str]
    """Options of the command that choose a model of this kind."""

    @property
    @abstractmethod
    def codes(self) -> Codes:
        """What is scored, walked and decoded."""

    @property
    def nats(self) -> Codes | None:
        """The information that each latent carries of each image, in nats; None where the kind has no measure of it."""
        return None

    def sample(self, draw: Draw) -> Codes:
        """Codes to train a decoder on: one draw for each image, or the codes themselves where nothing is random."""
        return self.codes

    @classmethod
    def joined(cls, parts: Sequence["Latent"]) -> "Latent":
        """The parts one after the other, in float32 on the CPU."""
        return cls(*(torch.cat([getattr(part, field.name).float().cpu() for part in parts]) for field in fields(cls)))


@dataclass(frozen=True)
class GaussianLatent(Latent):
    """A diagonal Gaussian, its prior standard normal: the mean and the logarithm of the variance."""

    mean: Codes
    logvar: Codes

    described = "posteriors"
    example = "model=conv2d"

    @property
    def codes(self) -> Codes:
        """The means."""
        return self.mean

    @property
    def nats(self) -> Codes:
        """KL(q(z_j|x) || N(0, 1)) = (mu^2 + sigma^2 - log sigma^2 - 1) / 2."""
        return 0.5 * (self.mean.square() + self.logvar.exp() - self.logvar - 1)

    def sample(self, draw: Draw) -> Codes:
        """One reparameterised draw from each posterior."""
        return self.mean + torch.exp(0.5 * self.logvar) * draw.normal("latents", self.mean.shape[1])


@dataclass(frozen=True)
class PointLatent(Latent):
    """Points, each the only place where its image may be."""

    points: Codes

    described = "points for codes"
    example = "model=whitened_mlp"

    @property
    def codes(self) -> Codes:
        """The points."""
        return self.points


@dataclass(frozen=True)
class QuantisedLatent(Latent):
    """Codes of a book of levels, and beside them what they were before they were rounded.

    The gradient of ``quantised`` is that of ``continuous``.
    """

    quantised: Codes
    continuous: Codes

    described = "quantised codes"
    example = "method=fsq"

    @property
    def codes(self) -> Codes:
        """The levels."""
        return self.quantised
