"""The contrastive method by the real command's parts: resumed anywhere, looked at as any run, refused where it must."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import disentone
from conftest import TOY_CONTRASTIVE
from disentone.cli.evaluate import main as evaluate_command
from disentone.metrics import evaluate
from disentone.report import report
from disentone.run import train as command
from disentone.run.folder import RunFolder
from disentone.run.train import train

QUIET = (*TOY_CONTRASTIVE, "logger=csv", "callbacks.last.every_n_train_steps=1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished toy run with all that it leaves behind."""
    from hydra import compose, initialize_config_dir

    from disentone.config import config_dir

    folder = tmp_path_factory.mktemp("contrastive") / "run"
    folder.mkdir()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        train(compose("train", [*QUIET, "metrics.metrics=[mig,mcc]", f"run_dir='{folder}'"]))
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 6
    return checkpoint["state_dict"]


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_a_run_resumed_in_any_stage_or_at_a_milestone_ends_with_the_same_weights(
    step: int, finished: Path, compose_config, tmp_path: Path
) -> None:
    cfg = compose_config([*QUIET, "metrics.metrics=[mig,mcc]"])
    run = command.begin(cfg.copy(), RunFolder(tmp_path / "run"), max_steps=step)
    command.fit(run)
    assert not (tmp_path / "run" / "scores.json").exists()
    train(cfg)
    expected, found = weights(finished), weights(tmp_path / "run")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value) if isinstance(value, torch.Tensor) else found[name] == value, name
    assert {"model._extra_state", "objective._extra_state", "model.encoder.matrix"} <= expected.keys()
    one, other = (json.loads((folder / "scores.json").read_text()) for folder in (finished, tmp_path / "run"))
    assert one == other


def test_the_encoder_rests_while_its_codes_are_read_out(finished: Path, compose_config, tmp_path: Path) -> None:
    run = command.begin(compose_config([*QUIET]), RunFolder(tmp_path / "run"), max_steps=5)
    command.fit(run)
    before = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    after = weights(finished)
    for name, value in before.items():
        if name.startswith("model.encoder") or (name.startswith("objective.") and isinstance(value, torch.Tensor)):
            assert torch.equal(after[name], value), name
    assert not torch.equal(after["model.decoder.0.weight"], before["model.decoder.0.weight"])


def test_scores_name_method_supervision_and_the_latents_left_out(finished: Path) -> None:
    scores = json.loads((finished / "scores.json").read_text())
    assert scores["settings"]["method"] == "contrastive"
    assert scores["settings"]["supervision"] == "generator's neighbours"
    kept = int(scores["kept_latents"])
    assert scores["settings"]["left_out"] == list(range(kept, 5))
    assert scores["active_units"] == kept
    assert {"fit", "reconstruction", "unexplained_variance", "untrained/mig", "mcc_pearson/f0"} <= scores.keys()
    with np.load(finished / "codes.npz") as arrays:
        assert (arrays["codes"][:, kept:] == 0).all()
        again = evaluate(arrays["codes"], arrays["factors"], ["mig", "mcc"])
    for key in ("mig", "mcc_pearson", "mcc_spearman"):
        assert again[key] == pytest.approx(scores[key], abs=1e-9)


def test_a_loaded_run_encodes_as_its_saved_codes(finished: Path) -> None:
    run = disentone.load(finished)
    with np.load(finished / "codes.npz") as arrays:
        rows, codes = torch.from_numpy(arrays["rows"][:9]), arrays["codes"][:9]
    np.testing.assert_allclose(run.model.encode(run.data.images(rows)).codes.detach().numpy(), codes, atol=1e-5)
    assert run.model.left_out == tuple(json.loads((finished / "scores.json").read_text())["settings"]["left_out"])


def test_an_evaluation_names_the_supervision_too(finished: Path, tmp_path: Path, capsys) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    evaluate_command([str(copy), "--metrics", "mig", "--preset", "robust"])
    assert "copy, preset robust, supervision: generator's neighbours" in capsys.readouterr().out.replace("\n", "")
    settings = json.loads((copy / "scores_robust.json").read_text())["settings"]
    assert settings["supervision"] == "generator's neighbours"


def test_pictures_sounds_and_page_are_those_of_any_run(finished: Path, tmp_path: Path) -> None:
    assert len(list((finished / "figures").glob("traversals_*.png"))) == 3
    entries = json.loads((finished / "sounds" / "sounds.json").read_text())
    # Which of the latents leads is decided by the last bits of their variances.
    assert [entry["title"][0] for entry in entries] == ["r", "z"]
    assert "KL" not in entries[1]["title"]
    text = report(finished).read_text()
    assert "contrastive (supervision: generator" in text
    kept = 5 - len(json.loads((finished / "scores.json").read_text())["settings"]["left_out"])
    assert ("z4 (left out)" in text) == (kept < 5)
    assert "what each latent carries" not in text


def test_the_best_checkpoint_is_of_the_read_out(finished: Path) -> None:
    best = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["global_step"] == 6
    assert best["state_dict"]["objective._extra_state"] == {"stage": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["+trainer.accumulate_grad_batches=2"], "expected trainer.accumulate_grad_batches=1, got 2"),
        (["trainer.devices=2", "+trainer.strategy=ddp"], "expected trainer.devices=1, got 2"),
        (["trainer.max_steps=4"], "objective.read_out_at < trainer.max_steps, got 2, 4 and 4"),
        (["data.continuous=true"], "cannot go with data.continuous"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    changes: list[str], message: str, compose_config, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=message):
        train(compose_config([*QUIET, *changes]))
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["model=whitened_mlp", "objective=contrastive"],
            "learns from pairs, and the data has none; take views=laplace",
        ),
        (["model=whitened_mlp"], "needs posteriors, and PointAutoencoder has points for codes"),
        (["views=laplace"], "views pair every row with another one, which the beta-VAE objective has no use for"),
        (["objective=contrastive", "views=laplace"], "needs points for codes, and VAE has posteriors"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(words: list[str], message: str, compose_config) -> None:
    with pytest.raises(ValueError, match=message):
        train(compose_config(["experiment=quickstart", "logger=csv", "data.mode=on_the_fly", *words]))
