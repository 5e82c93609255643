"""Traversals of decoders whose behaviour is known."""

import numpy as np
import pytest
import torch
from tests.metrics import cases
from tests.reference import metrics as reference

from disentone.metrics import traversal
from disentone.metrics.traversal import nearest_rows

V = torch.as_tensor(cases.grid(repeats=1))
SIZES = torch.tensor(cases.SIZES)
CODES = V / (SIZES - 1.0)
"""Each factor one latent, from 0 to 1."""


def picture(codes: torch.Tensor) -> torch.Tensor:
    """An image that shows three numbers."""
    return torch.stack([codes, codes**2], dim=1)


def test_a_decoder_of_one_factor_per_latent_is_pure_monotone_and_covers_all() -> None:
    scores = traversal(picture, CODES, picture(CODES), V)
    for key in ("traversal_purity", "traversal_range"):
        assert scores[key] == pytest.approx(1)
        assert scores[f"{key}_per_latent"] == pytest.approx([1, 1, 1])
    # A staircase of few values climbs along 11 steps with ties.
    assert scores["traversal_monotonicity"] > 0.93
    assert scores["traversal_movement"].argmax(axis=1).tolist() == [0, 1, 2]


def test_a_mixing_decoder_is_impure_and_a_folding_one_is_not_monotone() -> None:
    def mix(codes: torch.Tensor) -> torch.Tensor:
        return picture(torch.stack([codes[:, 0], codes[:, 0], codes[:, 2]], dim=1))

    def fold(codes: torch.Tensor) -> torch.Tensor:
        return picture(torch.cat([(2 * codes[:, :1] - 1).abs(), codes[:, 1:]], dim=1))

    mixed, folded = (traversal(decode, CODES, picture(CODES), V) for decode in (mix, fold))
    assert mixed["traversal_purity_per_latent"][0] == pytest.approx(0.5)
    assert np.isnan(mixed["traversal_purity_per_latent"][1])
    assert mixed["settings"]["reason"] == "latents 1 move nothing"
    assert folded["traversal_purity_per_latent"][0] == pytest.approx(1)
    assert folded["traversal_monotonicity_per_latent"][0] < 0.2


def test_a_decoder_that_ignores_its_latents_scores_zero() -> None:
    scores = traversal(lambda codes: picture(0 * codes), CODES, picture(CODES), V)
    assert scores["traversal_purity"] == scores["traversal_monotonicity"] == scores["traversal_range"] == 0
    dead = traversal(picture, 0 * CODES, picture(CODES), V)
    assert dead["traversal_range"] == 0


def test_images_may_come_in_batches_and_must_be_complete() -> None:
    whole = traversal(picture, CODES, picture(CODES), V, seed=3)
    parts = traversal(picture, CODES, (picture(part) for part in torch.split(CODES, 7)), V, seed=3)
    assert whole["traversal_purity_per_latent"] == pytest.approx(parts["traversal_purity_per_latent"])
    with pytest.raises(ValueError, match="60 codes and 59 images"):
        traversal(picture, CODES, picture(CODES)[1:], V)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_decoder_of_nothing_finite_has_no_score_and_such_images_are_refused(value: float) -> None:
    scores = traversal(lambda codes: picture(codes) * value, CODES, picture(CODES), V)
    assert all(np.isnan(scores[key]) for key in ("traversal_purity", "traversal_monotonicity", "traversal_range"))
    assert scores["settings"]["reason"] == "the decoder answers images that are not finite"
    with pytest.raises(ValueError, match="images must be finite"):
        traversal(picture, CODES, torch.where(V[:, None, :] == 0, value, picture(CODES)), V)


def test_a_decoder_of_other_images_is_refused() -> None:
    with pytest.raises(ValueError, match="the decoder answers 9 pixels an image; the images have 6"):
        traversal(lambda codes: picture(codes).repeat(1, 3, 1)[:, :3], CODES, picture(CODES), V)


def test_the_nearest_row_is_the_literal_one() -> None:
    generator = torch.Generator().manual_seed(0)
    known, decoded = torch.rand(30, 20, generator=generator), torch.rand(50, 20, generator=generator)
    found = nearest_rows(decoded, torch.split(known, 8), 30)
    assert found.tolist() == reference.nearest(decoded.numpy(), known.numpy()).tolist()


def test_a_latent_that_jumps_once_moves_nothing_and_has_no_purity() -> None:
    factors = torch.cartesian_prod(torch.arange(2), torch.arange(40))
    codes = torch.stack([factors[:, 0].double(), torch.linspace(0, 1, len(factors)).double()], dim=1)

    def steady(codes: torch.Tensor) -> torch.Tensor:
        # The first latent picks the first factor. The second one moves the other by one of its 39 steps, at most.
        return torch.stack([codes[:, 0] * 10, 20 + 0.6 * (codes[:, 1] > 0.5)], dim=1)

    images = torch.stack([factors[:, 0] * 10.0, factors[:, 1].double()], dim=1)
    scores = traversal(steady, codes, images, factors)
    assert scores["traversal_movement"][1].sum() > 0
    assert scores["traversal_purity_per_latent"][0] == pytest.approx(1)
    assert np.isnan(scores["traversal_purity_per_latent"][1])
    assert scores["traversal_purity"] == pytest.approx(1)
    assert scores["settings"]["reason"] == "latents 1 move nothing"
