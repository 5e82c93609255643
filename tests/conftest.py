"""What the tests share: composed configs and toy parts."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from disentone.config import config_dir
from disentone.data import SyntheticData
from disentone.frontends import CQT
from disentone.synths import Additive

EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))

# Everything at toy size, by the commands' own options.
TOY = (
    "synth.duration=0.25",
    "frontend.hop=1024",
    "model.encoder.channels=[4,8]",
    "model.encoder.hidden=16",
    "data.max_rows=200",
    "data.mode=on_the_fly",
    "data.batch_size=16",
    "trainer.max_steps=2",
    "trainer.val_check_interval=2",
    "trainer.accelerator=cpu",
    "metrics.validation_metrics=[mig]",
    "metrics.validation_rows=100",
    "metrics.rows=200",
    "metrics.metrics=[mig,dci,sap]",
    "callbacks.reconstructions.count=2",
    "callbacks.traversals.steps=2",
    "callbacks.traversals.latents=2",
)


@pytest.fixture
def compose_config(tmp_path: Path) -> Callable[..., DictConfig]:
    """The config of overrides, as the command would compose it, in a run folder of its own."""

    def composed(overrides: Sequence[str] = (), run_dir: Path | None = None) -> DictConfig:
        folder = run_dir or tmp_path / "run"
        folder.mkdir(parents=True, exist_ok=True)
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return compose("train", [*overrides, f"run_dir='{folder}'"])

    return composed


@pytest.fixture(scope="session")
def small_data() -> SyntheticData:
    """Two-factor tones of a quarter of a second, 48 rows."""
    synth = Additive(
        factors={
            "f0": {"unit": "Hz", "start": 200, "stop": 900, "step": 100},
            "decay": {"unit": "1/s", "start": 0, "stop": 10, "step": 2},
        },
        duration=0.25,
    )
    return SyntheticData(synth, CQT(hop=1024), batch_size=7, mode="on_the_fly")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
