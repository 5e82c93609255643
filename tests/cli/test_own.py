"""A part of one's own is one class and one YAML file outside of the package, or the YAML file alone."""

import json
import sys
from pathlib import Path

import pytest

from conftest import TOY, TOY_CONTRASTIVE
from disentone.cli import train as cli
from disentone.report import report

OBJECTIVE = """
from disentone.objectives import Objective


class Own(Objective):
    title = "my autoencoder"

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, model, batch, step):
        found = model.likelihood.nll(model.decoder(model.encode(batch.image).codes), batch.image).mean()
        return {"loss": self.weight * found, "fit": -found.detach(), "reconstruction": found.detach()}
"""
VIEWS = """
from disentone.data.views import Partners


class Own(Partners):
    supervision = "generator's neighbours"

    def draw(self, space, rows, draws, seed, attempt):
        return (rows + 1 + draws % 3 + attempt) % len(space)
"""
MODEL = """
from torch import nn

from disentone.models import Gaussian, Model, PointLatent


class Own(Model):
    kind = PointLatent

    def __init__(self, shape, latents: int = 5) -> None:
        pixels = shape[1] * shape[2]
        encoder = lambda shape, outputs: nn.Sequential(nn.Flatten(), nn.Linear(pixels, outputs))
        decoder = lambda latents, shape: nn.Sequential(nn.Linear(latents, pixels), nn.Unflatten(1, shape))
        super().__init__(shape, latents, encoder, latents, decoder, Gaussian(0.1))

    def encode(self, image):
        return PointLatent(self.encoder(image))
"""
SYNTH = """
from disentone.synths.synth import Partials, Synth, harmonic_numbers


class Own(Synth):
    defaults = {"f0": 300.0, "tilt": 1.0}

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.require("f0", 20, self.nyquist / 4, " Hz", "a quarter of Nyquist, ")

    def partials(self, parameters):
        k = harmonic_numbers(4, parameters["f0"]).double()
        amplitudes = 0.1 / k ** parameters["tilt"][:, None]
        return Partials(parameters["f0"][:, None] * k, amplitudes, amplitudes * 0)
"""
OWN_SYNTH = """
_target_: own_synth.Own
factors: {f0: {unit: Hz, values: [200, 300, 400, 500]}, tilt: {values: [0.5, 1, 2, 3, 4, 5]}}
fixed: {}
sample_rate: 16000
duration: 0.25
gain: fixed
random_phase: false
onset: 0.0
level_db: 0.0
seed: 0
"""
METHOD = """
# @package _global_
defaults:
  - override /objective: beta_vae

strength: objective.beta
objective: {beta: 3}
optimizer: {lr: 2e-3}
"""
FEW = ("data.max_rows", "synth.duration")
CASES = {
    "objective": (OBJECTIVE, "_target_: own_objective.Own\nweight: 2\n", TOY),
    "views": (VIEWS, "# @package data.views\n_target_: own_views.Own\n", TOY_CONTRASTIVE),
    "model": (
        MODEL,
        "_target_: own_model.Own\n_partial_: true\n",
        ("objective=supervised", *(word for word in TOY if not word.startswith("model"))),
    ),
    "synth": (SYNTH, OWN_SYNTH, tuple(word for word in TOY if not word.startswith(FEW))),
    "method": ("", METHOD, TOY),
}


@pytest.mark.parametrize("group", CASES)
def test_a_part_of_ones_own_is_trained_scored_and_reported(
    group: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, config, toy = CASES[group]
    (tmp_path / "mine" / group).mkdir(parents=True)
    (tmp_path / "mine" / group / "own.yaml").write_text(config)
    if code:
        (tmp_path / f"own_{group}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which the command adds the working folder
    words = [*toy, f"{group}=own", "logger=csv", "hydra.run.dir=run", "metrics.metrics=[mig]"]
    if not any(word.startswith("experiment") for word in words):
        words.insert(0, "experiment=quickstart")
    monkeypatch.setattr(sys, "argv", ["disentone train", "--config-dir", "mine", *words])
    cli.main()
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert "mig" in scores
    assert (tmp_path / "run" / "run.json").exists()
    told = {"views": "generator's neighbours", "model": "labels"}
    assert scores["settings"]["supervision"] == told.get(group, "none")
    page = report(tmp_path / "run").read_text()
    shown = {"objective": "my autoencoder", "synth": "tilt", "method": "beta 3"}
    assert shown.get(group, "f0") in page
