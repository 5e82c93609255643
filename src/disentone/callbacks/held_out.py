"""What the model makes of the part of the space that training left out."""

from collections.abc import Sequence

import pytorch_lightning as pl
import torch

from disentone.codes import BATCH, encode, model_and_data
from disentone.data import DataModule
from disentone.loggers import log_found
from disentone.metrics import evaluate
from disentone.shapes import Rows
from disentone.system import System

# The most rows that are looked through for those of the held-out part.
MOST_SEARCHED = 1_000_000


class HeldOutScores(pl.Callback):
    """At the test, reconstruction and scores inside and outside of the held-out part, if the data has one.

    Logged as ``test/inside/<term>`` and ``test/outside/<term>``, from where they reach ``scores.json``. Inside are
    rows of the held-out part, outside test rows beyond it. A factor with one value there is left out of the scores. Of
    a space of more than a million rows a seeded sample is searched.

    Args:
        rows: the most rows of either part.
        metrics: which scores.
        preset: of the metrics.
        seed: of the metrics.

    """

    def __init__(
        self, rows: int = 2_000, metrics: Sequence[str] = ("mig", "sap", "mcc"), preset: str = "dlib", seed: int = 0
    ) -> None:
        self.rows, self.metrics, self.preset, self.seed = rows, list(metrics), preset, seed

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure both parts and log the numbers."""
        _, data = model_and_data(trainer)
        if data.held_out is None:
            return
        found: dict[str, float] = {}
        for part, rows in self._parts(data).items() if trainer.is_global_zero else ():
            if len(rows):
                terms = self._terms(trainer, data, rows)
                found |= {f"test/{part}/{name}": term for name, term in terms.items()}
        log_found(trainer, found)

    def _parts(self, data: DataModule) -> dict[str, Rows]:
        assert data.held_out is not None
        space = data.space_of_grid
        every, test = data.evaluation_rows(MOST_SEARCHED), data.rows("test", MOST_SEARCHED)
        inside = every[data.held_out.contains(space, data.positions(every))]
        outside = test[~data.held_out.contains(space, data.positions(test))]
        order = torch.Generator().manual_seed(self.seed)
        return {
            name: rows[torch.randperm(len(rows), generator=order)[: self.rows]]
            for name, rows in (("inside", inside), ("outside", outside))
        }

    @torch.no_grad()
    def _terms(self, trainer: pl.Trainer, data: DataModule, rows: Rows) -> dict[str, float]:
        system: System = trainer.lightning_module  # type: ignore[assignment]
        vae, device = system.model, trainer.strategy.root_device
        nll = []
        for part in torch.split(rows, BATCH):
            image = data.images(part.to(device))
            nll.append(vae.likelihood.nll(vae.decoder(vae.encode(image).codes), image).cpu())
        latent = encode(vae, data, rows, device)
        factors = data.positions(rows)
        seen = [k for k in range(factors.shape[1]) if (factors[:, k] != factors[0, k]).any()]
        names = [data.factor_names[k] for k in seen]
        scores = evaluate(latent.codes, factors[:, seen], self.metrics, self.preset, self.seed, names) if seen else {}
        return {
            "rows": float(len(rows)),
            "reconstruction_of_mean": float(torch.cat(nll).mean()),
            **({} if latent.nats is None else {"kl": float(latent.nats.sum(dim=1).mean())}),
            **{name: score for name, score in scores.items() if isinstance(score, float)},
        }
