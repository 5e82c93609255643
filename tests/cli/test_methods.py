"""Methods of every kind in one sweep: each says its supervision, and what it has no number of is left out."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import disentone
from conftest import TOY
from disentone.cli.evaluate import main as evaluate_command
from disentone.cli.train import main
from disentone.report.results import SweepResults
from disentone.run import train as command
from disentone.run.folder import RunFolder
from disentone.run.train import train

SUPERVISION = {
    "beta_vae": "none",
    "ada_gvae": "pairs",
    "factor_vae": "none",
    "fsq": "none",
    "supervised": "labels",
}
TITLES = ("beta-VAE", "Ada-GVAE", "FactorVAE", "FSQ autoencoder", "supervised")
WITHOUT_NATS = ("fsq", "supervised")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished sweep over the methods, trained in this process."""
    folder = tmp_path_factory.mktemp("methods")
    words = ["-m", "experiment=quickstart", f"method={','.join(SUPERVISION)}", *TOY, "sweep=toy", "logger=csv"]
    words += ["metrics.metrics=[mig]", "callbacks.listening.latents=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["disentone train", *words])
        patch.setattr(SweepResults, "folder", None)
        main()
    return folder / "outputs" / "toy"


def test_each_method_trains_to_its_scores_and_says_its_supervision(sweep: Path) -> None:
    table = pd.read_csv(sweep / "results.csv").set_index("run")
    assert {name.removeprefix("method="): told for name, told in table["supervision"].items()} == SUPERVISION
    assert sorted(table["method"]) == sorted(TITLES)
    for name in SUPERVISION:
        row = table.loc[f"method={name}"]
        assert np.isfinite(row[["reconstruction", "mig", "traversal_range"]].astype(float)).all()
        assert np.isnan(row["kl"]) == np.isnan(row["kl_per_latent/0"]) == (name in WITHOUT_NATS)


@pytest.mark.parametrize("method", SUPERVISION)
def test_pictures_and_sounds_name_nats_where_there_are_any(method: str, sweep: Path) -> None:
    run = sweep / f"method={method}"
    assert len(list((run / "figures").glob("traversals_*.png"))) == 1
    titles = [entry["title"] for entry in json.loads((run / "sounds" / "sounds.json").read_text())]
    assert len(titles) == 3
    assert [" nats" in title for title in titles] == [False, *[method not in WITHOUT_NATS] * 2]


def test_the_page_shows_every_method_and_bars_of_nats_where_there_are_any(sweep: Path) -> None:
    text = (sweep / "report.html").read_text()
    for title in TITLES:
        assert f'<th scope="row">{title}' in text
    assert "Pairs: sounds that share some of their factors; it is not said which." in text
    assert "the factors' values themselves, so that such scores are a ceiling." in text
    # One run of each method is looked at.
    assert text.count("<b>what each latent carries</b>") == len(TITLES) - len(WITHOUT_NATS)
    assert text.count("<b>codes by f0</b>") == len(TITLES)


def test_a_quantised_runs_codes_are_of_the_book_and_so_is_what_it_is_walked_over(sweep: Path) -> None:
    run = disentone.load(sweep / "method=fsq")
    with np.load(sweep / "method=fsq" / "codes.npz") as arrays:
        for latent, codes in enumerate(arrays["codes"].T):
            assert np.isin(codes, run.model.book(latent).double().numpy()).all()


@pytest.mark.parametrize("finished", [True, False])
def test_an_evaluation_says_that_labels_were_seen(finished: bool, sweep: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sweep / "method=supervised", copy)
    if not finished:
        (copy / "scores.json").unlink()
    evaluate_command([str(copy), "--metrics", "mig"])
    assert json.loads((copy / "scores_dlib.json").read_text())["settings"]["supervision"] == "labels"


@pytest.mark.parametrize("method", ["ada_gvae", "factor_vae", "supervised"])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    method: str, compose_config, tmp_path: Path
) -> None:
    """The critic's weights and the labels' means among them."""
    words = ["experiment=quickstart", f"method={method}", *TOY, "logger=csv", "trainer.max_steps=3"]
    words += ["callbacks.last.every_n_train_steps=1", "trainer.limit_val_batches=0"]
    ends = []
    for name, stops in (("whole", [3]), ("resumed", [1, 3])):
        for stop in stops:
            run = command.begin(compose_config(words, tmp_path / name), RunFolder(tmp_path / name), max_steps=stop)
            command.fit(run)
        ends.append(run.system.state_dict())
    assert any(name.startswith("objective.") for name in ends[0]) == (method != "ada_gvae")
    for name, value in ends[0].items():
        assert ends[1][name] == value if isinstance(value, dict) else torch.equal(ends[1][name], value), name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["method=factor_vae", "+trainer.accumulate_grad_batches=2"], "FactorVAE objective compares the rows of a bat"),
        (["method=factor_vae", "trainer.devices=2", "+trainer.strategy=ddp"], "expected trainer.devices=1, got 2"),
        (["method=ada_gvae", "~data.views"], "the Ada-GVAE objective learns from pairs, .* take views=sharing"),
        (["method=ada_gvae", "data.views.k=4"], "views.k=4 leaves no factor that partners share, since there are 4"),
        (["method=fsq", "objective=beta_vae"], "the beta-VAE objective needs posteriors, and QuantisedAutoencoder has"),
        (
            ["method=supervised", "objective=contrastive", "views=laplace", "trainer.max_steps=9"],
            "got PointAutoencoder with ConvEncoder",
        ),
        (["method=supervised", "model.latents=3"], "4 factors have 3; expected model.latents=4 or more"),
        (["method=fsq", "model.levels=[3,3]"], "one number or one for each of the 10 latents"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], message: str, compose_config) -> None:
    with pytest.raises(Exception, match=message):
        train(compose_config(["experiment=quickstart", *TOY, "logger=csv", *words]))
