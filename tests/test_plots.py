"""Figures say what the arrays say: axes in Hz, seconds and dB."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from disentone import plots
from disentone.frontends import CQT


def texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 1, 80, 16, generator=torch.Generator().manual_seed(0))


def test_reconstructions_stand_below_their_originals_in_decibels(images: torch.Tensor) -> None:
    figure = plots.reconstructions(images, 1 - images, ["a", "b", "c"], CQT(hop=1024))
    shown = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()][:6]
    np.testing.assert_allclose(shown[0], (images[0, 0] - 1) * 80, atol=1e-4)
    np.testing.assert_allclose(shown[3], -images[0, 0] * 80, atol=1e-4)
    assert {"seconds", "dB", "1000", "a", "original\nHz", "reconstruction\nHz"} <= set(texts(figure))


def test_frequency_ticks_stand_at_their_bins(images: torch.Tensor) -> None:
    frontend = CQT(hop=1024)
    axes = plots.reconstructions(images, images, ["a", "b", "c"], frontend).axes[0]
    for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        assert frontend.fmin * 2 ** (tick / 12) == pytest.approx(float(label.get_text()), rel=0.01)


def test_a_traversal_is_one_strip_per_latent(images: torch.Tensor) -> None:
    walks = torch.stack([images, 1 - images])
    figure = plots.traversals(walks, [-2.0, 0.0, 2.0], ["z0", "z1"], CQT(hop=1024))
    strip = figure.axes[1].get_images()[0].get_array()
    assert strip.shape == (80, 48)
    np.testing.assert_allclose(strip[:, 16:32], -images[1, 0] * 80, atol=1e-4)
    assert {"-2.0", "+0.0", "+2.0", "z1\nHz", "dB"} <= set(texts(figure))


def test_a_matrix_names_codes_and_factors() -> None:
    figure = plots.matrix(np.array([[0.5, 0.0], [0.25, 1.0]]), ["f0", "decay"], "mi_matrix")
    assert {"z0", "z1", "f0", "decay", "0.25", "mutual information (nats)"} <= set(texts(figure))


@pytest.mark.parametrize("betas", [[1, 4, 16], [0, 1], [4]])
def test_scores_against_beta_can_be_drawn_and_saved(betas: list[float], tmp_path: Path) -> None:
    results = pd.DataFrame({"beta": betas, "reconstruction": 1.0, "kl": 2.0, "active_units": 3, "mig": 0.1})
    results["chance/mig"] = 0.01
    figure = plots.scores_against_beta(results)
    assert {"beta", "KL (nats)", "active units", "score (dotted: chance)"} <= set(texts(figure))
    assert plots.save(figure, tmp_path / "new" / "figure.png").stat().st_size > 5_000


def test_other_settings_have_panels_of_their_own() -> None:
    results = pd.DataFrame({"beta": [1, 2, 1, 2], "model.latents": ["2", "2", "10", "10"], "mig": [0.1, 0.2, 0.3, 0.4]})
    results[["reconstruction", "kl", "active_units"]] = 1.0
    figure = plots.scores_against_beta(results, ["model.latents"])
    assert {"model.latents 2", "model.latents 10"} <= set(texts(figure))
