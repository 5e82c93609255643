"""Sources of one's own, from a folder outside of this repository: with factors, with some unknown, and without any."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import disentone
from conftest import TOY, TOY_CONTRASTIVE
from disentone.cli import evaluate
from disentone.cli import train as cli
from disentone.factors import FactorSpace
from disentone.metrics import evaluate as evaluate_arrays
from disentone.report import report
from disentone.sources import Source

CODE = """
import torch
from disentone.factors import FactorSpace
from disentone.sources import Source


class Blobs(Source):
    shape, is_grid = (1, 16, 16), True

    def __init__(self, size: int = 12, seed: int = 0) -> None:
        sides = {"start": 0, "stop": size - 1, "step": 1}
        self.space = FactorSpace({"colour": sides, "place": sides})
        self.key = f"Blobs {size} {seed}"
        self.patterns = torch.rand(2, *self.shape, generator=torch.Generator().manual_seed(seed)) / 2

    def __len__(self) -> int:
        return len(self.space)

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        shares = self.space.grid(rows) / self.space.sizes[0]
        return torch.einsum("rf,fchw->rchw", shares.float(), self.patterns.to(rows.device))


class Partly(Blobs):
    is_grid = False

    def positions(self, rows: torch.Tensor) -> torch.Tensor:
        found = self.space.grid(rows).double()
        found[rows % 2 == 1, 1] = torch.nan  # the place of every second blob is unknown
        return found

    def groups(self, rows: torch.Tensor) -> torch.Tensor:
        return self.space.grid(rows)[:, 0]


class Unknown(Source):
    shape = (1, 16, 16)

    def __len__(self) -> int:
        return 300

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        draws = [torch.Generator().manual_seed(row) for row in rows.tolist()]
        return torch.stack([torch.rand(self.shape, generator=draw) for draw in draws])
"""
OF_TONES = ("synth", "frontend", "data.max_rows", "data.mode")


def train(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, words: Sequence[str]) -> dict:
    """The scores of a run on a source of a folder of one's own."""
    (folder / "conf" / "source").mkdir(parents=True)
    (folder / "conf" / "source" / "own.yaml").write_text(f"_target_: own_source.{name}\n")
    (folder / "own_source.py").write_text(CODE)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which the command adds the working folder
    monkeypatch.delitem(sys.modules, "own_source", raising=False)
    toy = [word for word in words if not word.startswith(OF_TONES)]
    own = ["source=own", "data.cache_dir=cache", "logger=csv", "hydra.run.dir=run"]
    metrics = "metrics.metrics=[mig,unsupervised]"
    monkeypatch.setattr(sys, "argv", ["disentone train", "--config-dir", "conf", *toy, *own, metrics])
    cli.main()
    return json.loads((folder / "run" / "scores.json").read_text())


def test_a_source_of_ones_own_is_trained_scored_and_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scores = train(monkeypatch, tmp_path, "Blobs", ["experiment=quickstart", *TOY])
    assert scores["settings"]["factors"] == ["colour", "place"]
    assert math.isfinite(scores["mig/colour"])
    assert math.isfinite(scores["traversal_purity"])
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1
    assert (tmp_path / "run" / "run.json").exists()
    assert not (tmp_path / "run" / "sounds").exists()
    with pytest.raises(ValueError, match="own_source"):
        disentone.load("run")
    run = disentone.load("run", trust=["own_source"])
    assert run.data.titles(torch.tensor([13])) == ["colour 1\nplace 1"]
    report(tmp_path / "run")
    assert "colour" in (tmp_path / "run" / "report.html").read_text()


def test_a_source_of_ones_own_has_partners(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scores = train(monkeypatch, tmp_path, "Blobs", TOY_CONTRASTIVE)
    assert scores["settings"]["supervision"] == "generator's neighbours"


def test_a_source_whose_labels_are_partly_known_is_scored_on_those_and_its_groups_stay_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scores = train(monkeypatch, tmp_path, "Partly", ["experiment=quickstart", *TOY])
    assert scores["settings"]["factors"] == ["colour", "place"]
    run = disentone.load("run", trust=["own_source"])
    found = {split: set(run.data.source.groups(run.data.rows(split)).tolist()) for split in ("train", "test")}
    assert not found["train"] & found["test"]
    codes = np.load(tmp_path / "run" / "codes.npz")
    is_known = np.isfinite(codes["factors"][:, 1])
    assert 0.3 < is_known.mean() < 0.7
    alone = evaluate_arrays(codes["codes"][is_known], codes["factors"][is_known, 1:], ["mig"], "dlib")
    assert scores["mig/place"] == pytest.approx(alone["mig"], abs=1e-9)
    assert scores["settings"]["unlabelled_rows"] == int((~is_known).sum())
    evaluate.main(["run", "--trust", "own_source", "--metrics", "mig"])
    again = json.loads((tmp_path / "run" / "scores_dlib.json").read_text())
    assert again["settings"]["unlabelled_rows"] == scores["settings"]["unlabelled_rows"]
    report(tmp_path / "run")
    assert "place" in (tmp_path / "run" / "report.html").read_text()


def test_a_run_without_factors_ends_without_their_scores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = train(monkeypatch, tmp_path, "Unknown", ["experiment=quickstart", *TOY])
    assert (tmp_path / "run" / "run.json").exists()
    assert scores["settings"]["factors"] == []
    assert scores["settings"]["reasons"]["mig"] == "nothing is known of the factors"
    assert not [key for key in scores if "mig" in key or "purity" in key]
    for key in ("wasserstein", "unexplained_variance", "active_units", "untrained/wasserstein", "kl"):
        assert math.isfinite(scores[key])
    codes = np.load(tmp_path / "run" / "codes.npz")
    assert (len(codes["codes"]), codes["factors"].shape, codes["factor_names"].shape) == (200, (200, 0), (0,))
    figures = {path.name.rpartition("_")[0] for path in (tmp_path / "run" / "figures").iterdir()}
    assert {"reconstructions", "traversals"} <= figures
    report(tmp_path / "run")
    assert (tmp_path / "run" / "report.html").exists()
    capsys.readouterr()
    evaluate.main(["run", "--trust", "own_source"])
    printed = capsys.readouterr().out
    assert "wasserstein" in printed
    assert "left out: mig, " in printed
    assert "(nothing is known of the factors)" in printed


class Half(Source):
    """Two factors, the second of which is unknown for every second row."""

    space = FactorSpace({"f0": {"start": 100, "stop": 300, "step": 100}, "player": {"labels": ["a", "b"]}})
    shape = (1, 1, 1)

    def __len__(self) -> int:
        return 6

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(rows), 1, 1, 1)

    def positions(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.stack([rows % 3, torch.where(rows % 2 == 0, 1, torch.nan)], dim=1)


def test_values_are_nan_where_they_are_unknown() -> None:
    values = Half().values(torch.arange(4))
    assert values.dtype == torch.float64
    assert values[:, 0].tolist() == [100, 200, 300, 100]
    assert values[::2, 1].tolist() == [1, 1]
    assert values[1::2, 1].isnan().all()
