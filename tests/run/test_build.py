"""What is decided while a run is built."""

import pytest
import torch

from conftest import TOY
from disentone.run.build import build
from disentone.run.folder import RunFolder


def test_a_macs_gpu_is_left_alone_unless_it_is_asked_for(compose_config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    toy = [word for word in TOY if not word.startswith("trainer.accelerator")]
    cfg = compose_config(["experiment=quickstart", *toy, "logger=csv", "trainer.accelerator=auto"])
    assert build(cfg, RunFolder(cfg.run_dir)).trainer.strategy.root_device.type == "cpu"
    assert cfg.trainer.accelerator == "auto"
