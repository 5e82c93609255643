"""Three lines of a notebook bring a run back."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import disentone
from disentone.report import report


@pytest.fixture
def run_folder(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def test_encode_decode_traverse_and_render_work(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = run_folder.rename(run_folder.with_name("moved"))
    monkeypatch.chdir("/")
    run = disentone.load(elsewhere)
    rows = run.data.rows("test")[:3]
    images, audio = run.data.images(rows), run.data.audio(rows)
    codes = run.model.encode(images).codes
    assert audio.shape == (3, 4000)
    assert run.model.decode(codes).shape == images.shape == (3, *run.data.shape)
    walk = run.data.space.traverse(run.data.positions(rows)[0], "f0")
    assert run.data.space.values(walk)[:, 0].tolist() == list(range(100, 1001, 50))
    assert run.config["objective"]["beta"] == 4
    assert not run.model.training


def test_codes_are_those_that_were_scored(run_folder: Path) -> None:
    run = disentone.load(run_folder)
    saved = np.load(run_folder / "codes.npz")
    rows = torch.tensor(saved["rows"])
    codes = run.model.encode(run.data.images(rows)).codes
    np.testing.assert_allclose(codes.detach().numpy(), saved["codes"], atol=1e-5)


def test_the_best_checkpoint_can_be_asked_for(run_folder: Path) -> None:
    best = disentone.load(run_folder, checkpoint="best.ckpt")
    assert best.model.latents == 10


def written(text: str | bytes) -> Callable[[Path], Any]:
    content = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / "config.yaml").write_bytes(content)


def configured(key: str, value: Any) -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        config = OmegaConf.load(folder / "config.yaml")
        OmegaConf.update(config, key, value, merge=False, force_add=True)
        OmegaConf.save(config, folder / "config.yaml")

    return change


def checkpointed(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def damage(folder: Path) -> None:
        path = folder / "checkpoints" / "last.ckpt"
        checkpoint = torch.load(path, weights_only=True)
        checkpoint["state_dict"] = change(checkpoint["state_dict"])
        torch.save(checkpoint, path)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.yaml").unlink(), "is no run folder: it has no config.yaml"),
        (shutil.rmtree, "is no run folder: it has no config.yaml"),
        (written(""), "data: expected a node with a _target_, got None"),
        (written("- data"), "config.yaml holds no config: expected names with values, got ListConfig"),
        (written("5"), "config.yaml"),
        (written("a:\n\tb: 1"), "config.yaml cannot be read: "),
        (written("a: é".encode("latin-1")), "config.yaml cannot be read: .*utf-8"),
        (written("a: &a [1]\nb: [*a, *a]"), "config.yaml cannot be read: it has YAML aliases"),
        (written("[" * 10_000), "config.yaml cannot be read: "),
        (written("a: {" * 10_000), "config.yaml cannot be read: "),
        (configured("model.encoder.hidden", "${model.encoder.hidden}"), "config.yaml cannot be resolved: "),
        (configured("data", None), "data: expected a node with a _target_, got None"),
        (configured("model", 5), "model: expected a node with a _target_, got 5"),
        (configured("model", {"latents": 5}), "model: expected a node with a _target_, got {'latents': 5}"),
        (configured("data.batches", 5), "data.batches: .* takes no batches; did you mean batch_size"),
        (configured("data.batch_size", "many"), "data.batch_size: expected int, got 'many'"),
        (configured("data.max_rows", "???"), r"data.max_rows: expected int \| None, got '\?\?\?'"),
        (configured("data.fractions", [1.0]), "describes no run that can be built: .*data.fractions must be three"),
        (configured("data.source", None), "data.source: expected Source, got None"),
        (configured("data.source", {"synth": 5}), "data.source: expected Source, got {'synth': 5}"),
        (configured("data._partial_", True), "describes no run that can be built: "),
        (configured("model._partial_", False), "describes no run that can be built: .*shape"),
        (configured("model.latents", 0), r"describes no run that can be built: .*model.latents must lie in 1\.\.4096"),
        (
            configured("model.latents", 9),
            "last.ckpt is of another network than .*config.yaml describes: .*size mismatch",
        ),
        (
            configured("model.decoder._target_", "torch.nn.Flatten"),
            "model.decoder.channels: .*Flatten takes no channels",
        ),
        (configured("model.decoder", {"_target_": "torch.nn.Flatten"}), "describes no run that can be built: "),
        (
            lambda folder: (folder / "checkpoints" / "last.ckpt").unlink(),
            "has no checkpoint last.ckpt; there are best.ckpt",
        ),
        (lambda folder: (folder / "checkpoints" / "last.ckpt").write_bytes(b"no"), "last.ckpt"),
        (checkpointed(list), "last.ckpt is no checkpoint of a training run"),
        (checkpointed(lambda weights: {}), "last.ckpt holds no weights of a model"),
        (checkpointed(lambda weights: {5: weights}), "last.ckpt holds no weights of a model"),
        (checkpointed(lambda weights: {name: [1] for name in weights}), "last.ckpt is of another network"),
        (checkpointed(lambda weights: dict.fromkeys(weights)), "last.ckpt is of another network"),
        (
            checkpointed(lambda weights: dict(list(weights.items())[1:])),
            "last.ckpt is of another network .*Missing key",
        ),
        (
            checkpointed(lambda weights: weights | {"model.x": torch.ones(1)}),
            "last.ckpt is of another .*Unexpected key",
        ),
    ],
)
def test_a_folder_that_is_no_run_is_refused(damage, message: str, run_folder: Path) -> None:
    damage(run_folder)
    with pytest.raises(ValueError, match=message):
        disentone.load(run_folder)


@pytest.mark.parametrize("device", ["cuda:99", "banana", "", None if torch.cuda.is_available() else "cuda"])
def test_a_device_that_is_not_there_is_named(device: Any, run_folder: Path) -> None:
    if device is not None:
        with pytest.raises(ValueError, match=r"device: there is no .* here; there are cpu"):
            disentone.load(run_folder, device=device)


def test_the_folder_says_what_it_was_made_with(run_folder: Path) -> None:
    facts = json.loads((run_folder / "run.json").read_text())
    assert facts["packages"]["torch"] == torch.__version__.split("+")[0]
    assert facts["seconds"] > 0
    assert {"git_commit", "git_dirty", "hardware", "command", "started", "python"} <= facts.keys()


def test_a_run_of_other_code_says_so_where_it_is_loaded_and_on_its_page(finished_run: Path, tmp_path: Path) -> None:
    for name, beta, commit in (("one", 4, "a" * 40), ("other", 5, "b" * 40)):
        shutil.copytree(finished_run, tmp_path / name)
        for file in ("begun.json", "run.json"):
            content = json.loads((tmp_path / name / file).read_text())
            for session in content.get("sessions", []):
                session.update(git_commit=commit, git_changes=None)
            if file == "begun.json":
                content["settings"]["objective.beta"] = beta
            (tmp_path / name / file).write_text(json.dumps(content))
    with pytest.warns(UserWarning, match=f"was trained by commit {'a' * 40}, and this is"):
        disentone.load(tmp_path / "one")
    assert "These runs are of 2 different states of the code" in report(tmp_path).read_text()
