"""The untrained network's scores survive a restart; what has no value is no number."""

import math
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from tests.test_system import make_system

from disentone.callbacks import Scores
from disentone.callbacks.scores import for_json, unexplained_variance
from disentone.data import DataModule


def fit(folder: Path, data: DataModule, callback: Scores, epochs: int, checkpoint: Path | None = None) -> pl.Trainer:
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        callbacks=[callback],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        num_sanity_val_steps=0,
    )
    trainer.fit(make_system(data), data, ckpt_path=checkpoint, weights_only=True)
    return trainer


def make(folder: Path) -> Scores:
    return Scores(folder, metrics=["mig", "modularity"], validation_metrics="mig")


def test_a_resumed_run_keeps_the_scores_of_its_first_network(tmp_path: Path, small_data: DataModule) -> None:
    first = make(tmp_path)
    trainer = fit(tmp_path, small_data, first, epochs=1)
    assert {"untrained/mig", "untrained/mig/f0", "untrained/modularity", "untrained/active_units"} == {
        key for key in first.untrained if "decay" not in key
    }
    assert trainer.callback_metrics["mig"].item() != first.untrained["untrained/mig"]
    trainer.save_checkpoint(tmp_path / "some.ckpt")
    second = make(tmp_path)
    fit(tmp_path, small_data, second, epochs=2, checkpoint=tmp_path / "some.ckpt")
    assert second.untrained == first.untrained


def test_a_metric_that_does_not_exist_stops_before_training(tmp_path: Path) -> None:
    for key in ("metrics", "validation_metrics"):
        with pytest.raises(ValueError, match="no metric is called migg"):
            Scores(tmp_path, **{key: ["migg"]})
    with pytest.raises(ValueError, match="preset must be"):
        Scores(tmp_path, preset="dlibb")


def test_what_is_undefined_is_null_in_json() -> None:
    assert for_json({"a": math.nan, "b": math.inf, "c": 0.5}) == {"a": None, "b": None, "c": 0.5}


def test_unexplained_variance_is_the_error_beside_the_mean_images(small_data: DataModule) -> None:
    vae, rows = make_system(small_data).model, small_data.rows("test")
    images = small_data.images(rows).double()
    with torch.no_grad():
        error = (vae(images.float()) - images).square().mean()
    expected = error / (images - images.mean(dim=0)).square().mean()
    found = unexplained_variance(vae, small_data, rows, torch.device("cpu"))
    assert found == pytest.approx(float(expected), rel=1e-6)
    assert math.isnan(unexplained_variance(vae, small_data, rows[:1], torch.device("cpu")))


@pytest.mark.parametrize("key", ["rows", "validation_rows"])
def test_so_few_rows_that_a_factor_does_not_vary_stop_before_training(
    key, tmp_path: Path, small_data, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=f"metrics.{key} must be at least 2"):
        Scores(tmp_path, **{key: 1})
    few = Scores(tmp_path, metrics="mig", validation_metrics="mig", **{key: 2})
    monkeypatch.setattr(small_data, "evaluation_rows", lambda count: torch.arange(min(count, 48)))
    with pytest.raises(ValueError, match=rf"metrics.{key}=2: \w+ has one value in so few rows; expected more rows"):
        fit(tmp_path, small_data, few, epochs=1)
    assert few.untrained == {}
