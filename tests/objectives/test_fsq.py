"""The FSQ autoencoder's only term, and the kinds of models that it refuses."""

import pytest
import torch
from tests.models.test_quantised import make_model
from tests.models.test_vae import make_vae

from disentone.objectives import FSQ
from disentone.shapes import Batch


def test_the_loss_is_the_reconstruction_from_the_rounded_codes() -> None:
    model, image = make_model(), torch.rand(4, 1, 6, 5)
    terms = FSQ()(model, Batch(image, torch.arange(4)), 0)
    expected = model.likelihood.nll(model.decoder(model.encode(image).quantised), image).mean()
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {"loss": expected.item(), "fit": -expected.item(), "reconstruction": expected.item()}
    )
    terms["loss"].backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]


def test_other_kinds_are_refused() -> None:
    FSQ().check(make_model())
    with pytest.raises(ValueError, match="needs quantised codes, and VAE has posteriors; take method=fsq"):
        FSQ().check(make_vae((1, 8, 8)))
