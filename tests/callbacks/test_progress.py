"""The line at every validation: terms and scores by their titles."""

from pathlib import Path
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch

from disentone.callbacks import Progress


@pytest.mark.parametrize(
    ("metrics", "line"),
    [
        (
            {"validation/elbo": -3.0, "validation/kl": 2.0, "validation/fit": -3.0, "mig": 0.25, "chance/mig": 0.0},
            "ELBO -3  KL 2  MIG 0.25",
        ),
        ({"validation/info_nce": 1.5, "dci_disentanglement": 0.5, "sap": 0.1}, "InfoNCE 1.5  DCI D 0.5"),
        # The encoder rests: its loss is the last one that was measured.
        ({"validation/info_nce": 1.5, "validation/fit": -7.0, "mig": 1.0}, "read-out -7  MIG 1"),
        ({"validation/info_nce": 1.5, "validation/fit": float("nan")}, "InfoNCE 1.5"),
        ({"validation/fit": -7.0, "mig": 1.0}, "fit -7  MIG 1"),
    ],
)
def test_a_validation_says_how_good_the_model_is(
    metrics: dict[str, float], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {key: torch.tensor(value) for key, value in metrics.items()}
    trainer = Mock(spec=pl.Trainer, is_global_zero=True, global_step=7, callback_metrics=values, callbacks=[])
    Progress("toy", tmp_path / "run").on_validation_end(trainer, Mock(spec=pl.LightningModule))
    assert capsys.readouterr().out == f"toy run  step 7  {line}\n"
