"""Figures say what the numbers say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from disentone import plots


def texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_a_matrix_names_codes_and_factors() -> None:
    figure = plots.matrix(np.array([[0.5, 0.0], [0.25, 1.0]]), ["f0", "decay"], "mi_matrix")
    kept = plots.matrix(np.array([[0.5, 0.0], [0.0, 0.0]]), ["f0", "decay"], "mi_matrix", left_out=[1])
    assert {"z0", "z1 (left out)"} <= set(texts(kept))
    assert {"z0", "z1", "f0", "decay", "0.25", "mutual information (nats)"} <= set(texts(figure))


@pytest.mark.parametrize("strengths", [[1, 4, 16], [0, 1], [4]])
def test_scores_against_a_strength_can_be_drawn_and_saved(strengths: list[float], tmp_path: Path) -> None:
    results = pd.DataFrame(
        {
            "strength_name": "gamma",
            "strength": strengths,
            "reconstruction": 1.0,
            "kl": 2.0,
            "active_units": 3,
            "mig": 0.1,
        }
    )
    results["chance/mig"] = 0.01
    figure = plots.scores_against_strength(results)
    assert {"gamma", "MIG", "KL (nats)", "active units", "score (dotted: chance)"} <= set(texts(figure))
    assert plots.save(figure, tmp_path / "new" / "figure.png").stat().st_size > 5_000


def test_other_settings_have_panels_of_their_own() -> None:
    results = pd.DataFrame(
        {
            "strength_name": "beta",
            "strength": [1, 2, 1, 2],
            "model.latents": ["2", "2", "10", "10"],
            "mig": [0.1, 0.2, 0.3, 0.4],
        }
    )
    results[["reconstruction", "kl", "active_units"]] = 1.0
    figure = plots.scores_against_strength(results, ["model.latents"])
    assert {"model.latents 2", "model.latents 10"} <= set(texts(figure))
