"""Runs trained as one are what each would have been alone."""

import math
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from tests.models.test_networks import PAIRS
from torch import nn

from disentone import stacked
from disentone.checkpoints import AtomicCheckpointIO, newest, read
from disentone.data import DataModule
from disentone.frontends import CQT, Waveform
from disentone.models import VAE, LearnedGaussian
from disentone.objectives import BetaVAE, Constant, Objective, Terms, Warmup
from disentone.shapes import Batch
from disentone.sources import Tones
from disentone.stacked import Member
from disentone.synths import Additive
from disentone.system import System

POINTS = [(1.0, 0), (8.0, 0), (8.0, 1)]
STEPS = 20
ADAM = partial(torch.optim.Adam, lr=1e-2)


class Watched(BetaVAE):
    """Logs a number that tells which rows it was shown, in which order."""

    def __init__(self, beta: float) -> None:
        super().__init__(beta, Warmup(10))

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        rows = batch.rows.double()
        return {
            **super().forward(vae, batch, step),
            "rows": rows @ torch.arange(1.0, 1 + len(rows)).double(),
        }


def make_data(network: str, seed: int) -> DataModule:
    factors = {
        "f0": {"unit": "Hz", "start": 200, "stop": 900, "step": 100},
        "decay": {"unit": "1/s", "start": 0, "stop": 10, "step": 2},
    }
    synth = Additive(factors=factors, duration=0.125)
    frontend = Waveform() if network == "conv1d" else CQT(hop=1024)
    return DataModule(Tones(synth, frontend), batch_size=7, mode="on_the_fly", seed=seed)


def make_run(
    folder: Path,
    objective: Objective,
    seed: int,
    network: str = "mlp",
    optimizer: Callable[..., torch.optim.Optimizer] = ADAM,
    callbacks: Sequence[pl.Callback] = (),
    **settings: Any,
) -> tuple[System, DataModule, pl.Trainer]:
    """The parts of a run as the command builds them, its trainer with a checkpoint every 3 steps."""
    torch.manual_seed(seed)
    data = make_data(network, seed)
    vae = VAE(data.shape, 3, *PAIRS[network], LearnedGaussian(0.3))
    kept = ModelCheckpoint(folder / "checkpoints", "last", every_n_train_steps=3, enable_version_counter=False)
    best = ModelCheckpoint(
        folder / "checkpoints", "best", monitor="validation/elbo", mode="max", enable_version_counter=False
    )
    parts = {"logger": CSVLogger(folder, "metrics"), "callbacks": [kept, best, *callbacks]}
    trainer = make_trainer(**parts, plugins=[AtomicCheckpointIO()], **settings)
    return System(vae, objective, optimizer, seed), data, trainer


def make_trainer(**settings: Any) -> pl.Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    steps = {"max_steps": STEPS, "val_check_interval": 8, "check_val_every_n_epoch": None, "log_every_n_steps": 1}
    return pl.Trainer(accelerator="cpu", **{**quiet, **steps, **settings})


def make_member(folder: Path, objective: Objective, seed: int = 0, **settings: Any) -> Member:
    system, data, trainer = make_run(folder, objective, seed, max_steps=0, inference_mode=False, **settings)
    trainer.fit(system, data, ckpt_path=newest(folder), weights_only=True)
    return Member(system, data, trainer)


def train_alone(folder: Path, objective: Objective, seed: int = 0, **settings: Any) -> System:
    system, data, trainer = make_run(folder, objective, seed, **settings)
    trainer.fit(system, data, ckpt_path=newest(folder), weights_only=True)
    return system


def logged(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "metrics" / "version_0" / "metrics.csv")


