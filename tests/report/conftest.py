"""Sweeps made of copies of one finished toy run."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest


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
                change(finished_run / "begun.json", folder / "begun.json", beta, seed)
                scores = json.loads((finished_run / "scores.json").read_text())
                for key in ("mig", "mig/f0", "dci_disentanglement", "sap"):
                    scores[key] = 0.1 * np.log2(1 + beta) + 0.01 * draws.random()
                scores["reconstruction"] = 10 * beta + draws.random()
                (folder / "scores.json").write_text(json.dumps(scores))
        return tmp_path / "toy"

    return copied


def change(source: Path, target: Path, beta: float, seed: int) -> None:
    content = json.loads(source.read_text())
    content["config"]["objective"]["beta"], content["config"]["seed"] = beta, seed
    content["settings"] |= {"objective.beta": beta, "seed": seed}
    target.write_text(json.dumps(content))
