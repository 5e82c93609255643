"""A VAE that is told the factors' values: the ceiling that other methods stand under."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from disentone.data import DataModule
from disentone.models import VAE, GaussianLatent
from disentone.objectives.objective import Objective, Terms, evidence
from disentone.shapes import Batch, Codes, Positions, Scalar


class Supervised(Objective):
    """loss = reconstruction + kl + weight * label_error; fit = -loss.

    The first latents are pulled to the factors, one each in their order: ``label_error`` is the squared error between
    their posteriors' means and the factors' positions, which are brought to mean 0 and deviation 1 over the training
    rows. The latents after them tell what no factor does. After Locatello et al. 2020, "Disentangling factors of
    variation using few labels", with all labels. A label that is unknown (nan) pulls nothing.

    Args:
        weight: of the error: that of a Gaussian whose deviation is sqrt(1 / (2 * weight)).
        rows: the most training rows that mean and deviation are taken from.

    Raises:
        ValueError: for a weight that is negative or not finite, or fewer than 2 rows; before the first step, for more
            factors than latents.

    """

    title = "supervised"
    kind = GaussianLatent
    labels = True
    milestones = (0,)
    weight: Float[Tensor, ""]
    centre: Float[Tensor, "latent"]
    scale: Float[Tensor, "latent"]

    def __init__(self, weight: float, rows: int = 50_000) -> None:
        if not 0 <= weight < math.inf:
            raise ValueError(f"objective.weight must be a number of 0 or more, got {weight}")
        if rows < 2:
            raise ValueError(f"objective.rows must be at least 2, got {rows}")
        super().__init__()
        self.register_buffer("weight", torch.tensor(float(weight)), persistent=False)
        self.rows = rows

    def build(self, latents: int, rows: int) -> None:
        """Make place for the factors' means and deviations, at most one factor a latent."""
        self.register_buffer("centre", torch.zeros(latents))
        self.register_buffer("scale", torch.ones(latents))

    @torch.no_grad()
    def reach(self, step: int, model: VAE, data: DataModule, device: torch.device) -> None:
        """Take means and deviations from the training rows."""
        labels = data.positions(data.rows("train", self.rows)).double()
        count = labels.shape[1]
        if count > len(self.centre):
            raise ValueError(
                f"the {self.title} objective gives each factor a latent, and {count} factors have {len(self.centre)}; "
                f"expected model.latents={count} or more"
            )
        centre = labels.nanmean(dim=0)
        scale = (labels - centre).square().nanmean(dim=0).sqrt()
        self.centre[:count] = centre.nan_to_num().to(self.centre)
        # A factor of one value has nothing to tell.
        self.scale[:count] = torch.where(scale > 0, scale, 1.0).to(self.scale)

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        """Terms: loss, fit, reconstruction, kl, kl_per_latent, elbo, label_error, weight."""
        assert batch.draw is not None
        assert batch.labels is not None
        latent = vae.encode(batch.image)
        found = evidence(vae, latent, latent.sample(batch.draw), batch.image)
        error = self.label_error(latent.codes, batch.labels)
        loss = found.reconstruction + found.kl + self.weight * error
        terms = {"label_error": error.detach(), "weight": self.weight}
        return {"loss": loss, **found.terms, "fit": -loss.detach(), **terms}

    def label_error(self, codes: Codes, labels: Positions) -> Scalar:
        """Squared error of the first codes, summed over the factors, mean over the batch."""
        count = labels.shape[1]
        targets = (labels.float() - self.centre[:count]) / self.scale[:count]
        errors = torch.where(targets.isnan(), 0.0, codes[:, :count] - targets)
        return errors.square().sum(dim=1).mean()