def check_equal(folder: Path, other: Path, tolerance: float = 0) -> None:
    """Losses, terms and weights, wherever they were logged or kept."""
    pd.testing.assert_frame_equal(logged(folder), logged(other), check_like=True, rtol=tolerance, atol=tolerance / 10)
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = (read(place / "checkpoints" / name) for place in (folder, other))
        assert ours.keys() == theirs.keys()
        assert ours["global_step"] == theirs["global_step"]
        for kept in ("state_dict", "optimizer_states"):
            torch.testing.assert_close(ours[kept], theirs[kept], rtol=1e-3 if tolerance else 0, atol=tolerance)


@pytest.mark.parametrize(
    ("network", "vectorised"),
    [("mlp", False), ("attention_rnn", False), *((name, True) for name in PAIRS if name != "attention_rnn")],
)
def test_every_member_is_its_single_run(network: str, vectorised: bool, tmp_path: Path) -> None:
    runs = [(tmp_path / f"{beta}-{seed}", Watched(beta), seed) for beta, seed in POINTS]
    members = [make_member(folder, objective, seed, network=network) for folder, objective, seed in runs]
    stacked.fit(members, make_trainer, vectorised)
    assert [member.error for member in members] == [None] * len(members)
    for folder, objective, seed in runs:
        train_alone(folder / "alone", objective, seed, network=network)
        losses, expected = (logged(place)["train/loss"].dropna() for place in (folder, folder / "alone"))
        assert len(losses) == STEPS
        assert losses.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-4)
        check_equal(folder, folder / "alone", 1e-3 if vectorised else 0)
        assert logged(folder)["train/rows"].equals(logged(folder / "alone")["train/rows"])


@pytest.mark.parametrize("vectorised", [False, True])
def test_members_whose_steps_have_several_batches_are_single_runs(vectorised: bool, tmp_path: Path) -> None:
    settings = {"accumulate_grad_batches": 4, "max_steps": 6, "val_check_interval": 2}
    members = [make_member(tmp_path / f"{beta}", Watched(beta), accumulate_grad_batches=4) for beta in (1.0, 8.0)]
    stacked.fit(members, partial(make_trainer, **settings), vectorised)
    assert [member.error for member in members] == [None, None]
    train_alone(tmp_path / "alone", Watched(8.0), **settings)
    check_equal(tmp_path / "8.0", tmp_path / "alone", 1e-3 if vectorised else 0)


def test_what_suits_network_and_device_is_chosen(tmp_path: Path) -> None:
    member = make_member(tmp_path, Watched(1.0), network="attention_rnn")
    stacked.fit([member], partial(make_trainer, max_steps=2))
    assert member.error is None


class Killed(pl.Callback):
    """Ends the process, as it were, after so many steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise KeyError("killed")


def check_ends_as(system: System, expected: System) -> None:
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(system.state_dict()[name], tensor, rtol=0, atol=0)


def test_a_killed_group_goes_on_as_a_group_or_run_by_run(tmp_path: Path) -> None:
    folders = {beta: tmp_path / f"{beta}" for beta in (1.0, 8.0)}
    with pytest.raises(KeyError):
        stacked.fit(
            [make_member(folder, Watched(beta)) for beta, folder in folders.items()],
            partial(make_trainer, callbacks=[Killed(11)]),
        )
    assert [read(folder / "checkpoints" / "last.ckpt")["global_step"] for folder in folders.values()] == [9, 9]
    whole = {beta: train_alone(tmp_path / f"whole {beta}", Watched(beta)) for beta in folders}
    shutil.copytree(folders[8.0], tmp_path / "copy")
    check_ends_as(train_alone(tmp_path / "copy", Watched(8.0)), whole[8.0])
    members = [make_member(folder, Watched(beta)) for beta, folder in folders.items()]
    assert members[0].trainer.global_step == 9
    stacked.fit(members, make_trainer)
    for member, expected in zip(members, whole.values(), strict=True):
        check_ends_as(member.system, expected)


def test_a_killed_single_run_goes_on_in_a_group(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        train_alone(tmp_path / "run", Watched(8.0), callbacks=[Killed(10)])
    member = make_member(tmp_path / "run", Watched(8.0))
    stacked.fit([member], make_trainer)
    check_ends_as(member.system, train_alone(tmp_path / "whole", Watched(8.0)))


class Exploding(BetaVAE):
    """Its loss is multiplied by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__(4.0, Constant())
        self.register_buffer("factor", torch.tensor(factor), persistent=False)

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        terms = super().forward(vae, batch, step)
        return {**terms, "loss": terms["loss"] * self.factor}


