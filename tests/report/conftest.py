"""Sweeps made of copies of one finished toy run."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml


@pytest.fixture
def copies(finished_run: Path, tmp_path: Path) -> Callable[..., Path]:
    """A sweep folder of copies of the run, their betas, seeds and scores changed; higher beta, higher scores."""

    def copied(betas: Sequence[float], seeds: Sequence[int], whole: bool = True) -> Path:
        draws = np.random.default_rng(0)
        for beta in betas:
            for seed in seeds:
                folder = tmp_path / "toy" / f"objective.beta={beta:g},seed={seed}"
                if whole:
                    shutil.copytree(finished_run, folder)
                else:
                    folder.mkdir(parents=True)
                    shutil.copy(finished_run / "run.json", folder)
                change(finished_run / "config.yaml", folder / "config.yaml", beta, seed)
                scores = json.loads((finished_run / "scores.json").read_text())
                for key in ("mig", "mig/f0", "dci_disentanglement", "sap"):
                    scores[key] = 0.1 * np.log2(1 + beta) + 0.01 * draws.random()
                scores["reconstruction"] = 10 * beta + draws.random()
                (folder / "scores.json").write_text(json.dumps(scores))
        return tmp_path / "toy"

    return copied


def change(source: Path, target: Path, beta: float, seed: int) -> None:
    config = yaml.safe_load(source.read_text())
    config["objective"]["beta"], config["seed"] = beta, seed
    target.write_text(yaml.safe_dump(config))
