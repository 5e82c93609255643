"""Kinds of latents: what each is scored by, trained from, and can tell of its own use."""

import pytest
import torch
from tests.models.test_point import images
from tests.models.test_point import make_model as make_points
from tests.models.test_quantised import make_model as make_quantised
from tests.models.test_vae import make_vae

from disentone.codes import use
from disentone.draws import Draw
from disentone.models import GaussianLatent, Latent, Model, PointLatent, QuantisedLatent
from disentone.objectives import BetaVAE, Constant

CODES = torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.5, -2.0]])
DRAW = Draw(0, 0, torch.arange(2))
KINDS = [GaussianLatent(CODES, torch.zeros(2, 3)), PointLatent(CODES), QuantisedLatent(CODES, CODES + 0.1)]


@pytest.mark.parametrize("latent", KINDS)
def test_parts_are_joined_in_their_order(latent: Latent) -> None:
    joined = type(latent).joined([latent, latent])
    assert type(joined) is type(latent)
    assert torch.equal(joined.codes, torch.cat([CODES, CODES]))
    assert (joined.nats is None) == (latent.nats is None)


@pytest.mark.parametrize("latent", KINDS)
def test_the_codes_are_what_is_decoded_but_where_the_kind_is_random(latent: Latent) -> None:
    assert torch.equal(latent.codes, CODES)
    assert torch.equal(latent.sample(DRAW), latent.codes) == (not isinstance(latent, GaussianLatent))


def test_use_is_nats_or_without_them_the_spread_of_the_codes() -> None:
    gaussian = GaussianLatent(torch.zeros(2, 3), torch.tensor([0.0, -1.0, -2.0]).expand(2, 3))
    torch.testing.assert_close(use(gaussian), gaussian.nats[0])
    for latent in KINDS[1:]:
        assert use(latent).tolist() == [0, 0.0625, 4]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (make_points(), "needs posteriors, and PointAutoencoder has points for codes; take model=conv2d"),
        (make_quantised(), "needs posteriors, and QuantisedAutoencoder has quantised codes; take model=conv2d"),
    ],
)
def test_an_objective_refuses_a_model_of_another_kind(model: Model, message: str) -> None:
    BetaVAE(1.0, Constant()).check(make_vae((1, 8, 8)))
    with pytest.raises(ValueError, match=message):
        BetaVAE(1.0, Constant()).check(model)


@pytest.mark.parametrize("model", [make_vae((1, 6, 5)), make_points()])
def test_a_walk_of_a_continuous_model_is_even_over_the_middle_of_the_codes(model: Model) -> None:
    codes = torch.linspace(-1, 1, 101)[:, None].expand(-1, 5)
    assert model.walk(codes, 2, 4).tolist() == pytest.approx([-0.9, -0.3, 0.3, 0.9])


@pytest.mark.parametrize("model", [make_vae((1, 6, 5)), make_points(), make_quantised()])
def test_every_kind_encodes_what_it_declares(model: Model) -> None:
    assert type(model.encode(images(3))) is model.kind
    assert model(images(3)).shape == (3, 1, 6, 5)
