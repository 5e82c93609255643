"""Codes regressed onto the factors: the ceiling that other methods stand under."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from disentone.data import DataModule
from disentone.models import Model, PointLatent
from disentone.objectives.objective import Objective, Terms
from disentone.shapes import Batch, Codes, Positions, Scalar


class Supervised(Objective):
    """loss = label_error + reconstruction; fit = -reconstruction.

    The first latents are regressed onto the factors, one each in their order, and those after them onto 0:
    ``label_error`` is the squared error between codes and the factors' positions, which are brought to mean 0 and
    deviation 1 over the training rows. A label that is unknown (nan) pulls nothing. The decoder reads the codes out,
    without gradient to the encoder, so that the codes tell of the factors alone, and neither term needs a weight.

    Args:
        rows: the most training rows that mean and deviation are taken from.

    Raises:
        ValueError: for fewer than 2 rows; before the first step, for more factors than latents.

    """

    title = "supervised"
    kind = PointLatent
    labels = True
    milestones = (0,)
    centre: Float[Tensor, "latent"]
    scale: Float[Tensor, "latent"]

    def __init__(self, rows: int = 50_000) -> None:
        if rows < 2:
            raise ValueError(f"objective.rows must be at least 2, got {rows}")
        super().__init__()
        self.rows = rows

    def build(self, latents: int, rows: int) -> None:
        """Make place for the factors' means and deviations, at most one factor a latent."""
        self.register_buffer("centre", torch.zeros(latents))
        self.register_buffer("scale", torch.ones(latents))

    @torch.no_grad()
    def reach(self, step: int, model: Model, data: DataModule, device: torch.device) -> None:
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

    def forward(self, model: Model, batch: Batch, step: int) -> Terms:
        """Terms: loss, fit, reconstruction (-log p(x|z)), label_error."""
        assert batch.labels is not None
        codes = model.encode(batch.image).codes
        error = self.label_error(codes, batch.labels)
        reconstruction = model.likelihood.nll(model.decoder(codes.detach()), batch.image).mean()
        terms = {"fit": -reconstruction, "reconstruction": reconstruction, "label_error": error}
        return {"loss": error + reconstruction, **{name: term.detach() for name, term in terms.items()}}

    def label_error(self, codes: Codes, labels: Positions) -> Scalar:
        """Squared error of the codes, summed over the latents, mean over the batch."""
        count = labels.shape[1]
        targets = F.pad((labels.float() - self.centre[:count]) / self.scale[:count], (0, codes.shape[1] - count))
        errors = torch.where(targets.isnan(), 0.0, codes - targets)
        return errors.square().sum(dim=1).mean()
