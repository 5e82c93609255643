"""What the tests share: composed configs and toy parts."""

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from disentone.config import config_dir, flat, plain
from disentone.data import DataModule
from disentone.frontends import CQT
from disentone.run.train import train
from disentone.sources import Tones
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
    "callbacks.listening.count=1",
    "callbacks.listening.steps=2",
    "callbacks.listening.latents=1",
)
# The contrastive method at toy size: three stages of two steps each.
TOY_CONTRASTIVE = (
    "experiment=quickstart",
    "method=contrastive",
    *(word for word in TOY if not word.startswith(("model.", "trainer.max_steps", "trainer.val"))),
    "model.latents=5",
    "model.encoder.hidden=[16]",
    "model.decoder.hidden=[16]",
    "objective.refine_at=2",
    "objective.read_out_at=4",
    "trainer.max_steps=6",
    "trainer.val_check_interval=2",
)
TOY_DIGITS = ("callbacks.latent_map.side=3", "callbacks.samples.count=4")


def toy(arguments: Sequence[str]) -> list[str]:
    """The overrides of TOY that what the arguments choose has, for runs of any data and network."""
    words = [word for word in arguments if "=" in word and not word.startswith(("-", "~", "hydra")) and "," not in word]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("train", [*words, "run_dir=."])
    known = dict(flat(plain(cfg)))
    if "experiment=networks" in words:
        known = {key: value for key, value in known.items() if not key.startswith("model.")}
    if cfg.source._target_.endswith("Digits"):
        known.pop("metrics.metrics")
    pairs = [(override, *override.split("=")) for override in (*TOY, *TOY_DIGITS)]
    return [
        text for text, key, value in pairs if key in known and isinstance(known[key], list) == value.startswith("[")
    ]


@pytest.fixture(scope="session", autouse=True)
def _toy_digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MNIST's files at toy size, where experiments look for them."""
    folder = tmp_path_factory.mktemp("digits")
    for name, count in (("train", 240), ("t10k", 200)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{name}-{kind}-ubyte").write_bytes(header + array.tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISENTONE_MNIST", str(folder))
        yield


@pytest.fixture
def compose_config(tmp_path: Path) -> Callable[..., DictConfig]:
    """The config of overrides, as the command would compose it, in a run folder of its own."""

    def composed(overrides: Sequence[str] = (), run_dir: Path | None = None) -> DictConfig:
        folder = run_dir or tmp_path / "run"
        folder.mkdir(parents=True, exist_ok=True)
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return compose("train", [*overrides, f"run_dir='{folder}'"])

    return composed


def make_small_data() -> DataModule:
    """Two-factor tones of a quarter of a second, 48 rows."""
    synth = Additive(
        factors={
            "f0": {"unit": "Hz", "start": 200, "stop": 900, "step": 100},
            "decay": {"unit": "1/s", "start": 0, "stop": 10, "step": 2},
        },
        duration=0.25,
    )
    return DataModule(Tones(synth, CQT(hop=1024)), batch_size=7, mode="on_the_fly")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished toy run, to be looked at or copied."""
    folder = tmp_path_factory.mktemp("finished") / "objective.beta=1,seed=0"
    folder.mkdir()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        train(compose("train", ["experiment=quickstart", *TOY, "logger=csv", f"run_dir='{folder}'"]))
    return folder


@pytest.fixture(scope="session")
def small_data() -> DataModule:
    """As made above, for all tests."""
    return make_small_data()


def pytest_configure() -> None:
    """One thread for everything, the folders that all tests share included: other counts change the last digits."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
