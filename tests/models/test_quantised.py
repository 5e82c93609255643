"""Finite scalar quantisation against its literal version; gradients; walks that stay in the book."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from disentone.metrics import traversal
from disentone.models import Gaussian, MLPDecoder, MLPEncoder, QuantisedAutoencoder

LEVELS = (2, 3, 8, 15)


def make_model(levels: int | tuple[int, ...] = LEVELS, latents: int = 4) -> QuantisedAutoencoder:
    torch.manual_seed(0)
    encoder, decoder = (partial(part, hidden=[7]) for part in (MLPEncoder, MLPDecoder))
    return QuantisedAutoencoder((1, 6, 5), latents, encoder, decoder, Gaussian(), levels)


def literal(z: float, levels: int) -> tuple[float, float]:
    """The code of one feature, and what it was before it was rounded."""
    half = (levels - 1) * (1 + 1e-3) / 2
    offset = 0.5 if levels % 2 == 0 else 0.0
    bounded = math.tanh(z + math.atanh(offset / half)) * half - offset
    return round(bounded) / (levels // 2), bounded / (levels // 2)


def test_codes_are_the_literal_ones() -> None:
    model, features = make_model(), 2 * torch.randn(200, 4)
    model.encoder = torch.nn.Identity()
    latent = model.encode(features)
    expected = np.array([[literal(z, n) for z, n in zip(row, LEVELS, strict=True)] for row in features.tolist()])
    np.testing.assert_allclose(latent.codes, expected[..., 0], atol=1e-6)
    np.testing.assert_allclose(latent.continuous, expected[..., 1], atol=1e-5)
    for number, count in enumerate(LEVELS):
        book = model.book(number)
        assert len(book) == count
        # To the last bit, so that a code can be looked up.
        assert torch.isin(latent.codes[:, number], book).all()
    assert len(latent.codes[:, 2].unique()) == 8


def test_the_gradient_passes_as_if_nothing_had_been_rounded() -> None:
    model, features = make_model(), torch.randn(5, 4, requires_grad=True)
    model.encoder = torch.nn.Identity()
    latent = model.encode(features)
    (rounded,) = torch.autograd.grad(latent.codes.square().sum(), features, retain_graph=True)
    (direct,) = torch.autograd.grad((latent.continuous * 2 * latent.codes.detach()).sum(), features)
    torch.testing.assert_close(rounded, direct)
    assert (rounded[latent.codes != 0] != 0).all()


@pytest.mark.parametrize("steps", [2, 7, 11, 40])
def test_walks_stay_in_the_book_and_within_what_the_codes_reach(steps: int) -> None:
    model = make_model(15, 2)
    codes = model.book(0)[torch.randint(4, 11, (300,))][:, None].repeat(1, 2)
    codes[:, 1] = model.book(1)[3]
    for kind in (torch.float32, torch.float64):
        walk = model.walk(codes.to(kind), 0, steps)
        assert walk.shape == (steps,)
        assert torch.isin(walk, model.book(0).to(kind)).all()
        assert torch.equal(walk, walk.sort().values)
        assert walk[0] == codes[:, 0].min()
        assert walk[-1] == codes[:, 0].max()
        assert (model.walk(codes.to(kind), 1, steps) == model.book(1)[3]).all()
    assert len(model.walk(codes, 0, steps).unique()) == min(steps, 7)


def test_traversal_scores_decode_nothing_beside_the_book() -> None:
    factors = torch.cartesian_prod(torch.arange(3), torch.arange(4))
    codes = torch.stack([factors[:, 0] - 1.0, (factors[:, 1] - 2) / 2.0], dim=1)
    seen = []

    def decode(part: torch.Tensor) -> torch.Tensor:
        seen.append(part)
        return part

    model = make_model((3, 4), 2)
    values = torch.stack([model.walk(codes, latent, 6) for latent in range(2)])
    scores = traversal(decode, codes, codes, factors, values=values)
    for latent in range(2):
        assert torch.isin(torch.cat(seen)[:, latent], model.book(latent)).all()
    assert scores["traversal_purity"] == scores["traversal_range"] == pytest.approx(1)
    assert scores["settings"]["steps"] == 6
    with pytest.raises(ValueError, match="values must have a line for each of the 2 latents, got 1"):
        traversal(decode, codes, codes, factors, values=values[:1])


@pytest.mark.parametrize("levels", [1, (3, 3, 3), (3, 3, 3, 1)])
def test_impossible_levels_are_refused(levels: int | tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"model.levels must be 2 or more, one number or one for each of the 4"):
        make_model(levels)
