"""Sweeps over lists of points, by the sweeper alone and by the real command."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from tests.cli.test_train import run

from conftest import TOY, TOY_CONTRASTIVE

POINTS = [["objective.beta=1"], ["objective.beta=4"], ["method=contrastive"]]


def jobs(words: list[str], points: object = POINTS, size: int | None = None) -> list[list[list[str]]]:
    overrides = OverridesParser.create().parse_overrides(words)
    # As Hydra finds it, which loads its plugins, and its own sweeper, anew.
    sweeper = Plugins.instance().class_name_to_class["hydra_plugins.disentone_points.PointsSweeper"]
    return sweeper(points=points).split_arguments(overrides, size)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [["objective.beta=1"], ["objective.beta=4"], ["method=contrastive"]]),
        (
            ["name=a", "seed=0,1"],
            [
                ["name=a", "seed=0", "objective.beta=1"],
                ["name=a", "seed=1", "objective.beta=1"],
                ["name=a", "seed=0", "objective.beta=4"],
                ["name=a", "seed=1", "objective.beta=4"],
                ["name=a", "seed=0", "method=contrastive"],
                ["name=a", "seed=1", "method=contrastive"],
            ],
        ),
        (["method=beta_vae,contrastive"], [["method=beta_vae"], ["method=contrastive"]]),
        (["objective.beta=8"], [["objective.beta=8"]]),
        (["objective=beta_vae"], [["objective=beta_vae"]]),
        (["objective/schedule=warmup"], [["objective/schedule=warmup"]]),
    ],
)
def test_points_multiply_the_command_line_and_give_way_to_its_method(
    words: list[str], expected: list[list[str]]
) -> None:
    assert jobs(words) == [expected]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["objective.beta=4,4.0,4e0"], [["objective.beta=4"]]),
        (["optimizer.lr=1e-3,0.001,1e-4"], [["optimizer.lr=0.001"], ["optimizer.lr=0.0001"]]),
        (["name='4.0','4'"], [["name='4.0'"], ["name='4'"]]),
        (["seed=0,1,0"], [["seed=0"], ["seed=1"]]),
        (["model.encoder.channels=[4.0],[4]"], [["model.encoder.channels=[4.0]"], ["model.encoder.channels=[4]"]]),
        (["objective.beta=nan,inf"], [["objective.beta=nan"], ["objective.beta=inf"]]),
        (["+a=True,1"], [["+a=True"], ["+a=1"]]),
    ],
)
def test_one_point_has_one_spelling(words: list[str], expected: list[list[str]]) -> None:
    assert jobs(words, None) == [expected]


def test_jobs_come_in_chunks_and_without_points_as_hydra_makes_them() -> None:
    assert jobs(["seed=0,1"], None) == [[["seed=0"], ["seed=1"]]]
    assert [len(chunk) for chunk in jobs(["seed=0,1"], size=4)] == [4, 2]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (["method=contrastive"], r"expected a list of points.*got the point method=contrastive"),
        ([[]], r"got the point \[\]"),
        ([["objective.beta=1,2"]], r"each a list of overrides with one value.*objective.beta=1,2"),
    ],
)
def test_points_of_another_form_are_refused(points: object, message: str) -> None:
    with pytest.raises(HydraException, match=message):
        jobs([], points)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("methods")
    words = [word for word in TOY_CONTRASTIVE if not word.startswith(("method", "model.", "objective."))]
    return folder, run(folder, "-m", *words, "sweep=toy", "metrics.metrics=[mig,mcc]", "logger=csv")


def test_the_quickstart_sweeps_betas_and_the_contrastive_method(sweep) -> None:
    folder, result = sweep
    assert result.returncode == 0, result.stdout + result.stderr
    toy = folder / "outputs" / "toy"
    assert {path.parent.name for path in toy.glob("*/scores.json")} == {
        "method=contrastive",
        *(f"objective.beta={beta}" for beta in (1, 16, 64)),
    }
    table = pd.read_csv(toy / "results.csv")
    assert dict(zip(table["method"], table["supervision"], strict=True)) == {
        "beta-VAE": "none",
        "contrastive": "generator's neighbours",
    }
    assert table["strength"].dropna().tolist() == [1, 16, 64]
    assert not [name for name in table if name.startswith(("model.", "data.", "optimizer."))]


def test_its_end_answers_in_eighty_columns_with_no_number_cut(sweep) -> None:
    _, result = sweep
    end = result.stdout.split("supervision: ", 1)[1]
    shown = [line for line in end.splitlines() if "outputs" not in line]
    assert max(map(len, shown)) <= 80
    assert "…" not in end
    table = [line for line in end.splitlines() if line.strip().startswith(("beta-VAE, beta", "contrastive "))]
    assert len(table) == 4
    assert all(line.split()[-1].count(".") == 1 and len(line.split()[-1]) == 5 for line in table)
    assert "4 finished runs in" in end


def test_the_page_says_for_each_method_what_it_found_and_with_which_supervision(sweep) -> None:
    folder, _ = sweep
    text = (folder / "outputs" / "toy" / "report.html").read_text()
    answer = text[text.index('<table class="answer">') : text.index("</table>", text.index('<table class="answer">'))]
    for part in (
        '<th scope="row">beta-VAE, beta 16',
        '<th scope="row">contrastive',
        "generator&#39;s neighbours",
        "f0",
    ):
        assert part in answer, part
    assert "A partner may be of any split; no sound outside of a held-out part has a partner inside" in text
    assert "Scores by setting" in text


def test_the_same_sweep_again_trains_nothing(sweep) -> None:
    folder, _ = sweep
    words = [word for word in TOY_CONTRASTIVE if not word.startswith(("method", "model.", "objective."))]
    again = run(folder, "-m", *words, "sweep=toy", "metrics.metrics=[mig,mcc]", "logger=csv")
    assert again.returncode == 0
    assert again.stdout.count("is finished; nothing to do") == 4


def test_the_vectorised_launcher_trains_the_method_from_milestone_to_milestone(tmp_path: Path) -> None:
    words = [*TOY_CONTRASTIVE, "logger=csv", "metrics.metrics=[mig]"]
    result = run(tmp_path, "-m", *words, "sweep=toy", "seed=0,1", "hydra/launcher=vectorised")
    assert result.returncode == 0, result.stdout + result.stderr
    table = pd.read_csv(tmp_path / "outputs" / "toy" / "results.csv")
    assert table["seed"].tolist() == [0, 1]
    assert table["supervision"].tolist() == ["generator's neighbours"] * 2


def test_a_run_of_its_own_ends_with_its_scores_its_folder_and_the_way_to_its_page(tmp_path: Path) -> None:
    result = run(tmp_path, "experiment=quickstart", *TOY, "logger=csv", "hydra.run.dir=one")
    assert result.returncode == 0, result.stderr
    end = result.stdout[result.stdout.index("beta-VAE, beta 4 (supervision: none) finds") :].splitlines()
    assert any(line.startswith("  MIG ") and "chance" in line and "untrained" in line for line in end)
    assert end[-2].endswith("one")
    assert end[-1].startswith("disentone report ")
