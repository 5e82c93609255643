"""Codes that take a few values each: finite scalar quantisation (FSQ, Mentzer et al. 2023)."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from disentone.metrics.traversal import HIGH, LOW
from disentone.models.latent import QuantisedLatent
from disentone.models.likelihoods import Likelihood
from disentone.models.model import Model
from disentone.shapes import Codes, Image

MARGIN = 1e-3
"""The share by which the outermost levels are inside of what the encoder can reach."""


class QuantisedAutoencoder(Model):
    """Each latent is bounded and rounded to one of its levels; the gradient passes as if it had not been rounded.

    After Mentzer et al. 2023, "Finite scalar quantization: VQ-VAE made simple". There is nothing to learn in the book,
    no loss that belongs to it and no KL.

    Args:
        shape: of one image, its channel first.
        latents: how many numbers a code has.
        encoder: called with (shape, latents), answers a module from image to features.
        decoder: called with (latents, shape), answers a module from codes to the likelihood's output.
        likelihood: p(x|z) given that output.
        levels: values that a latent may take, one number for all or one each; lying evenly in [-1, 1].
        channels_last: keep two-dimensional convolutions with the channel last in memory: the same network but for
            rounding, and a little faster on a CPU.

    Raises:
        ValueError: for fewer than one latent or more than 4096, a likelihood that the images cannot have, fewer than 2
            levels, or as many numbers of levels as there are not latents.

    """

    kind = QuantisedLatent
    levels: Float[Tensor, "latent"]

    def __init__(
        self,
        shape: Sequence[int],
        latents: int,
        encoder: Callable[[Sequence[int], int], nn.Module],
        decoder: Callable[[int, Sequence[int]], nn.Module],
        likelihood: Likelihood,
        levels: int | Sequence[int] = 15,
        channels_last: bool = False,
    ) -> None:
        super().__init__(shape, latents, encoder, latents, decoder, likelihood, channels_last)
        counts = [levels] * latents if isinstance(levels, int) else list(levels)
        if len(counts) != latents or min(counts) < 2:
            raise ValueError(
                f"model.levels must be 2 or more, one number or one for each of the {latents} latents, got {levels}"
            )
        self.register_buffer("levels", torch.tensor(counts, dtype=torch.float32), persistent=False)

    def encode(self, image: Image) -> QuantisedLatent:
        """The code of each image."""
        # In float32 also where the network runs in less: half a level decides.
        features = self.encoder(image).float()
        half = (self.levels - 1) * (1 + MARGIN) / 2
        # An even number of levels has one more below 0 than above.
        offset = 0.5 * (self.levels % 2 == 0)
        bounded = torch.tanh(features + torch.atanh(offset / half)) * half - offset
        rounded = bounded + (bounded.round() - bounded).detach()
        return QuantisedLatent(rounded / self._steps, bounded / self._steps)

    def book(self, latent: int) -> Float[Tensor, "level"]:
        """The values that a latent may take, ascending."""
        count = int(self.levels[latent])
        return (torch.arange(count, device=self.levels.device) - count // 2) / self._steps[latent]

    def walk(self, codes: Codes, latent: int, steps: int) -> Float[Tensor, "step"]:
        """Levels of a latent, evenly from those that the codes have; repeated where these are fewer than the steps."""
        ends = torch.tensor([LOW, HIGH], dtype=codes.dtype, device=codes.device)
        low, high = torch.quantile(codes[:, latent], ends, interpolation="nearest")
        book = self.book(latent).to(codes)
        reached = book[(book >= low) & (book <= high)]
        return reached[torch.linspace(0, len(reached) - 1, steps).round().long()]

    @property
    def _steps(self) -> Float[Tensor, "latent"]:
        """Steps of one from 0 to the outermost level."""
        return self.levels.div(2, rounding_mode="floor")
