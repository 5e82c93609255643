"""disentone evaluate on arrays and on a run folder: the table, the file, the messages."""

import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from tests.metrics import cases
from tests.reference import metrics as reference

from conftest import TOY
from disentone.cli.evaluate import main
from disentone.metrics import METRICS
from disentone.run.train import train


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    z, v = cases.entangled()
    np.savez(tmp_path / "codes.npz", codes=z, factors=v, factor_names=["f0", "slope", "decay"])
    return tmp_path / "codes.npz"


def test_arrays_give_a_table_and_scores_next_to_them(codes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(codes), "--metrics", "mig,irs,info_e", "--preset", "robust", "--seed", "3"])
    printed = capsys.readouterr().out
    scores = json.loads((codes.parent / "codes_scores_robust.json").read_text())
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
    assert json.loads((codes.parent / "codes_scores_dlib.json").read_text())["modularity"] is None


def test_dci_is_scored_as_in_training_and_what_cannot_be_learnt_is_null(
    codes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    z, v = cases.entangled()
    v[:, 0] = np.arange(len(v))
    np.savez(codes, codes=z, factors=v)
    main([str(codes), "--metrics", "dci,unsupervised"])
    told = capsys.readouterr().out
    assert "preset dlib, DCI by lightgbm" in told.replace("\n", "")
    assert "nan: the 234 test rows hold only values of factor 0 that were never fitted" in told
    (line,) = [line for line in told.splitlines() if "gaussian_tc" in line]
    assert len(re.findall(r"\d\.\d{3}", line)) == 1  # no chance of what knows no factors
    text = (codes.parent / "codes_scores_dlib.json").read_text()
    scores = json.loads(text, parse_constant=pytest.fail)
    assert [row[0] for row in scores["dci_importance"]] == [None] * 5
    assert scores["dci_completeness/1"] > 0


def test_files_side_by_side_keep_their_own_scores(codes: Path) -> None:
    shutil.copy(codes, codes.with_name("other.npz"))
    (codes.parent / "scores.json").write_text("{}")
    for name in ("codes", "other"):
        main([str(codes.with_name(f"{name}.npz")), "--metrics", "mig"])
    assert sorted(path.name for path in codes.parent.glob("*.json")) == [
        "codes_scores_dlib.json",
        "other_scores_dlib.json",
        "scores.json",
    ]
    assert (codes.parent / "scores.json").read_text() == "{}"


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
        ({"codes": np.array([{}]), "factors": np.eye(3)}, [], "array codes cannot be read; numpy.savez writes it anew"),
        ({"codes": np.eye(3), "factors": np.eye(3)}, ["--out", "."], "--out . is a folder; name a file in it"),
    ],
)
def test_bad_input_is_one_line_and_status_one(
    arrays: dict | None, options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "codes.npz"
    if arrays is not None:
        np.savez(path, **arrays)
    with pytest.raises(SystemExit, match="1"):
        main([str(path), *options])
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "migg"], "no metric is called migg"),
        (["--seed", "-1"], "seed must be a whole number from 0"),
        (["--seed", "1.5"], "invalid int value: '1.5'"),
        (["--preset", "old"], "invalid choice: 'old'"),
    ],
)
def test_wrong_options_are_status_two(
    options: list[str], message: str, codes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(codes), *options])
    assert message in capsys.readouterr().err


def declare(path: Path, shape: tuple[int, ...]) -> None:
    """Write an .npz whose codes claim a shape and hold 8 bytes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("codes.npy", header.getvalue() + bytes(8))


def test_damaged_archives_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, shape in (("huge", (10**11, 4)), ("short", (30, 2))):
        np.savez(tmp_path / f"{name}.npz", factors=np.eye(3))
        declare(tmp_path / f"{name}.npz", shape)
    np.savez_compressed(
        tmp_path / "stream.npz", codes=np.random.default_rng(0).normal(size=(500, 4)), factors=np.eye(3)
    )
    content = bytearray((tmp_path / "stream.npz").read_bytes())
    content[500:2_000] = bytes(byte ^ 85 for byte in content[500:2_000])
    (tmp_path / "stream.npz").write_bytes(content)
    for name in ("huge", "short", "stream"):
        with pytest.raises(SystemExit, match="1"):
            main([str(tmp_path / f"{name}.npz")])
        error = capsys.readouterr().err
        assert f"{name}.npz: array codes cannot be read" in error
        assert len(error.splitlines()) == 1


def test_what_is_no_archive_and_what_is_no_run_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "codes.npz").write_text("no")
    for source, message in ((tmp_path / "codes.npz", "is no .npz file"), (tmp_path, "is no run folder")):
        with pytest.raises(SystemExit, match="1"):
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

    main([str(run), "--metrics", "mig,dci,irs"])
    assert (run / "scores.json").read_bytes() == written
    scores = json.loads((run / "scores_dlib.json").read_text())
    saved = np.load(run / "codes.npz")
    assert scores["mig"] == pytest.approx(trained["mig"], abs=1e-6)
    assert scores["mig"] == pytest.approx(reference.mig(saved["codes"], saved["factors"]), abs=1e-6)
    for key in ("dci_completeness/f0", "chance/irs", "traversal_purity", "traversal_monotonicity"):
        assert scores[key] == pytest.approx(trained[key], abs=1e-4), key

    evaluated = (run / "scores_dlib.json").read_bytes()
    main([str(run / "codes.npz"), "--metrics", "mig"])
    assert (run / "scores.json").read_bytes() == written
    assert (run / "scores_dlib.json").read_bytes() == evaluated
    assert json.loads((run / "codes_scores_dlib.json").read_text())["settings"]["factors"][0] == "f0"

    config = OmegaConf.load(run / "config.yaml")
    config.metrics.traversal = False
    OmegaConf.save(config, run / "config.yaml")
    main([str(run), "--metrics", "mig"])
    assert "traversal_purity" not in json.loads((run / "scores_dlib.json").read_text())
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(SystemExit, match="1"):
        main([str(run)])


@pytest.mark.parametrize("name", ["run.json", "config.yaml", "scores.json", "codes.npz", "./../run/begun.json"])
def test_no_file_of_a_training_is_written_over(name: str, finished_run: Path, tmp_path: Path, capsys) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path / "run"), "--metrics", "mig", "--out", str(tmp_path / "run" / name)])
    assert end.value.code == 1
    assert "is a file that would be lost; name another one" in capsys.readouterr().err
