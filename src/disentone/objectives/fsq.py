"""Reconstruction through a book of levels and nothing else (Mentzer et al. 2023)."""

from disentone.models import QuantisedAutoencoder, QuantisedLatent
from disentone.objectives.objective import Objective, Terms
from disentone.shapes import Batch


class FSQ(Objective):
    """loss = reconstruction; fit = -reconstruction.

    After Mentzer et al. 2023, "Finite scalar quantization: VQ-VAE made simple": the levels alone limit what the codes
    can tell, so that there is nothing to weigh.
    """

    title = "FSQ autoencoder"
    kind = QuantisedLatent

    def forward(self, model: QuantisedAutoencoder, batch: Batch, step: int) -> Terms:
        """Terms: loss, fit, reconstruction (-log p(x|z))."""
        codes = model.encode(batch.image).codes
        reconstruction = model.likelihood.nll(model.decoder(codes), batch.image).mean()
        return {"loss": reconstruction, "fit": -reconstruction.detach(), "reconstruction": reconstruction.detach()}
