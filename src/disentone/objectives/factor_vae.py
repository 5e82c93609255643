"""FactorVAE (Kim & Mnih 2018): latents that a critic cannot tell from independent ones."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from disentone.draws import Draw
from disentone.models import VAE, GaussianLatent, Model
from disentone.objectives.objective import Objective, Terms, evidence
from disentone.shapes import Batch, Codes, PerExample, Scalar


class FactorVAE(Objective):
    """loss = reconstruction + kl + gamma * total_correlation + critic; fit = elbo.

    After Kim & Mnih 2018, "Disentangling by factorising". The critic learns to tell codes of one half of the batch from
    codes of the other half, each of whose latents is permuted among its rows. Its logit estimates the logarithm of
    q(z) over the product of all q(z_j), whose mean is the total correlation. It is trained by the same optimiser, on
    codes without gradient, and what it says of codes does not train it.

    Args:
        gamma: weight of the total correlation.
        hidden: units of the critic's hidden layers; the paper has six of 1000.
        critic_rate: the critic's learning rate, as a multiple of the network's.

    Raises:
        ValueError: for a gamma that is negative or not finite, a rate that is not above 0, or layers of no units.

    """

    title = "FactorVAE"
    kind = GaussianLatent
    couples_rows = True
    gamma: Float[Tensor, ""]
    critic: nn.Sequential

    def __init__(self, gamma: float, hidden: Sequence[int] = (256, 256, 256), critic_rate: float = 1.0) -> None:
        if not 0 <= gamma < math.inf:
            raise ValueError(f"objective.gamma must be a number of 0 or more, got {gamma}")
        if not 0 < critic_rate < math.inf:
            raise ValueError(f"objective.critic_rate must be a number above 0, got {critic_rate}")
        if not hidden or min(hidden) < 1:
            raise ValueError(f"objective.hidden must name at least one layer of 1 or more units, got {list(hidden)}")
        super().__init__()
        self.register_buffer("gamma", torch.tensor(float(gamma)), persistent=False)
        self.hidden, self.critic_rate = tuple(hidden), critic_rate

    def build(self, latents: int, rows: int) -> None:
        """Make the critic."""
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((latents, *self.hidden)):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
        self.critic = nn.Sequential(*layers, nn.Linear(self.hidden[-1], 1), nn.Flatten(0))

    def parameter_groups(self, model: Model) -> Iterable[Mapping[str, Any]]:
        """The network, and the critic at a rate of its own."""
        return [
            {"params": list(model.parameters()), "lr_scale": 1.0},
            {"params": list(self.critic.parameters()), "lr_scale": self.critic_rate},
        ]

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        """Terms: loss, fit, reconstruction, kl, kl_per_latent, elbo, total_correlation, critic, gamma."""
        assert batch.draw is not None
        latent = vae.encode(batch.image)
        codes = latent.sample(batch.draw)
        found = evidence(vae, latent, codes, batch.image)
        correlation, critic = self.density_ratio(codes).mean(), self.critic_loss(codes.detach(), batch.draw)
        return {
            "loss": found.reconstruction + found.kl + self.gamma * correlation + critic,
            **found.terms,
            "total_correlation": correlation.detach(),
            "critic": critic.detach(),
            "gamma": self.gamma,
        }

    def density_ratio(self, codes: Codes) -> PerExample:
        """The critic's estimate of log q(z) - sum_j log q(z_j), which trains whoever made the codes alone."""
        weights = {name: weight.detach() for name, weight in self.critic.named_parameters()}
        found: PerExample = functional_call(self.critic, weights, (codes,))
        return found

    def critic_loss(self, codes: Codes, draw: Draw) -> Scalar:
        """Cross entropy, in nats, of telling one half of the codes from the other half's permuted ones."""
        # The middle row of an odd batch is in both, so that a batch of one has halves, too.
        count = len(codes)
        joint, other = codes[: (count + 1) // 2], codes[count // 2 :]
        independent = permuted(other, draw._replace(rows=draw.rows[count // 2 :]))
        return (F.softplus(-self.critic(joint)).mean() + F.softplus(self.critic(independent)).mean()) / 2


def permuted(codes: Codes, draw: Draw) -> Codes:
    """Codes whose latents are each permuted over the rows, as if they were independent of one another."""
    orders = [draw.permutation(f"critic's latent {latent}") for latent in range(codes.shape[1])]
    return codes.gather(0, torch.stack(orders, dim=1))
