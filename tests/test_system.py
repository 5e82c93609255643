"""The step: what is logged when, and that the optimiser moves what it should."""

import os
import subprocess
import sys
from functools import partial
from itertools import chain
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from tests.models.test_networks import PAIRS
from tests.models.test_vae import make_vae

from disentone.data import DataModule
from disentone.data.batches import Carried
from disentone.draws import Draw
from disentone.models import (
    VAE,
    Gaussian,
    GaussianLatent,
    LearnedGaussian,
    Model,
    PointAutoencoder,
    QuantisedAutoencoder,
)
from disentone.objectives import FSQ, AdaGVAE, BetaVAE, Constant, FactorVAE, Objective, Supervised, Terms
from disentone.shapes import Batch
from disentone.system import System

SCALARS = ("loss", "reconstruction", "kl", "elbo", "beta", "normalised_beta", "likelihood_scale")


class Seen(BetaVAE):
    """Keeps the draw of its last batch."""

    def forward(self, model: VAE, batch: Batch, step: int) -> Terms:
        self.drawn = batch.draw
        return super().forward(model, batch, step)


def make_system(data: DataModule, **settings: object) -> System:
    vae = make_vae(data.shape)
    for name, value in settings.items():
        setattr(vae, name, value)
    return System(vae, Seen(2.0, Constant()), lambda parameters: torch.optim.Adam(parameters, lr=1e-2))


