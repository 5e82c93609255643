"""A run folder in isolation: whatever is in a file, the other runs are told, and nothing outside is shown."""

import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentone.report import report
from disentone.report.looks import look_at
from disentone.report.runs import logged, read_run

Copies = Callable[..., Path]
DEEP = 10_000


def text(name: str, content: str | bytes) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def entry(name: str, *keys: str, value: object) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        content = json.loads((run / name).read_text())
        node = content
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value
        (run / name).write_text(json.dumps(content))

    return write


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        make(run / name)

    return write


def arrays(**changed: object) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        with np.load(run / "codes.npz") as found:
            kept = {name: found[name] for name in found.files} | changed
        np.savez(run / "codes.npz", **kept)

    return write


def bomb(run: Path) -> None:
    archive = zipfile.ZipFile(run / "codes.npz", "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("codes.npy", "w", force_zip64=True) as part:
        np.lib.format.write_array_header_1_0(part, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 1)})
        for _ in range(600):
            part.write(bytes(2**20))


def declared(run: Path) -> None:
    with zipfile.ZipFile(run / "codes.npz", "w") as archive, archive.open("codes.npy", "w") as part:
        np.lib.format.write_array_header_1_0(part, {"descr": "<f8", "fortran_order": False, "shape": (10**11, 4)})
        part.write(b"few")


