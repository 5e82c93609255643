"""The network by torch.compile."""

import pytorch_lightning as pl
import torch

from disentone.system import System


class CompiledNetwork(pl.Callback):
    """Encoder and decoder are compiled when training first calls them; checkpoints and a loaded run are as without.

    Args:
        backend: of ``torch.compile``.

    """

    def __init__(self, backend: str = "inductor") -> None:
        self.backend = backend

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Compile in place, before DDP wraps the system."""
        if stage == "fit":
            system: System = pl_module  # type: ignore[assignment]
            torch.compiler.reset()  # graphs of an earlier run in this process count against torch's limit of them
            for part in (system.model.encoder, system.model.decoder):
                part.compile(backend=self.backend)
