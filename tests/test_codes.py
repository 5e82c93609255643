"""Codes that are not finite stop a run, and say whether images or network are to blame."""

import pytest
import torch
from tests.test_system import fit, make_system

from disentone.callbacks import Scores
from disentone.codes import encode
from disentone.data import DataModule

CPU = torch.device("cpu")


def test_a_diverged_run_says_so_at_the_next_validation(small_data: DataModule, tmp_path) -> None:
    system = make_system(small_data)
    system.optimizer = lambda parameters: torch.optim.SGD(parameters, lr=1e30)
    scores = Scores(tmp_path, metrics=["mig"], validation_metrics="mig")
    with pytest.raises(
        ValueError, match="codes are not finite though the images are: training diverged; a smaller opt"
    ):
        fit(system, small_data, callbacks=[scores])


def test_images_that_are_not_finite_are_blamed(small_data: DataModule, monkeypatch: pytest.MonkeyPatch) -> None:
    images = small_data.images(small_data.rows("test"))
    monkeypatch.setattr(small_data, "images", lambda rows: torch.full_like(images[: len(rows)], torch.nan))
    with pytest.raises(
        ValueError, match=r"images are not finite: .* overwritten while it was in use; then start again"
    ):
        encode(make_system(small_data).model, small_data, small_data.rows("test"), CPU)