def large_picture(path: Path) -> None:
    """Twenty thousand pixels square, of one colour, in a few kilobytes."""
    header = b"IHDR" + (20_000).to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    data = b"IDAT" + zlib.compress(bytes(20_000 * 2_501))
    chunks = [header, data, b"IEND"]
    body = b"".join((len(c) - 4).to_bytes(4, "big") + c + zlib.crc32(c).to_bytes(4, "big") for c in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def pickled(run: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {run.parent / 'trap'}",)

    np.savez(run / "codes.npz", codes=np.array([Trap()], dtype=object), allow_pickle=True)


LISTED = [{"title": "t", "picture": "reconstruction_0.png", "audio": {"a": "reconstruction_0_original.wav"}}]


def listed(**changed: object) -> Callable[[Path], None]:
    return text("sounds/sounds.json", json.dumps([{**LISTED[0], **changed}]))


def renamed(name: str, other: str) -> Callable[[Path], None]:
    return lambda run: (run / name).rename(run / other) and None


SOUND, PICTURE = "sounds/reconstruction_0_original.wav", "sounds/reconstruction_0.png"


def link(target: str) -> Callable[[Path], None]:
    return instead(SOUND, lambda path: path.symlink_to(target or path))


# What is done to one of two runs, and what the page says of it; None where nothing is wrong.
HOSTILE: list[tuple[str, Callable[[Path], object], str | None]] = [
    ("scores nested 10,000 deep, lists", text("scores.json", "[" * DEEP + "]" * DEEP), "scores.json is damaged"),
    ("mappings nested 10,000 deep", text("scores.json", '{"a":' * DEEP), "scores.json is damaged"),
    ("a number of 400 digits", text("scores.json", '{"mig": 1' + "0" * 400 + "}"), "mig is"),
    ("a number of 5,000 digits", text("scores.json", '{"mig": 1' + "0" * 5000 + "}"), "scores.json is damaged"),
    ("empty scores", text("scores.json", "{}"), "scores.json holds no score"),
    ("no scores", text("scores.json", ""), "scores.json is damaged"),
    ("settings that are a list", entry("scores.json", "settings", value=[1]), "settings are missing"),
    ("factors that are none", entry("scores.json", "settings", "factors", value=7), "settings are missing"),
    ("left out latents of words", entry("scores.json", "settings", "left_out", value=["z"]), "settings are missing"),
    ("descriptions that are a word", entry("scores.json", "settings", "extra", value="mig"), "no descriptions"),
    ("a description that is none", entry("scores.json", "settings", "extra", value=[{"key": 3}]), "describes no score"),
    ("a billion codes", entry("scores.json", "settings", "codes", value=10**9), "settings are missing"),
    ("a matrix that is a number", entry("scores.json", "mi_matrix", value=3), "mi_matrix is [], expected"),
    ("a ragged matrix", entry("scores.json", "mi_matrix", value=[[1], [1, 2]]), "mi_matrix is"),
    ("a matrix of words", entry("scores.json", "mi_matrix", value=[["a"]]), "mi_matrix is"),
    ("a matrix of another run", entry("scores.json", "mi_matrix", value=[[1.0]]), "[1, 1], expected [10, 4]"),
    ("scores as words", entry("scores.json", "mig", value="high"), "mig is 'high'"),
    ("a score that is true", entry("scores.json", "mig", value=True), "mig is 'True'"),
    ("infinite and missing scores", text("scores.json", '{"mig": Infinity, "sap": NaN, "kl": 1e400}'), "mig is 'inf'"),
    ("hardware that is a list", entry("run.json", "hardware", value=[1]), "hardware is '[1]'"),
    ("packages that are a list", entry("run.json", "packages", value=["torch"]), "packages is"),
    ("seconds that are none", entry("run.json", "seconds", value=None), "seconds is 'None'"),
    ("hardware that is none", entry("run.json", "hardware", value=None), "hardware is 'None'"),
    ("packages that are none", entry("run.json", "packages", value=None), "packages is 'None'"),
    ("half a character", text("scores.json", '{"settings": {"method": "\\ud800"}}'), "scores.json is damaged"),
    ("a setting called method", entry("begun.json", "settings", "method", value="x"), "it holds no settings"),
    ("a setting called mig", entry("begun.json", "settings", "mig", value="1"), "it holds no settings"),
    ("metrics of version x", renamed("metrics/version_0", "metrics/version_x"), None),
    ("seconds that are a word", entry("run.json", "seconds", value="long"), "seconds is 'long'"),
    ("sessions that are numbers", entry("run.json", "sessions", value=[1, 2]), None),
    ("a cut run.json", text("run.json", '{"format": 2,'), "run.json is damaged"),
    ("a beta that is a list", entry("begun.json", "config", "objective", "beta", value=[4]), "objective.beta is"),
    ("a beta that is a word", entry("begun.json", "config", "objective", "beta", value="${x}"), "objective.beta is"),
    ("a strength that is a list", entry("begun.json", "config", "strength", value=["a"]), "strength is"),
    ("a strength that is a node", entry("begun.json", "config", "strength", value="objective"), "objective is"),
    ("a seed that is a list", entry("begun.json", "config", "seed", value=[0]), "seed is"),
    ("an objective that is a list", entry("begun.json", "config", "objective", value=[]), "objective is"),
    ("a model that is a word", entry("begun.json", "config", "model", value="big"), "model is 'big'"),
    ("a logger that is a word", entry("begun.json", "config", "logger", value="csv"), "logger is 'csv'"),
    ("a config that is none", entry("begun.json", "config", value=3), "it holds no config"),
    ("a list of sounds that is a number", text("sounds/sounds.json", "3"), "sounds.json is damaged"),
    ("sounds nested deep", text("sounds/sounds.json", "[" * DEEP), "sounds.json is damaged"),
    ("audio that is a list", listed(audio=["a.wav"]), "expected a title, a picture and sounds"),
    ("audio that is nested", listed(audio={"a": {"b": "c"}}), "expected a title, a picture and sounds"),
    ("a sound outside", listed(audio={"a": "../../secret.wav"}), "is no name of a file in the run folder"),
    ("a sound by its absolute path", listed(audio={"a": "/etc/passwd"}), "sounds//etc/passwd is missing"),
    ("a sound that is a pipe", instead(SOUND, os.mkfifo), "is no regular file"),
    ("a sound that is a link", link("/etc/passwd"), "lies outside"),
    ("a sound that is a device", link("/dev/zero"), "lies outside"),
    ("a link in a circle", link(""), "sounds.json, entry 0"),
    ("a picture outside", listed(picture="../../secret.png"), "is no name of a file in the run folder"),
    ("a picture of 400 million pixels", instead(PICTURE, large_picture), "pixels"),
    ("a picture that is none", text("sounds/reconstruction_0.png", b"\x89PNG no"), "reconstruction_0.png is damaged"),
    ("a sound that is none", text("sounds/reconstruction_0_original.wav", b"RIFF no"), "is damaged"),
    ("scores that are a pipe", instead("scores.json", os.mkfifo), "scores.json is no regular file"),
    ("a record that is a pipe", instead("run.json", os.mkfifo), "run.json is no regular file"),
    ("scores of a gigabyte", instead("scores.json", lambda p: (p.touch(), os.truncate(p, 2**30))), "is too large"),
    ("codes that are no archive", text("codes.npz", b"PK no zip"), "codes.npz is damaged"),
    ("codes of two lengths", arrays(rows=np.arange(3)), "do not belong together"),
    ("more names than factors", arrays(factor_names=np.array(list("abcdefg"))), "do not belong together"),
    ("codes of words", arrays(codes=np.array([["a"], ["b"]])), "do not belong together"),
    ("codes that are not finite", arrays(codes=np.full((200, 10), np.nan)), "codes"),
    ("codes that are a pickle", pickled, "codes.npz is damaged"),
    ("codes declared larger than they are", declared, "codes.npz is damaged"),
    ("codes that unpack to a gigabyte", bomb, "unpacks to more than is read"),
    ("metrics of words", text("metrics/version_0/metrics.csv", "step,validation/fit\na,b\n"), None),
    ("binary metrics", text("metrics/version_0/metrics.csv", bytes(range(256)) * 9), None),
    ("metrics that are a pipe", instead("metrics/version_0/metrics.csv", os.mkfifo), None),
    ("a version of metrics that is no number", lambda run: (run / "metrics" / "version_x").mkdir(), None),
]  # fmt: skip


def told(page: str) -> str:
    return page.replace("&#39;", "'").replace("&lt;", "<")


@pytest.mark.parametrize(("_", "damage", "said"), HOSTILE, ids=[name for name, *_ in HOSTILE])
def test_what_is_wrong_with_a_file_is_told(_, damage, said: str | None, finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    damage(tmp_path / "run")
    found = read_run(tmp_path / "run")
    wrong = [found.problem, *found.damage]
    if not found.problem:
        look = look_at("the one that is looked at", found, wrong)
        logged(found.folder, "validation/fit")
        assert all("cm9vdDp4" not in str(sound) for sound in look.sounds)  # the beginning of /etc/passwd in base64
    assert said is None or any(said in text for text in wrong), wrong
    assert not (tmp_path / "trap").exists()


def test_the_other_runs_of_a_sweep_full_of_hostile_files_are_reported(copies: Copies) -> None:
    sweep = copies([4], range(len(HOSTILE) + 1))
    for number, (_, damage, _) in enumerate(HOSTILE):
        damage(sweep / f"objective.beta=4,seed={number}")
    page = told(report(sweep).read_text())
    assert len(HOSTILE) in pd.read_csv(sweep / "results.csv")["seed"].tolist()
    for said in ("scores.json is no regular file", "hardware is '[1]'", "mig is 'high'", "objective.beta is"):
        assert said in page


def test_a_folder_whose_name_is_no_text_is_reported(copies: Copies) -> None:
    sweep = copies([1, 4], [0])
    os.rename(os.fsencode(sweep / "objective.beta=4,seed=0"), os.fsencode(sweep / "beta4") + b"\xff")
    assert "beta4?" in report(sweep).read_text()


def test_a_stray_file_hides_no_run(copies: Copies) -> None:
    sweep = copies([1, 4], [0])
    for name in ("error.txt", "scores.json"):
        (sweep / name).write_text("oops")
    report(sweep)
    assert len(pd.read_csv(sweep / "results.csv")) == 2


def test_what_weights_and_biases_keeps_is_no_run(copies: Copies) -> None:
    sweep = copies([1], [0])
    files = sweep / "objective.beta=1,seed=0" / "wandb" / "run-1" / "files"
    (files / ".hydra").mkdir(parents=True)
    (files / "config.yaml").write_text("a: {value: 1}")
    (sweep / "wandb" / "run-2" / "files" / ".hydra").mkdir(parents=True)
    assert "left out" not in report(sweep).read_text()


def test_an_error_that_is_no_text_is_told(copies: Copies) -> None:
    sweep = copies([1, 4], [0])
    run = sweep / "objective.beta=4,seed=0"
    (run / "run.json").unlink()
    (run / "error.txt").write_bytes(b"Traceback\n\xff\xfe no space\n")
    assert "no space" in report(sweep).read_text()
