"""One finished toy run, and sweeps made of its copies."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir

from conftest import TOY
from disentone.cli.train import train
from disentone.config import config_dir


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "objective.beta=1,seed=0"
    folder.mkdir()
    overrides = ["experiment=quickstart", *TOY, "metrics.metrics=[mig,dci,sap]", "logger=csv", f"run_dir='{folder}'"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        train(compose("train", overrides))
    return folder


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
