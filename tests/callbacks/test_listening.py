"""What a run leaves to be heard: files whose sound is what their image shows."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure

import disentone
from conftest import toy
from disentone.callbacks import LatentMaps, Listening, Samples
from disentone.config import config_dir
from disentone.frontends import CQT
from disentone.run.train import train


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    arguments = ["experiment=quickstart", "logger=csv"]
    own = ["callbacks.listening.steps=3", "callbacks.listening.latents=2", "synth.duration=0.5"]
    overrides = [*arguments, *toy(arguments), *own, f"run_dir='{folder}'"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("train", overrides)
    train(cfg)
    return folder


def test_every_entry_has_its_picture_and_sounds(run_folder: Path) -> None:
    entries = json.loads((run_folder / "sounds" / "sounds.json").read_text())
    assert [entry["title"].split(" ")[0] for entry in entries][:1] == ["reconstruction"]
    assert len(entries) == 1 + 2
    for entry in entries:
        assert (run_folder / "sounds" / entry["picture"]).stat().st_size > 5_000
        for file in entry["audio"].values():
            info = soundfile.info(run_folder / "sounds" / file)
            assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
    played = soundfile.info(run_folder / "sounds" / entries[1]["audio"]["traversal"])
    assert played.frames == 3 * (8_000 + 1_600)


def test_the_original_is_the_synths_and_its_front_ends_version_sounds_like_it(run_folder: Path) -> None:
    entry = json.loads((run_folder / "sounds" / "sounds.json").read_text())[0]
    files = {label: soundfile.read(run_folder / "sounds" / file)[0] for label, file in entry["audio"].items()}
    run = disentone.load(run_folder)
    rows = run.data.rows("validation")[:1]
    original = run.data.audio(rows)[0].numpy()
    np.testing.assert_allclose(files["original"], original, atol=1e-4)
    back = torch.tensor(files["original through the front-end"], dtype=torch.float32)[None]
    image, expected = run.data.frontend(back), run.data.images(rows)
    assert (image - expected).abs().mean() < 0.05
    reconstruction = torch.tensor(files["reconstruction"], dtype=torch.float32)[None]
    assert reconstruction.abs().max() <= 1


def test_a_sound_above_full_scale_is_made_softer_and_says_so(tmp_path: Path) -> None:
    listening = Listening(tmp_path)
    listening.folder.mkdir()
    time = torch.arange(1600) / 16_000
    loud, soft = (level * torch.sin(2 * np.pi * 440 * time) for level in (1.27, 0.5))
    entry = listening._entry("sound", "a sound", Figure(), {"loud": loud, "soft": soft}, CQT(hop=1024))
    assert entry["softened_db"] == {"loud": pytest.approx(20 * np.log10(loud.abs().max().item()), abs=0.01)}
    written = {label: soundfile.read(listening.folder / file)[0] for label, file in entry["audio"].items()}
    # A clipped sine would stay there for a third of its samples.
    assert (np.abs(written["loud"]) > 0.9999).sum() < 20
    np.testing.assert_allclose(written["loud"] * loud.abs().max().item(), loud, atol=1e-4)
    np.testing.assert_allclose(written["soft"], soft, atol=1e-4)


@pytest.mark.parametrize(
    ("callback", "key", "name"),
    [
        (Listening, "count", "listening"),
        (Listening, "steps", "listening"),
        (Samples, "count", "samples"),
        (LatentMaps, "side", "latent_map"),
        (LatentMaps, "seconds", "latent_map"),
    ],
)
def test_settings_below_1_are_refused(callback, key: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"callbacks.{name}"):
        callback(tmp_path, **{key: 0})
