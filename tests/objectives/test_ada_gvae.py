"""Ada-GVAE against its literal version: which latents are shared, what is averaged, what the loss is of."""

import numpy as np
import pytest
import torch
from tests.models.test_vae import make_vae

from disentone.draws import Draw
from disentone.models import GaussianLatent
from disentone.objectives import AdaGVAE, BetaVAE, Constant
from disentone.objectives.ada_gvae import averaged, shared_latents
from disentone.shapes import Batch

SHAPE = (1, 8, 8)


def make_batch(count: int = 6) -> Batch:
    images = torch.rand(2, count, *SHAPE, generator=torch.Generator().manual_seed(0))
    rows = torch.arange(count)
    return Batch(images[0], rows, Draw(0, 0, rows), partner=images[1])


def literal(one: GaussianLatent, other: GaussianLatent) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which latents are shared, and the mean and the variance of the first image's posterior."""
    m1, m2, v1, v2 = (part.numpy() for part in (one.mean, other.mean, one.logvar.exp(), other.logvar.exp()))
    shared, mean, variance = np.zeros(m1.shape, dtype=bool), m1.copy(), v1.copy()
    for row in range(len(m1)):
        d = [
            0.5 * (v1[row, j] / v2[row, j] + (m2[row, j] - m1[row, j]) ** 2 / v2[row, j] - 1 - np.log(v1 / v2)[row, j])
            for j in range(m1.shape[1])
        ]
        for j, divergence in enumerate(d):
            if divergence < 0.5 * (min(d) + max(d)):
                shared[row, j] = True
                mean[row, j] = (m1[row, j] + m2[row, j]) / 2
                variance[row, j] = (v1[row, j] + v2[row, j]) / 2
    return shared, mean, variance


def test_shared_latents_and_their_averages_are_the_literal_ones() -> None:
    one, other = (GaussianLatent(torch.randn(50, 5), torch.randn(50, 5)) for _ in range(2))
    shared, mean, variance = literal(one, other)
    found = shared_latents(one, other)
    assert (found.numpy() == shared).all()
    assert 0 < shared.mean() < 1
    latent = averaged(one, other, found)
    np.testing.assert_allclose(latent.mean, mean, atol=1e-6)
    np.testing.assert_allclose(latent.logvar.exp(), variance, rtol=1e-5)


def test_the_loss_is_the_beta_vaes_of_both_images_with_averaged_posteriors() -> None:
    vae, batch = make_vae(SHAPE), make_batch()
    one, other = vae.encode(batch.image), vae.encode(batch.partner)
    shared = shared_latents(one, other)
    total = 0.0
    for view, (own, partner, image) in enumerate([(one, other, batch.image), (other, one, batch.partner)]):
        latent = averaged(own, partner, shared)
        noise = batch.draw.of_view(view).normal("latents", 3)
        output = vae.decoder(latent.mean + (0.5 * latent.logvar).exp() * noise)
        total += vae.likelihood.nll(output, image).mean() + 4 * latent.nats.sum(dim=1).mean()
    terms = AdaGVAE(4.0, Constant())(vae, batch, 0)
    torch.testing.assert_close(terms["loss"], total / 2)
    assert terms["shared_latents"].item() == pytest.approx(shared.float().sum(dim=1).mean().item())
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]


def test_of_an_image_and_itself_nothing_is_averaged_and_the_elbo_is_the_vaes() -> None:
    vae, batch = make_vae(SHAPE), make_batch()
    same = batch._replace(partner=batch.image)
    terms, plain = AdaGVAE(1.0, Constant())(vae, same, 0), BetaVAE(1.0, Constant())(vae, batch, 0)
    assert terms["shared_latents"] == 0
    torch.testing.assert_close(terms["kl_per_latent"], plain["kl_per_latent"])


def test_both_images_and_the_whole_network_are_trained() -> None:
    vae, batch = make_vae(SHAPE), make_batch()
    images = [batch.image.requires_grad_(), batch.partner.requires_grad_()]
    AdaGVAE(1.0, Constant())(vae, batch, 0)["loss"].backward()
    assert all(image.grad.abs().sum() > 0 for image in images)
    assert all(weight.grad.abs().sum() > 0 for weight in vae.parameters())
