"""Three lines of a notebook bring a run back."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import disentone


@pytest.fixture
def run_folder(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def test_encode_decode_traverse_and_render_work(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = run_folder.rename(run_folder.with_name("moved"))
    monkeypatch.chdir("/")
    run = disentone.load(elsewhere)
    rows = run.data.rows("test")[:3]
    sounds = run.data.sounds(rows)
    images, audio = run.data.images(rows), run.data.audio(sounds)
    codes = run.model.encode(images).mean
    assert audio.shape == (3, 4000)
    assert run.model.decode(codes).shape == images.shape == (3, *run.data.shape)
    walk = run.data.space.traverse(sounds.positions[0], "f0")
    assert run.data.space.values(walk)[:, 0].tolist() == list(range(100, 1001, 50))
    assert run.config["objective"]["beta"] == 4
    assert not run.model.training


def test_codes_are_those_that_were_scored(run_folder: Path) -> None:
    run = disentone.load(run_folder)
    saved = np.load(run_folder / "codes.npz")
    rows = torch.tensor(saved["rows"])
    codes = run.model.encode(run.data.images(rows)).mean
    np.testing.assert_allclose(codes.detach().numpy(), saved["codes"], atol=1e-5)


def test_the_best_checkpoint_can_be_asked_for(run_folder: Path) -> None:
    best = disentone.load(run_folder, checkpoint="best.ckpt")
    assert best.model.latents == 10


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.yaml").unlink(), "is no run folder: it has no config.yaml"),
        (
            lambda folder: (folder / "checkpoints" / "last.ckpt").unlink(),
            "has no checkpoint last.ckpt; there are best.ckpt",
        ),
        (lambda folder: (folder / "checkpoints" / "last.ckpt").write_bytes(b"no"), "last.ckpt"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(damage, message: str, run_folder: Path) -> None:
    damage(run_folder)
    with pytest.raises(ValueError, match=message):
        disentone.load(run_folder)


def test_the_folder_says_what_it_was_made_with(run_folder: Path) -> None:
    facts = json.loads((run_folder / "run.json").read_text())
    assert facts["packages"]["torch"] == torch.__version__.split("+")[0]
    assert facts["seconds"] > 0
    assert {"git_commit", "git_dirty", "hardware", "command", "started", "python"} <= facts.keys()
