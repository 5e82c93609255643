"""Point codes: the whitened network against its literal version, and axes that are turned exactly."""

import numpy as np
import pytest
import torch
from torch import nn

from disentone.models import Gaussian, MLPDecoder, PointAutoencoder, WhitenedMLP

SHAPE = (1, 6, 5)


def images(count: int = 200) -> torch.Tensor:
    """Images of four directions of unequal variance, and two pixels that never change."""
    generator = torch.Generator().manual_seed(0)
    found = torch.randn(count, 4, generator=generator) * torch.tensor([1.0, 0.5, 0.1, 0.01])
    mixed = (found @ torch.randn(4, 30, generator=generator) + 0.3).view(count, *SHAPE)
    mixed[:, 0, 0, :2] = 0.5
    return mixed


def make_model(latents: int = 5, components: int = 8) -> PointAutoencoder:
    torch.manual_seed(0)
    return PointAutoencoder(
        SHAPE,
        latents,
        lambda shape, outputs: WhitenedMLP(shape, outputs, components, hidden=[7]),
        lambda codes, shape: MLPDecoder(codes, shape, hidden=[9]),
        Gaussian(),
    )


def test_whitening_is_the_literal_one() -> None:
    net = WhitenedMLP(SHAPE, 3, components=4, hidden=[7])
    net.whiten(images())
    flat = images().flatten(1).double().numpy()
    centred = flat - flat.mean(axis=0)
    variances, vectors = np.linalg.eigh(np.cov(centred.T))
    variances, vectors = variances[::-1][:4], vectors[:, ::-1][:, :4]
    expected = centred @ vectors / (variances / variances[0]) ** 0.25
    expected /= expected.std(ddof=1)
    found = (images().flatten(1) @ net.matrix - net.offset).numpy()
    # The sign of a principal component is anybody's choice.
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-5)
    assert found.std() == pytest.approx(1, abs=1e-3)
    assert net.matrix[:2].abs().max() < 1e-9


def test_directions_without_variance_are_zero_and_so_are_those_beyond_the_images() -> None:
    net = WhitenedMLP(SHAPE, 3, components=20, hidden=[7])
    net.whiten(images())
    assert (net.matrix.abs().sum(dim=0) > 0).tolist() == [True] * 4 + [False] * 16
    net.whiten(images()[:3])
    assert (net.matrix.abs().sum(dim=0) > 0).tolist() == [True] * 2 + [False] * 18
    net.whiten(torch.full((5, *SHAPE), 0.25))
    assert torch.isfinite(net(images())).all()
    assert (net.matrix == 0).all()


def test_axes_are_turned_exactly_and_the_bias_stays() -> None:
    model = make_model()
    model.encoder.whiten(images())
    codes, bias = model.embed(images())
    axes, origin = torch.randn(3, 5), torch.randn(5)
    model.turn(axes, origin)
    turned, same_bias = model.embed(images())
    torch.testing.assert_close(turned, (codes - origin) @ axes.T, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(same_bias, bias)
    assert model.left_out == (3, 4)
    assert (model.encode(images()).codes[:, 3:] == 0).all()
    assert model.encode(images()).nats is None
    model.turn(torch.eye(2, 3), torch.zeros(3))
    torch.testing.assert_close(model.embed(images())[0], turned[:, :2])
    assert model.left_out == (2, 3, 4)


def test_a_loaded_model_needs_no_data() -> None:
    model, other = make_model(), make_model()
    model.encoder.whiten(images())
    model.turn(torch.randn(2, 5), torch.zeros(5))
    other.load_state_dict(model.state_dict())
    assert other.left_out == (2, 3, 4)
    torch.testing.assert_close(other(images()), model(images()), atol=0, rtol=0)


def test_what_cannot_be_says_so() -> None:
    with pytest.raises(ValueError, match="must be at least 1 each, got 0, 6000"):
        WhitenedMLP(SHAPE, 3, components=0)
    with pytest.raises(ValueError, match="need at least 2 training images, got 1"):
        WhitenedMLP(SHAPE, 3).whiten(images()[:1])
    assert isinstance(make_model().encoder.last, nn.Linear)
