"""disentone data: the family in numbers, and sounds that can be heard."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from disentone.cli.data import main


def call(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> object:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["disentone data", *arguments])
    try:
        main()
    except SystemExit as end:
        return end.code
    return None


def test_describe_counts_factors_rows_and_bytes(monkeypatch, tmp_path: Path, capsys) -> None:
    assert call(monkeypatch, tmp_path, "describe", "synth=tones_noisy") is None
    printed = capsys.readouterr().out
    for text in ("12,825 sounds", "presence", "even", "10,261 train, 1,282 validation, 1,282 test rows", "1 x 80 x 63"):
        assert text in printed
    assert not list(tmp_path.iterdir())


def test_render_writes_what_the_row_says(monkeypatch, tmp_path: Path) -> None:
    assert call(monkeypatch, tmp_path, "render", "synth=tones", "--rows", "0", "20690", "--out", "sounds") is None
    audio, rate = soundfile.read(tmp_path / "sounds" / "row_20690.wav")
    assert (rate, len(audio)) == (16_000, 16_000)
    assert np.abs(audio).max() <= 1
    spectrum = np.abs(np.fft.rfft(audio))
    assert np.argmax(spectrum) == pytest.approx(1000, abs=1)
    assert (tmp_path / "sounds" / "images.png").stat().st_size > 5_000


def test_a_row_that_is_not_there_is_an_error(monkeypatch, tmp_path: Path) -> None:
    answer = call(monkeypatch, tmp_path, "render", "--rows", "99999")
    assert answer == "disentone: there is no row 99999; rows are 0..20690"


def test_a_users_own_space_is_described(monkeypatch, tmp_path: Path, capsys) -> None:
    (tmp_path / "mine" / "synth").mkdir(parents=True)
    written = (
        "_target_: disentone.synths.Additive\nfactors: {f0: {start: 100, stop: 200, step: 10}}\nsample_rate: 16000\n"
    )
    (tmp_path / "mine" / "synth" / "few.yaml").write_text(written)
    assert call(monkeypatch, tmp_path, "--config-dir", "mine", "describe", "synth=few", "data.batch_size=2") is None
    assert "11 sounds" in capsys.readouterr().out


def test_visibility_warns_of_what_the_front_end_cannot_see(monkeypatch, tmp_path: Path, capsys) -> None:
    arguments = ["visibility", "--rows", "60", "frontend.hop=1024"]
    assert call(monkeypatch, tmp_path, *arguments, "synth.amplitude_law=linear_per_k") is None
    printed = capsys.readouterr().out
    assert "slope is near invisible to this front-end" in printed
    assert printed.count("warning:") == 1
    assert call(monkeypatch, tmp_path, *arguments) is None
    assert "warning:" not in capsys.readouterr().out


def test_a_gallery_shows_random_rows(monkeypatch, tmp_path: Path, capsys) -> None:
    assert call(monkeypatch, tmp_path, "gallery", "--count", "5", "--columns", "3", "frontend.hop=1024") is None
    assert (tmp_path / "outputs" / "gallery.png").stat().st_size > 5_000
    assert "5 images are in outputs/gallery.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["gallery", "--count", "-5"],
        ["gallery", "--count", "0"],
        ["gallery", "--columns", "0"],
        ["visibility", "--rows", "0"],
        ["describe", "--abc"],
    ],
    ids=" ".join,
)
def test_an_option_out_of_range_is_wrong_usage(arguments, monkeypatch, tmp_path: Path, capsys) -> None:
    assert call(monkeypatch, tmp_path, *arguments) == 2
    assert re.search(
        r"error: .*(expected a whole number, 1 or more, got|there is no option --abc)", capsys.readouterr().err
    )


def test_a_folder_of_configs_that_is_not_there_is_an_error(monkeypatch, tmp_path: Path) -> None:
    answer = call(monkeypatch, tmp_path, "--config-dir", "nowhere", "describe")
    assert answer == "disentone: --config-dir=nowhere: there is no such folder"
