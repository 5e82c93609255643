"""Runs trained as one are what each would have been alone."""

import math
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from tests.models.test_networks import PAIRS

from conftest import TOY, TOY_CONTRASTIVE
from disentone.checkpoints import AtomicCheckpointIO, newest, read
from disentone.codes import encode
from disentone.data import DataModule
from disentone.frontends import CQT, Waveform
from disentone.models import VAE, LearnedGaussian
from disentone.objectives import BetaVAE, Constant, Contrastive, Objective, Terms, Warmup, contrastive
from disentone.run import train
from disentone.run.folder import RunFolder
from disentone.shapes import Batch
from disentone.sources import Tones
from disentone.sweep import launcher, stacked
from disentone.sweep.stacked import Member
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
    return Member(system, data, trainer, str(seed))


def fit(members: Sequence[Member], **settings: Any) -> None:
    """Train members as the launcher does; every error is a member's own here."""
    none = {"logger": False, "enable_checkpointing": False, "limit_val_batches": 0}
    stacked.fit(members, make_trainer(**none, **settings))


def train_alone(folder: Path, objective: Objective, seed: int = 0, **settings: Any) -> System:
    system, data, trainer = make_run(folder, objective, seed, **settings)
    trainer.fit(system, data, ckpt_path=newest(folder), weights_only=True)
    return system


def logged(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "metrics" / "version_0" / "metrics.csv")


def check_equal(folder: Path, other: Path, tolerance: float = 0) -> None:
    """Losses, terms and weights, wherever they were logged or kept."""
    # What is counted jumps where a number is about to pass a bound; of a stage that is over, Lightning logs the last
    # loss of the pass on.
    frames = [
        frame.loc[:, ~frame.columns.str.contains("mig|shared|info_nce")] for frame in (logged(folder), logged(other))
    ]
    pd.testing.assert_frame_equal(*frames, check_like=True, rtol=tolerance, atol=tolerance / 10)
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = (read(place / "checkpoints" / name) for place in (folder, other))
        assert ours.keys() == theirs.keys()
        assert ours["global_step"] == theirs["global_step"]
        for kept in ("state_dict", "optimizer_states"):
            torch.testing.assert_close(ours[kept], theirs[kept], rtol=1e-3 if tolerance else 0, atol=10 * tolerance)


@pytest.mark.parametrize("network", [name for name in PAIRS if name != "attention_rnn"])
def test_every_member_is_its_single_run(network: str, tmp_path: Path) -> None:
    runs = [(tmp_path / f"{beta}-{seed}", Watched(beta), seed) for beta, seed in POINTS]
    members = [make_member(folder, objective, seed, network=network) for folder, objective, seed in runs]
    fit(members)
    assert [member.error for member in members] == [None] * len(members)
    for folder, objective, seed in runs:
        train_alone(folder / "alone", objective, seed, network=network)
        losses, expected = (logged(place)["train/loss"].dropna() for place in (folder, folder / "alone"))
        assert len(losses) == STEPS
        # Near 0 a loss is a small difference of large terms.
        assert losses.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-5, abs=1e-6 * expected.abs().max())
        check_equal(folder, folder / "alone", 1e-3)
        assert logged(folder)["train/rows"].equals(logged(folder / "alone")["train/rows"])


METHODS = {
    "ada_gvae": (*TOY, "experiment=quickstart", "method=ada_gvae"),
    "factor_vae": (*TOY, "experiment=quickstart", "method=factor_vae"),
    "fsq": (*TOY, "experiment=quickstart", "method=fsq"),
    "supervised": (*TOY, "experiment=quickstart", "method=supervised"),
    "contrastive": TOY_CONTRASTIVE,
}


