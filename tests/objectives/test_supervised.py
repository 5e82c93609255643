"""Labels pull the first latents, standardised as the training rows say; what is unknown pulls nothing."""

import math

import numpy as np
import pytest
import torch
from tests.models.test_vae import make_vae

from disentone.data import DataModule
from disentone.draws import Draw
from disentone.objectives import BetaVAE, Constant, Supervised
from disentone.shapes import Batch

SHAPE, CPU = (1, 8, 8), torch.device("cpu")


def make_objective(weight: float = 7.0, latents: int = 3) -> Supervised:
    objective = Supervised(weight)
    objective.build(latents, 1_000)
    objective.centre[:2], objective.scale[:2] = torch.tensor([2.0, 5.0]), torch.tensor([0.5, 4.0])
    return objective


def make_batch(labels: torch.Tensor) -> Batch:
    rows = torch.arange(len(labels))
    image = torch.rand(len(labels), *SHAPE, generator=torch.Generator().manual_seed(0))
    return Batch(image, rows, Draw(0, 0, rows), labels=labels)


def test_the_terms_are_the_literal_ones() -> None:
    vae, objective, batch = make_vae(SHAPE), make_objective(), make_batch(torch.randint(0, 9, (6, 2)))
    terms = objective(vae, batch, 0)
    targets = (batch.labels.numpy() - [2.0, 5.0]) / [0.5, 4.0]
    error = ((vae.encode(batch.image).mean.detach().numpy()[:, :2] - targets) ** 2).sum(axis=1).mean()
    elbo = BetaVAE(1.0, Constant())(vae, batch, 0)["elbo"].item()
    assert terms["label_error"].item() == pytest.approx(error, rel=1e-5)
    assert terms["elbo"].item() == pytest.approx(elbo)
    assert terms["loss"].item() == pytest.approx(7 * error - elbo, rel=1e-5)
    assert terms["fit"].item() == pytest.approx(-terms["loss"].item())
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]


def test_an_unknown_label_pulls_nothing() -> None:
    objective, labels = make_objective(), torch.tensor([[1.0, math.nan], [math.nan, math.nan]])
    codes = torch.randn(2, 3, requires_grad=True)
    error = objective.label_error(codes, labels)
    error.backward()
    assert error.item() == pytest.approx((codes[0, 0].item() + 2) ** 2 / 2)
    assert (codes.grad != 0).tolist() == [[True, False, False], [False, False, False]]


def test_labels_are_standardised_over_the_training_rows(small_data: DataModule) -> None:
    objective = Supervised(1.0)
    objective.build(3, 30)
    objective.reach(0, make_vae(small_data.shape), small_data, CPU)
    labels = small_data.positions(small_data.rows("train")).numpy()
    np.testing.assert_allclose(objective.centre, [*labels.mean(axis=0), 0], rtol=1e-5)
    np.testing.assert_allclose(objective.scale, [*labels.std(axis=0), 1], rtol=1e-5)
    other = Supervised(1.0)
    other.build(3, 30)
    other.load_state_dict(objective.state_dict())
    assert torch.equal(other.scale, objective.scale)


def test_what_cannot_be_says_so(small_data: DataModule) -> None:
    with pytest.raises(ValueError, match=r"objective.weight must be a number of 0 or more, got -1"):
        Supervised(-1.0)
    with pytest.raises(ValueError, match=r"objective.rows must be at least 2, got 1"):
        Supervised(1.0, rows=1)
    objective = Supervised(1.0)
    objective.build(1, 30)
    with pytest.raises(ValueError, match=r"each factor a latent, and 2 factors have 1; expected model.latents=2 or"):
        objective.reach(0, make_vae(small_data.shape, 1), small_data, CPU)
