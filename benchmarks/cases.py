"""What the benchmarks run on: the default family of tones, and the quickstart's parts, as configured."""

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from disentone.config import config_dir
from disentone.synths import Synth


def config(*overrides: str) -> DictConfig:
    """The config that the command would compose."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("train", ["run_dir=.", *overrides])


def synth(**changes: object) -> Synth:
    """The synth of the default preset."""
    return instantiate(config().synth, **changes)


def sounds(count: int, of: Synth) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and keys of so many seeded rows."""
    positions = of.space.sample(count, torch.Generator().manual_seed(0))
    return of.space.values(positions), torch.arange(count)


def tones(count: int) -> torch.Tensor:
    """So many seeded rows of the default preset, as audio."""
    tone = synth()
    return tone(*sounds(count, tone))
