"""The digits' pictures: a map at every validation, one GIF of them all in the end."""

from pathlib import Path

import pytest
from PIL import Image

from conftest import toy
from disentone.run.train import train


@pytest.mark.parametrize("words", [["model.latents=2"], ["model.latents=3"], ["model.latents=2", "method=fsq"]])
def test_a_run_on_digits_ends_in_a_gif_of_its_maps(words: list[str], compose_config, tmp_path: Path) -> None:
    arguments = ["experiment=mnist", "logger=csv", *words]
    epochs = ["trainer.max_steps=-1", "trainer.max_epochs=3", "trainer.val_check_interval=1.0", "source.split=t10k"]
    train(compose_config([*arguments, *toy(arguments), *epochs]))
    figures = tmp_path / "run" / "figures"
    assert len(list(figures.glob("latent_map_*.png"))) == 3
    assert len(list(figures.glob("samples_*.png"))) == 3
    with Image.open(figures / "latent_map.gif") as gif, Image.open(next(figures.glob("latent_map_*.png"))) as still:
        assert gif.n_frames == 3
        assert gif.size == still.size
    assert not (tmp_path / "run" / "sounds").exists()
