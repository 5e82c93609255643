"""Figures of images say what the arrays say: axes in Hz, seconds and dB; digits as they are; latents as a plane."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from tests.test_plots import texts

from disentone import image_plots
from disentone.factors import FactorSpace
from disentone.frontends import CQT

VALUES = torch.tensor([[-1.0, 1.0], [-1.0, 1.0]])
DIGITS = FactorSpace({"digit": {"labels": [str(digit) for digit in range(10)]}})


def pictures(figure: Figure) -> list[np.ndarray]:
    return [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 1, 80, 16, generator=torch.Generator().manual_seed(0))


def test_reconstructions_stand_below_their_originals_in_decibels(images: torch.Tensor) -> None:
    figure = image_plots.reconstructions(images, 1 - images, ["a", "b", "c"], CQT(hop=1024))
    shown = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()][:6]
    np.testing.assert_allclose(shown[0], (images[0, 0] - 1) * 80, atol=1e-4)
    np.testing.assert_allclose(shown[3], -images[0, 0] * 80, atol=1e-4)
    assert {"seconds", "dB", "1000", "a", "original\nHz", "reconstruction\nHz"} <= set(texts(figure))


def test_frequency_ticks_stand_at_their_bins(images: torch.Tensor) -> None:
    frontend = CQT(hop=1024)
    axes = image_plots.reconstructions(images, images, ["a", "b", "c"], frontend).axes[0]
    for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        assert frontend.fmin * 2 ** (tick / 12) == pytest.approx(float(label.get_text()), rel=0.01)


def test_a_traversal_is_one_strip_per_latent(images: torch.Tensor) -> None:
    walks = torch.stack([images, 1 - images])
    figure = image_plots.traversals(walks, [[-2.0, 0.0, 2.0], [-1.0, 0.5, 2.0]], ["z0", "z1"], CQT(hop=1024))
    strip = figure.axes[1].get_images()[0].get_array()
    assert strip.shape == (80, 48)
    np.testing.assert_allclose(strip[:, 16:32], -images[1, 0] * 80, atol=1e-4)
    assert {"-2.00", "+0.00", "+2.00", "-1.00", "+0.50", "z1\nHz", "dB"} <= set(texts(figure))


def test_digits_are_drawn_as_they_are(images: torch.Tensor) -> None:
    digits = images[..., :28, :]
    figure = image_plots.reconstructions(digits, 1 - digits, ["digit 1", "digit 2", "digit 3"], None)
    np.testing.assert_allclose(pictures(figure)[4], 1 - digits[1, 0], atol=1e-6)
    assert not {"Hz", "dB", "seconds"} & set(texts(figure))


def test_a_gallery_breaks_its_rows_and_names_every_image(images: torch.Tensor) -> None:
    figure = image_plots.gallery(images, ["a", "b", "c"], CQT(hop=1024), columns=2)
    assert [picture.shape for picture in pictures(figure)] == [(80, 16)] * 3
    assert {"a", "b", "c", "Hz", "seconds", "dB"} <= set(texts(figure))


def test_samples_fill_a_square_row_by_row(images: torch.Tensor) -> None:
    digits = images[:1, :, :28].repeat(4, 1, 1, 1) * torch.tensor([0.1, 0.2, 0.3, 0.4]).view(4, 1, 1, 1)
    (square,) = pictures(image_plots.samples(digits, "draws", None))
    assert square.shape == (56, 32)
    np.testing.assert_allclose(square[:28, 16:], digits[1, 0], atol=1e-6)
    (sounds,) = pictures(image_plots.samples(images[:1].repeat(4, 1, 1, 1), "draws", CQT(hop=1024)))
    np.testing.assert_allclose(sounds[:80, :16], images[0, 0].flip(0), atol=1e-6)  # low frequencies below


def test_a_latent_map_shows_codes_by_digit_and_the_manifold_with_z1_upwards() -> None:
    codes, positions = torch.tensor([[0.0, 1.0], [2.0, -1.0]]), torch.tensor([[3], [9]])
    manifold = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 2, 3) / 4
    figure = image_plots.latent_map(codes, positions, DIGITS, ("z0", "z1"), "step 5", manifold, VALUES, None)
    points = figure.axes[0].collections[0]
    np.testing.assert_array_equal(points.get_offsets(), codes)
    np.testing.assert_array_equal(points.get_array(), [3, 9])
    (square,) = pictures(figure)
    np.testing.assert_allclose(square[[0, 0, 3, 3], [0, 5, 0, 5]], [0.5, 0.75, 0.0, 0.25])
    assert {"step 5", "z0", "z1", "digit", "9", "-1", "+1"} <= set(texts(figure))


def test_a_factor_of_many_values_keeps_a_readable_bar() -> None:
    space = FactorSpace({"f0": {"unit": "Hz", "start": 100, "stop": 1000, "step": 50}, "wave": {"labels": ["a", "b"]}})
    codes, positions = torch.zeros(2, 2), torch.tensor([[0, 0], [18, 1]])
    figure = image_plots.latent_map(codes, positions, space, ("z3", "z7"), "", None, VALUES, CQT())
    assert {"100 Hz", "1000 Hz", "a", "b", "z3", "z7"} <= set(texts(figure))