@pytest.mark.parametrize("method", METHODS)
def test_a_member_of_any_method_is_its_single_run(
    method: str, compose_config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last digits decide which of equally bad axes PCA and ICA find for the codes of a toy.
    monkeypatch.setattr(contrastive, "independent_axes", lambda codes: np.eye(codes.shape[1]))
    monkeypatch.setattr(Contrastive, "_components", lambda self, model, data, codes, device: np.eye(codes.shape[1]))
    kept = [f"~callbacks.{name}" for name in ("reconstructions", "traversals", "listening")]
    lengths = ["trainer.max_steps=6", "trainer.val_check_interval=2", "trainer.log_every_n_steps=1"]
    lengths += ["callbacks.last.every_n_train_steps=1"]
    toy = [word for word in METHODS[method] if word.split("=")[0] != "trainer.max_steps" and "callbacks." not in word]
    words = [*toy, *kept, *lengths, "logger=csv"]
    runs = []
    for seed in (0, 1):
        cfg = compose_config([*words, f"seed={seed}"], tmp_path / f"{seed}")
        run = train.begin(cfg, RunFolder(tmp_path / f"{seed}"), max_steps=0, inference_mode=False)
        train.fit(run)
        runs.append((run, Member(run.system, run.data, run.trainer, str(seed))))
    launcher.train_together(runs, tmp_path)
    assert [member.error for _, member in runs] == [None, None]
    alone = train.begin(compose_config([*words, "seed=1"], tmp_path / "alone"), RunFolder(tmp_path / "alone"))
    train.fit(alone)
    assert runs[1][0].trainer.global_step == 6
    # The last digits decide, too, which latents of a pair lie below the bound of those that it shares.
    check_equal(tmp_path / "1", tmp_path / "alone", 1e-3 if method == "ada_gvae" else 1e-5)


class Killed(pl.Callback):
    """Ends the process, as it were, after so many steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise KeyError("killed")


def check_ends_as(system: System, expected: System, tolerance: float = 0) -> None:
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(system.state_dict()[name], tensor, rtol=tolerance, atol=tolerance)


def test_a_killed_group_goes_on_as_a_group_or_run_by_run(tmp_path: Path) -> None:
    folders = {beta: tmp_path / f"{beta}" for beta in (1.0, 8.0)}
    with pytest.raises(KeyError):
        fit([make_member(folder, Watched(beta)) for beta, folder in folders.items()], callbacks=[Killed(11)])
    assert [read(folder / "checkpoints" / "last.ckpt")["global_step"] for folder in folders.values()] == [9, 9]
    whole = {beta: make_member(tmp_path / f"whole {beta}", Watched(beta)) for beta in folders}
    fit(list(whole.values()))
    shutil.copytree(folders[8.0], tmp_path / "copy")
    check_ends_as(train_alone(tmp_path / "copy", Watched(8.0)), whole[8.0].system, 1e-3)
    members = [make_member(folder, Watched(beta)) for beta, folder in folders.items()]
    assert members[0].trainer.global_step == 9
    fit(members)
    for member, expected in zip(members, whole.values(), strict=True):
        check_ends_as(member.system, expected.system)


def test_a_killed_single_run_goes_on_in_a_group(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        train_alone(tmp_path / "run", Watched(8.0), callbacks=[Killed(10)])
    member = make_member(tmp_path / "run", Watched(8.0))
    fit([member])
    check_ends_as(member.system, train_alone(tmp_path / "whole", Watched(8.0)), 1e-3)


class Choosing(BetaVAE):
    """Chooses by a number what Python cannot choose for many at once."""

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        assert self.beta >= 0
        return super().forward(vae, batch, step)


class Exploding(BetaVAE):
    """Its loss is multiplied by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__(4.0, Constant())
        self.register_buffer("factor", torch.tensor(factor), persistent=False)

    def forward(self, vae: VAE, batch: Batch, step: int) -> Terms:
        terms = super().forward(vae, batch, step)
        return {**terms, "loss": terms["loss"] * self.factor}


def test_a_lost_member_is_named_at_its_validation_and_harms_no_other(tmp_path: Path) -> None:
    lost, sound = (make_member(tmp_path / f"{factor}", Exploding(factor)) for factor in (math.nan, 1.0))
    for member in (lost, sound):
        member.trainer.callbacks.append(Encoding())
    fit([lost, sound])
    assert "training diverged" in str(lost.error)
    assert sound.error is None
    train_alone(tmp_path / "alone", Exploding(1.0))
    check_equal(tmp_path / "1.0", tmp_path / "alone", 1e-3)


class Encoding(pl.Callback):
    """Looks at codes at every validation, as scores do."""

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        encode(pl_module.model, data, data.rows("train", 4), trainer.strategy.root_device)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"optimizer": torch.optim.LBFGS}, "optimizer: LBFGS does not move every number"),
        ({"network": "attention_rnn"}, "cannot be computed for all runs at once"),
        ({"objective": Choosing(1.0, Constant())}, "cannot be computed for all runs at once"),
    ],
)
def test_what_cannot_be_stacked_is_refused_with_the_reason(parts: dict[str, Any], message: str, tmp_path: Path) -> None:
    member = make_member(tmp_path, **{"objective": Watched(1.0), **parts})
    with pytest.raises(ValueError, match=message):
        fit([member])
