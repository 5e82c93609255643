"""Does the contrastive method find the factors, and what does it lean on? python -m benchmarks.finding_factors.

Every case (all, or those named) is trained with seeds 0 to 4, the first with 5 to 9 too, by the command's own parts on
one thread. A run that is finished is a line of benchmarks/results/finding_factors.csv, written as it ends; the same
command goes on with those that are missing.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "finding_factors.csv"
SEEDS = range(10)
SEEDS_OF_A_CASE = 5
BELLS = """
defaults: [tones, _self_]
factors: {f0: {unit: Hz, start: 200, stop: 800, count: 16, spacing: log, step: null}, presence: {labels: [all, odd]}}
fixed: {}
partials: 8
"""
THREE_LABELS = """
defaults: [tones, _self_]
factors:
  f0: {unit: Hz, start: 110, stop: 880, count: 16, spacing: log, step: null}
  slope: {start: -0.1, stop: -0.9, count: 7, step: null}
  inharmonicity: {start: 0, stop: 1, count: 6, step: null}
  decay: {unit: 1/s, start: 0, stop: 10, count: 7, step: null}
  presence: {labels: [all, odd, even]}
"""
# Enough to score the encoder alone: the read-out changes no code.
ENCODER_ONLY = (
    "objective.refine_at=1500",
    "objective.read_out_at=3000",
    "trainer.max_steps=3010",
    "trainer.val_check_interval=1500",
)
CASES: dict[str, tuple[str, ...]] = {
    "tones": (),
    "tones, 16 latents": ("model.latents=16", *ENCODER_ONLY),
    "tones_smooth": ("synth=tones_smooth", *ENCODER_ONLY),
    "bells": ("synth=bells", *ENCODER_ONLY),
    "three labels": ("synth=three_labels", *ENCODER_ONLY),
    "tones, 4 latents": ("model.latents=4", *ENCODER_ONLY),
    "gaussian steps": ("views=gaussian", *ENCODER_ONLY),
    "student steps": ("views=student", *ENCODER_ONLY),
    "uniform steps": ("views=uniform", *ENCODER_ONLY),
    "correlated steps": ("views=correlated", *ENCODER_ONLY),
    "warped steps": ("views=warped", *ENCODER_ONLY),
    "held-out region": ("data/held_out=region", *ENCODER_ONLY),
    "held-out region, on the fly": ("data/held_out=region", "data.mode=on_the_fly", *ENCODER_ONLY),
    "transforms": ("views=transforms", *ENCODER_ONLY),
    "unrelated pairs": ("views=unrelated", *ENCODER_ONLY),
    "an image with itself": ("views=itself", *ENCODER_ONLY),
}
DCI = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
SCORES = ("mig", "mcc_pearson", "mcc_spearman")
READ_OUT = ("unexplained_variance", "traversal_purity")
COLUMNS = (
    "case", "seed", "kept_latents", "mig", "mig_by_factor", "dci_disentanglement_robust", "dci_completeness_robust",
    "dci_informativeness_robust", "mcc_pearson", "mcc_spearman", "mcc_inside", "mcc_outside", "info_nce",
    "unexplained_variance", "traversal_purity", "encoder_cpu_seconds", "training_cpu_seconds", "date", "torch",
)  # fmt: skip


def run(case: str, seed: int) -> dict[str, Any]:
    """Train and score one case with one seed."""
    import numpy as np
    import pandas as pd
    import pytorch_lightning as pl
    import torch
    from hydra import compose, initialize_config_dir

    from disentone.config import config_dir
    from disentone.metrics import evaluate
    from disentone.report.runs import read_run
    from disentone.run import train
    from disentone.run.folder import RunFolder

    class Clock(pl.Callback):
        """Processor seconds since training began."""

        def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            self.start, self.encoder = time.process_time(), 0.0

        def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.global_step == 3000 and not self.encoder:
                self.encoder = time.process_time() - self.start - self.validating

        def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            self.whole = time.process_time() - self.start - self.validating

        validating = 0.0

        def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            self.begun = time.process_time()

        def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            self.validating += time.process_time() - self.begun

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "conf" / "synth"
        own.mkdir(parents=True)
        (own / "bells.yaml").write_text(BELLS)
        (own / "three_labels.yaml").write_text(THREE_LABELS)
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            cfg = compose(
                "train",
                [
                    f"hydra.searchpath=[file://{folder}/conf]", "experiment=quickstart", "method=contrastive",
                    *CASES[case], f"seed={seed}", "logger=csv", f"run_dir={folder}/run", "~callbacks.listening",
                    "trainer.accelerator=cpu", "metrics.metrics=[mig,mcc]", "metrics.validation_metrics=[mig]",
                ],
            )  # fmt: skip
        clock, place = Clock(), RunFolder(f"{folder}/run")
        with train.reported(place):
            built = train.begin(cfg, place)
            built.trainer.callbacks.insert(0, clock)  # type: ignore[attr-defined]
            with train.closing_loggers(built):
                train.fit(built)
                train.score(built)
            train.finish(built)
        scores = read_run(place.path).numbers
        logged = pd.concat(pd.read_csv(path) for path in place.metrics)
        with np.load(place.codes) as arrays:
            names = [str(name) for name in arrays["factor_names"]]
            robust = evaluate(arrays["codes"], arrays["factors"], ["dci"], "robust")
            # The scores of the table are those of the saved codes.
            again = evaluate(arrays["codes"], arrays["factors"], ["mig", "mcc"], seed=seed)
    assert all(abs(again[key] - scores[key]) < 1e-9 for key in ("mig", "mcc_pearson", "mcc_spearman"))
    return {
        "case": case,
        "seed": seed,
        "kept_latents": int(scores["kept_latents"]),
        "mig_by_factor": " ".join(f"{name} {scores[f'mig/{name}']:.3f}" for name in names),
        **{f"{key}_robust": robust[key] for key in DCI},
        **{key: scores[key] for key in SCORES},
        # Of a read-out of ten steps there is nothing to say.
        **({key: scores[key] for key in READ_OUT} if not CASES[case] else {}),
        "mcc_inside": scores.get("inside/mcc_spearman"),
        "mcc_outside": scores.get("outside/mcc_spearman"),
        "info_nce": logged["validation/info_nce"].dropna().iloc[-1] if "validation/info_nce" in logged else None,
        "encoder_cpu_seconds": round(clock.encoder, 1),
        "training_cpu_seconds": round(clock.whole, 1),
        "date": time.strftime("%Y-%m-%d"),
        "torch": version("torch"),
    }  # fmt: skip


def finished() -> set[tuple[str, int]]:
    """Cases and seeds that the results hold."""
    if not RESULTS.exists():
        return set()
    with RESULTS.open(newline="") as file:
        return {(line["case"], int(line["seed"])) for line in csv.DictReader(file)}


def main() -> None:
    """All that is missing, each run in a process of its own."""
    if sys.argv[1:2] == ["--one"]:
        found = run(sys.argv[2], int(sys.argv[3]))
        is_new = not RESULTS.exists()
        with RESULTS.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if is_new:
                writer.writeheader()
            writer.writerow(
                {key: f"{value:.4f}" if isinstance(value, float) else value for key, value in found.items()}
            )
        return
    cases = sys.argv[1:] or list(CASES)
    if unknown := [case for case in cases if case not in CASES]:
        sys.exit(f"no case is called {unknown[0]}; there are {', '.join(CASES)}")
    wanted = [(case, seed) for seed in SEEDS for case in cases if seed < SEEDS_OF_A_CASE or not CASES[case]]
    for case, seed in wanted:
        if (case, seed) not in finished():
            command = [sys.executable, "-m", "benchmarks.finding_factors", "--one", case, str(seed)]
            if failed := subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}).returncode:
                sys.exit(failed)


if __name__ == "__main__":
    main()
