"""Codes are regressed onto labels, standardised as the training rows say; what is unknown pulls nothing."""

import math

import numpy as np
import pytest
import torch
from tests.models.test_point import images, make_model

from disentone.data import DataModule
from disentone.objectives import Supervised
from disentone.shapes import Batch

CPU = torch.device("cpu")


def make_objective() -> Supervised:
    objective = Supervised()
    objective.build(5, 1_000)
    objective.centre[:2], objective.scale[:2] = torch.tensor([2.0, 5.0]), torch.tensor([0.5, 4.0])
    return objective


def make_batch() -> Batch:
    return Batch(images(6), torch.arange(6), labels=torch.randint(0, 9, (6, 2)))


def test_the_terms_are_the_literal_ones() -> None:
    model, objective, batch = make_model(), make_objective(), make_batch()
    model.encoder.whiten(images())
    targets = np.concatenate([(batch.labels.numpy() - [2.0, 5.0]) / [0.5, 4.0], np.zeros((6, 3))], axis=1)
    codes = model.encode(batch.image).codes
    error = ((codes.detach().numpy() - targets) ** 2).sum(axis=1).mean()
    nll = model.likelihood.nll(model.decoder(codes), batch.image).mean().item()
    terms = objective(model, batch, 0)
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {"loss": error + nll, "fit": -nll, "reconstruction": nll, "label_error": error}, rel=1e-5
    )
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]


def test_labels_train_the_encoder_and_images_the_decoder_alone() -> None:
    model, objective, batch = make_model(), make_objective(), make_batch()
    model.encoder.whiten(images())
    objective(model, batch, 0)["loss"].backward()
    codes = model.encode(batch.image).codes
    parts = {
        model.encoder: objective.label_error(codes, batch.labels),
        model.decoder: model.likelihood.nll(model.decoder(codes), batch.image).mean(),
    }
    for part, term in parts.items():
        weights = list(part.parameters())
        for weight, expected in zip(weights, torch.autograd.grad(term, weights, retain_graph=True), strict=True):
            assert expected.abs().sum() > 0
            torch.testing.assert_close(weight.grad, expected)


def test_an_unknown_label_pulls_nothing() -> None:
    objective, labels = make_objective(), torch.tensor([[1.0, math.nan], [math.nan, math.nan]])
    codes = torch.randn(2, 5, requires_grad=True)
    error = objective.label_error(codes, labels)
    error.backward()
    known = (codes[0, 0].item() + 2) ** 2 + codes[:, 2:].detach().square().sum().item()
    assert error.item() == pytest.approx(known / 2, rel=1e-5)
    assert (codes.grad != 0).tolist() == [[True, False, True, True, True], [False, False, True, True, True]]


def test_labels_are_standardised_over_the_training_rows(small_data: DataModule) -> None:
    objective, other = make_objective(), make_objective()
    objective.reach(0, make_model(), small_data, CPU)
    labels = small_data.positions(small_data.rows("train")).numpy()
    np.testing.assert_allclose(objective.centre, [*labels.mean(axis=0), 0, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(objective.scale, [*labels.std(axis=0), 1, 1, 1], rtol=1e-5)
    other.load_state_dict(objective.state_dict())
    assert torch.equal(other.scale, objective.scale)


def test_what_cannot_be_says_so(small_data: DataModule) -> None:
    with pytest.raises(ValueError, match=r"objective.rows must be at least 2, got 1"):
        Supervised(rows=1)
    objective = Supervised()
    objective.build(1, 30)
    with pytest.raises(ValueError, match=r"each factor a latent, and 2 factors have 1; expected model.latents=2 or"):
        objective.reach(0, make_model(), small_data, CPU)
