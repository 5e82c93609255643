"""The step: what is logged when, and that the optimiser moves what it should."""

import pytest
import pytorch_lightning as pl
import torch
from tests.models.test_vae import make_vae

from disentone.data import SyntheticData
from disentone.models import LearnedGaussian
from disentone.objectives import BetaVAE, Constant
from disentone.shapes import Batch
from disentone.system import System

SCALARS = ("loss", "reconstruction", "kl", "elbo", "beta", "normalised_beta", "likelihood_scale")


def make_system(data: SyntheticData, **settings: object) -> System:
    vae = make_vae(data.shape)
    for name, value in settings.items():
        setattr(vae, name, value)
    return System(vae, BetaVAE(2.0, Constant()), lambda parameters: torch.optim.Adam(parameters, lr=1e-2))


def fit(system: System, data: SyntheticData, **settings: object) -> pl.Trainer:
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": 3, "log_every_n_steps": 1, **settings},
    )
    trainer.fit(system, data)
    return trainer


def test_training_lowers_the_held_out_loss(small_data: SyntheticData) -> None:
    torch.manual_seed(0)
    system = make_system(small_data)
    first = fit(system, small_data, max_epochs=1).callback_metrics["validation/loss"].item()
    last = fit(system, small_data, max_epochs=10).callback_metrics["validation/loss"].item()
    assert last < first - 100


def test_terms_are_logged_under_their_stage(small_data: SyntheticData) -> None:
    metrics = fit(make_system(small_data), small_data).callback_metrics
    for stage in ("train", "validation"):
        for term in [*SCALARS, "kl_per_latent/2"]:
            assert torch.isfinite(metrics[f"{stage}/{term}"]), f"{stage}/{term}"
    assert metrics["validation/beta"].item() == 2
    assert metrics["validation/likelihood_scale"].item() == pytest.approx(0.1)


def test_an_epochs_mean_weighs_batches_by_their_size(small_data: SyntheticData) -> None:
    """Five validation rows in batches of four and one give the same mean as in one batch."""
    system = make_system(small_data, sample=lambda posterior: posterior.mean)
    sounds = small_data.sounds(small_data.rows("validation"))
    batch = small_data.on_after_batch_transfer(sounds, 0)
    expected = system.objective(system.vae, batch, 0)["reconstruction"].item()
    small_data.batch_size, before = 4, small_data.batch_size
    try:
        trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
        (result,) = trainer.validate(system, small_data, verbose=False)
    finally:
        small_data.batch_size = before
    assert result["validation/reconstruction"] == pytest.approx(expected, rel=1e-5)


def test_a_learned_width_is_logged_and_trained(small_data: SyntheticData) -> None:
    system = make_system(small_data, likelihood=LearnedGaussian(0.5))
    metrics = fit(system, small_data).callback_metrics
    assert metrics["validation/likelihood_scale"].item() < 0.5


def test_a_step_asks_the_device_for_nothing(small_data: SyntheticData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of the meta device have no contents, so whatever waits for a number fails."""
    system = make_system(small_data).to("meta")
    monkeypatch.setattr(system, "_is_logged_step", lambda: False)
    image = torch.empty(4, *small_data.shape, device="meta")
    batch = Batch(image, torch.empty(4, 2, dtype=torch.long, device="meta"))
    system.training_step(batch, 0).backward()
    system.configure_optimizers().step()
    with pytest.raises(RuntimeError, match="meta"):
        image.sum().item()