@pytest.mark.parametrize("vectorised", [False, True])
def test_a_lost_member_is_reported_and_harms_no_other(vectorised: bool, tmp_path: Path) -> None:
    lost, sound = (make_member(tmp_path / f"{factor}", Exploding(factor)) for factor in (math.nan, 1.0))
    stacked.fit([lost, sound], make_trainer, vectorised)
    assert "the loss is nan at step 1" in str(lost.error)
    assert sound.error is None
    train_alone(tmp_path / "alone", Exploding(1.0))
    check_equal(tmp_path / "1.0", tmp_path / "alone", 1e-3 if vectorised else 0)


def test_training_ends_when_all_are_lost(tmp_path: Path) -> None:
    member = make_member(tmp_path, Exploding(math.nan))
    stacked.fit([member], partial(make_trainer, log_every_n_steps=4))
    assert "the loss is nan at step 4" in str(member.error)
    assert member.trainer.global_step == 4


class Hidden(BetaVAE):
    """Chooses by a number what Python cannot choose for many at once."""

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        assert self.beta >= 0
        return super().forward(vae, batch, step)


class Critic(Objective):
    """An objective with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        return Watched(1.0)(vae, batch, step)


@pytest.mark.parametrize(
    ("parts", "settings", "message"),
    [
        ({}, {"gradient_clip_val": 1.0}, "trainer.gradient_clip_val clips the norm of all"),
        ({"optimizer": torch.optim.LBFGS}, {}, "optimizer: LBFGS does not move every number"),
        ({"callbacks": [EarlyStopping("validation/elbo")]}, {}, "callbacks: EarlyStopping acts in on_train_epoch_end"),
        ({"objective": Critic()}, {}, "an objective with parameters of its own"),
    ],
)
def test_what_cannot_be_stacked_is_refused_with_the_reason(
    parts: dict[str, Any], settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    member = make_member(tmp_path, **{"objective": Watched(1.0), **parts})
    with pytest.raises(ValueError, match=message):
        stacked.fit([member], partial(make_trainer, **settings))


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ((Hidden(1.0, Constant()), Hidden(2.0, Constant())), "cannot be computed for all runs at once"),
    ],
)
def test_what_cannot_be_computed_at_once_is_computed_one_by_one(
    objectives: Sequence[Objective], message: str, tmp_path: Path
) -> None:
    members = [make_member(tmp_path / f"{number}", objective) for number, objective in enumerate(objectives)]
    with pytest.raises(ValueError, match=f"{message}.*hydra.launcher.vmap=false"):
        stacked.fit(members, partial(make_trainer, max_steps=2), vectorised=True)
    members = [make_member(tmp_path / f"{number} again", objective) for number, objective in enumerate(objectives)]
    stacked.fit(members, partial(make_trainer, max_steps=2))
    assert [member.error for member in members] == [None, None]


def test_objectives_that_differ_in_more_than_their_buffers_are_refused(tmp_path: Path) -> None:
    members = [make_member(tmp_path / f"{steps}", BetaVAE(1.0, Warmup(steps))) for steps in (5, 6)]
    with pytest.raises(ValueError, match="objectives that differ in their schedule cannot be trained as one"):
        stacked.fit(members, partial(make_trainer, max_steps=2))


def test_a_network_with_running_statistics_is_refused(tmp_path: Path) -> None:
    member = make_member(tmp_path, Watched(1.0))
    member.system.model.encoder = nn.BatchNorm2d(1)
    with pytest.raises(ValueError, match="running statistics"):
        stacked.fit([member], make_trainer)