def fit(system: System, data: DataModule, ckpt_path: Path | None = None, **settings: object) -> pl.Trainer:
    defaults = {"accelerator": "cpu", "devices": 1, "max_epochs": 3, "log_every_n_steps": 1}
    trainer = pl.Trainer(
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{**defaults, "enable_checkpointing": False, **settings},
    )
    trainer.fit(system, data, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def test_training_lowers_the_held_out_loss(small_data: DataModule) -> None:
    torch.manual_seed(0)
    system = make_system(small_data)
    first = fit(system, small_data, max_epochs=1).callback_metrics["validation/loss"].item()
    last = fit(system, small_data, max_epochs=10).callback_metrics["validation/loss"].item()
    assert last < first - 100


def test_terms_are_logged_under_their_stage(small_data: DataModule) -> None:
    metrics = fit(make_system(small_data), small_data).callback_metrics
    for stage in ("train", "validation"):
        for term in [*SCALARS, "kl_per_latent/2"]:
            assert torch.isfinite(metrics[f"{stage}/{term}"]), f"{stage}/{term}"
    assert metrics["validation/beta"].item() == 2
    assert metrics["validation/likelihood_scale"].item() == pytest.approx(0.1)


def test_an_epochs_mean_weighs_batches_by_their_size(small_data: DataModule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five validation rows in batches of four and one give the same mean as in one batch."""
    monkeypatch.setattr(GaussianLatent, "sample", lambda latent, draw: latent.mean)
    system = make_system(small_data)
    rows = small_data.rows("validation")
    batch = small_data.on_after_batch_transfer(
        small_data.on_before_batch_transfer(Carried("validation", rows, torch.arange(len(rows))), 0), 0
    )
    expected = system.objective(system.model, batch._replace(draw=Draw(0, -1, batch.rows)), 0)["reconstruction"].item()
    small_data.batch_size, before = 4, small_data.batch_size
    try:
        trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
        (result,) = trainer.validate(system, small_data, verbose=False)
    finally:
        small_data.batch_size = before
    assert result["validation/reconstruction"] == pytest.approx(expected, rel=1e-5)


def test_a_learned_width_is_logged_and_trained(small_data: DataModule) -> None:
    system = make_system(small_data, likelihood=LearnedGaussian(0.5))
    metrics = fit(system, small_data).callback_metrics
    assert metrics["validation/likelihood_scale"].item() < 0.5


COMPILED = """
import torch
from conftest import make_small_data
from tests.test_system import fit, make_system
from disentone.callbacks import CompiledNetwork
data = make_small_data()
losses, names = [], []
for callbacks in ([], [CompiledNetwork(backend="aot_eager")]):
    torch.manual_seed(0)
    system = make_system(data)
    trainer = fit(system, data, callbacks=callbacks, max_epochs=2)
    losses.append(trainer.callback_metrics["validation/loss"].item())
    names.append(list(system.state_dict()))
assert abs(losses[1] / losses[0] - 1) < 1e-5, losses
assert names[1] == names[0]
"""


def test_a_compiled_network_trains_as_any_and_has_the_same_weights_by_name() -> None:
    """In a process of its own, since the shape checks of the tests are no part of a graph."""
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    result = subprocess.run([sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


class NoWaiting(pl.Callback):
    """From the second step on the host may not wait for the GPU."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        torch.cuda.set_sync_debug_mode("error")

    def on_train_epoch_end(self, *_: object) -> None:
        torch.cuda.set_sync_debug_mode("default")

    on_exception = on_train_epoch_end


@pytest.mark.gpu
def test_gpu_steps_have_the_losses_of_the_cpu(small_data: DataModule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the draws, whose logarithm and cosine round otherwise there."""
    monkeypatch.setattr(GaussianLatent, "sample", lambda latent, draw: latent.mean)
    losses = []
    for accelerator in ("cpu", "gpu"):
        torch.manual_seed(0)
        system = make_system(small_data)
        trainer = fit(system, small_data, accelerator=accelerator, max_epochs=2)
        losses.append({name: value.item() for name, value in trainer.callback_metrics.items()})
    assert losses[1].keys() == losses[0].keys()
    for name, loss in losses[0].items():
        assert losses[1][name] == pytest.approx(loss, rel=1e-3, abs=1e-3), name


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_gpu_step_never_makes_the_host_wait(precision: str, small_data: DataModule) -> None:
    """On the fly, images in float32 and the network in bf16; steps that no logger writes."""
    system = make_system(small_data)
    settings = {"accelerator": "gpu", "precision": precision, "max_epochs": 2, "log_every_n_steps": 1000}
    fit(system, small_data, callbacks=[NoWaiting()], limit_val_batches=0, **settings)
    assert all(parameter.isfinite().all() for parameter in system.parameters())


@pytest.mark.gpu
def test_bf16_lowers_the_loss_as_float32_does(small_data: DataModule) -> None:
    losses = []
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(0)
        trainer = fit(make_system(small_data), small_data, accelerator="gpu", precision=precision, max_epochs=10)
        losses.append(trainer.callback_metrics["validation/loss"].item())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize(
    ("objective", "model"),
    [
        (BetaVAE(2.0, Constant()), VAE),
        (AdaGVAE(2.0, Constant()), VAE),
        (FactorVAE(2.0), VAE),
        (FSQ(), QuantisedAutoencoder),
        (Supervised(), PointAutoencoder),
    ],
)
def test_a_step_asks_the_device_for_nothing(objective: Objective, model: type[Model], small_data: DataModule) -> None:
    """Tensors of the meta device have no contents, so whatever waits for a number fails."""
    objective.build(3, 38)
    net = model(small_data.shape, 3, *PAIRS["mlp"], Gaussian())
    system = System(net, objective, partial(torch.optim.Adam, lr=1e-2)).to("meta")
    system.trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, log_every_n_steps=0)
    image, partner = torch.empty(2, 4, *small_data.shape, device="meta")
    labels = torch.empty(4, 2, dtype=torch.long, device="meta")
    batch = Batch(image, torch.empty(4, dtype=torch.long, device="meta"), partner=partner, labels=labels)
    system._step("train", batch, 0).backward()
    system.configure_optimizers().step()
    with pytest.raises(RuntimeError, match="meta"):
        image.sum().item()


class Watch(pl.Callback):
    """Notes which rows each pass shows, whether draws repeat, and after which steps it was validated."""

    def __init__(self) -> None:
        self.rows: dict[int, list[int]] = {}
        self.draws: list[float] = []
        self.validated: list[int] = []

    def on_train_batch_end(self, trainer: pl.Trainer, module: System, outputs: object, batch: Batch, _: int) -> None:
        self.rows.setdefault(trainer.current_epoch, []).extend(batch.rows.tolist())
        self.draws.append(module.objective.drawn.normal("latents", 1).sum().item())

    def on_validation_end(self, trainer: pl.Trainer, module: System) -> None:
        self.validated.append(trainer.global_step)


PASSES = {"max_epochs": 4, "accumulate_grad_batches": 4, "num_sanity_val_steps": 0}  # of 6 batches: 2 steps


def test_where_several_batches_make_a_step_every_pass_shows_each_row_once(small_data: DataModule) -> None:
    watch = Watch()
    trainer = fit(make_system(small_data), small_data, callbacks=[watch], **PASSES)
    assert trainer.global_step == 8
    rows = sorted(small_data.rows("train").tolist())
    assert [sorted(shown) for shown in watch.rows.values()] == [rows] * 4
    assert len({tuple(shown) for shown in watch.rows.values()}) == 4
    assert len(set(watch.draws)) == len(watch.draws) == 24


def test_a_step_in_four_batches_is_the_step_in_one(small_data: DataModule) -> None:
    ends = []
    for size, batches in ((16, 1), (4, 4)):
        data = DataModule(small_data.source, batch_size=size, max_rows=40, mode="on_the_fly")
        assert data.sizes["train"] == 32
        torch.manual_seed(0)
        system = make_system(data)
        trainer = fit(system, data, max_epochs=3, accumulate_grad_batches=batches, num_sanity_val_steps=0)
        assert trainer.global_step == 6
        ends.append(system.state_dict())
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_run_resumed_amid_a_pass_of_short_steps_goes_on_as_the_uninterrupted_one(
    step: int, small_data: DataModule, tmp_path: Path
) -> None:
    whole, part = (Watch(), Watch())
    kept = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
    torch.manual_seed(0)
    first = make_system(small_data)
    fit(first, small_data, callbacks=[whole, kept], **PASSES, enable_checkpointing=True)
    second = make_system(small_data)
    fit(second, small_data, callbacks=[part], **PASSES, ckpt_path=tmp_path / f"step={step}.ckpt")
    count = len(part.draws)
    assert count == 24 - [4, 6, 10][step - 1]
    shown = [list(chain.from_iterable(watch.rows.values())) for watch in (whole, part)]
    assert shown[1] == shown[0][-len(shown[1]) :]
    assert part.draws == whole.draws[-count:]
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"val_check_interval": 1, "check_val_every_n_epoch": None}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"val_check_interval": 3, "check_val_every_n_epoch": None}, [3, 6]),
        ({"val_check_interval": 2, "check_val_every_n_epoch": 2}, [4, 8]),
        ({"val_check_interval": 1.0}, [2, 4, 6, 8]),
        ({"val_check_interval": 5, "check_val_every_n_epoch": None, "accumulate_grad_batches": 1}, [5, 10, 15, 20]),
    ],
)
def test_validations_are_counted_in_steps(settings: dict, expected: list[int], small_data: DataModule) -> None:
    watch = Watch()
    fit(make_system(small_data), small_data, callbacks=[watch], **{**PASSES, **settings})
    assert watch.validated == expected


class Reached(Seen):
    """Notes at which milestones it was asked to act."""

    milestones = (1, 3)

    def reach(self, step: int, model: object, data: object, device: torch.device) -> None:
        self.reached = [*getattr(self, "reached", []), step]


def test_a_milestone_is_reached_once_where_several_batches_make_a_step(small_data: DataModule) -> None:
    system = make_system(small_data)
    system.objective = Reached(2.0, Constant())
    fit(system, small_data, **PASSES)
    assert system.objective.reached == [1, 3]
