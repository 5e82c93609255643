"""disentone-evaluate on arrays and on a run folder: the table, the file, the messages."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.metrics import cases
from tests.reference import metrics as reference

from conftest import TOY
from disentone.cli.evaluate import main
from disentone.cli.train import train
from disentone.metrics import METRICS


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    z, v = cases.entangled()
    np.savez(tmp_path / "codes.npz", codes=z, factors=v, factor_names=["f0", "slope", "decay"])
    return tmp_path / "codes.npz"


def test_arrays_give_a_table_and_scores_next_to_them(codes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(codes), "--metrics", "mig,irs,info_e", "--preset", "robust", "--seed", "3"])
    printed = capsys.readouterr().out
    scores = json.loads((codes.parent / "scores.json").read_text())
    assert scores["settings"]["preset"] == "robust"
    assert scores["settings"]["seed"] == 3
    assert np.array(scores["mi_matrix"]).shape == (5, 3)
    for text in ("f0", "slope", "chance", "left out: ", f"{scores['mig']:.3f}", f"{scores['chance/info_e']:.3f}"):
        assert text in printed
    assert not list(codes.parent.glob("*.tmp"))


def test_options_choose_place_chance_and_trees(codes: Path) -> None:
    out = codes.parent / "sub" / "mine.json"
    options = ["--metrics", "dci", "--dci-backend", "lightgbm", "--no-chance", "--out", str(out)]
    main([str(codes), *options])
    scores = json.loads(out.read_text())
    assert scores["settings"]["dci_backend"] == "lightgbm"
    assert not [key for key in scores if key.startswith("chance/")]


def test_undefined_scores_are_null_and_say_why(codes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    z, v = cases.entangled()
    np.savez(codes, codes=z, factors=v[:, :1])
    main([str(codes), "--metrics", "mig,modularity"])
    assert "nan: modularity needs two factors to tell apart" in capsys.readouterr().out
    assert json.loads((codes.parent / "scores.json").read_text())["modularity"] is None


def test_help_explains_each_metric_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for name in (*METRICS, "traversal"):
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert 60 < len(line) < 140


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        (None, [], "codes.npz does not exist; give a run folder or an .npz file"),
        ({"z": np.ones((3, 2))}, [], "has no array codes and no array factors; it has z"),
        ({"codes": np.ones((3, 2)), "factors": np.ones((4, 2))}, [], "codes have 3 rows and factors 4"),
        ({"codes": np.full((3, 2), np.nan), "factors": np.eye(3)}, [], "codes must be finite; 6 entries are not"),
        ({"codes": np.array([["a"]]), "factors": np.eye(3)}, [], "codes must be numbers"),
        ({"codes": np.array([{}]), "factors": np.eye(3)}, [], "allow_pickle"),
        ({"codes": np.eye(3), "factors": np.eye(3)}, ["--metrics", "migg"], "no metric is called migg"),
    ],
)
def test_bad_input_is_one_line_and_status_two(
    arrays: dict | None, options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "codes.npz"
    if arrays is not None:
        np.savez(path, **arrays)
    with pytest.raises(SystemExit, match="2"):
        main([str(path), *options])
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "scores.json").exists()


def test_what_is_no_archive_and_what_is_no_run_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "codes.npz").write_text("no")
    for source, message in ((tmp_path / "codes.npz", "is no .npz file"), (tmp_path, "is no run folder")):
        with pytest.raises(SystemExit, match="2"):
            main([str(source)])
        assert message in capsys.readouterr().err


def test_a_run_folder_is_scored_as_training_scored_it(compose_config, tmp_path: Path) -> None:
    train(compose_config(["experiment=quickstart", *TOY, "logger=csv", "metrics.metrics=fast"]))
    run = tmp_path / "run"
    trained = json.loads((run / "scores.json").read_text())
    for key in ("irs", "info_m", "chance/med", "untrained/mig", "untrained/mig/f0", "traversal_purity"):
        assert isinstance(trained[key], float), key
    assert not [key for key in trained if key.startswith(("untrained/chance", "chance/untrained"))]
    written = (run / "scores.json").read_bytes()

    main([str(run), "--dci-backend", "lightgbm", "--metrics", "mig,dci,irs"])
    assert (run / "scores.json").read_bytes() == written
    scores = json.loads((run / "scores_dlib.json").read_text())
    saved = np.load(run / "codes.npz")
    assert scores["mig"] == pytest.approx(trained["mig"], abs=1e-6)
    assert scores["mig"] == pytest.approx(reference.mig(saved["codes"], saved["factors"]), abs=1e-6)
    for key in ("dci_completeness/f0", "chance/irs", "traversal_purity", "traversal_monotonicity"):
        assert scores[key] == pytest.approx(trained[key], abs=1e-4), key

    main([str(run / "codes.npz"), "--metrics", "mig", "--preset", "robust"])
    assert (run / "scores.json").read_bytes() == written
    assert json.loads((run / "scores_robust.json").read_text())["settings"]["factors"][0] == "f0"
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(SystemExit, match="2"):
        main([str(run)])
