"""Checkpoints: whole or not at all, looked at before they are believed."""

import os
import random
from pathlib import Path

import pytest
import torch

from disentone import checkpoints
from disentone.checkpoints import PREVIOUS, AtomicCheckpointIO, newest, read
from disentone.run.folder import LAST


def save(folder: Path, value: float, name: str = LAST) -> Path:
    path = folder / "checkpoints" / name
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"weight": torch.full((2_000,), value)}, "step": value}, path)
    return path


def flipped(path: Path, seed: int) -> None:
    content = bytearray(path.read_bytes())
    start = random.Random(seed).randrange(200, len(content) - 2_000)
    content[start : start + 2_000] = bytes(byte ^ 0x5A for byte in content[start : start + 2_000])
    path.write_bytes(content)


DAMAGE = [
    *(
        pytest.param(lambda path, seed=seed: flipped(path, seed), "is damaged", id=f"flipped {seed}")
        for seed in range(3)
    ),
    pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-100]), "is damaged", id="cut"),
    pytest.param(lambda path: path.write_bytes(b""), "is damaged", id="empty"),
    pytest.param(lambda path: torch.save([1, 2], path), "is no checkpoint", id="a list"),
    pytest.param(lambda path: torch.save({"state_dict": [1]}, path), "is no checkpoint", id="weights in a list"),
    pytest.param(
        lambda path: torch.save({"state_dict": {"weight": torch.tensor([1.0, torch.nan])}}, path),
        "weight is not finite, the training had diverged",
        id="nan",
    ),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGE)
def test_a_damaged_newest_one_falls_back_to_the_one_before(damage, reason: str, tmp_path: Path, capsys) -> None:
    save(tmp_path, 1.0)
    damage(save(tmp_path, 2.0))
    with pytest.raises(ValueError, match=reason):
        read(tmp_path / "checkpoints" / LAST)
    path = newest(tmp_path)
    assert path is not None
    assert (path.name, read(path)["step"]) == (PREVIOUS, 1.0)
    assert capsys.readouterr().out.strip().endswith(f"; going back to {PREVIOUS}")
    damage(path)
    with pytest.raises(ValueError, match=reason):
        newest(tmp_path)


def test_without_second_names_the_one_before_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    for value in (1.0, 2.0):
        save(tmp_path, value)
    found = {path.name: read(path)["step"] for path in (tmp_path / "checkpoints").iterdir()}
    assert found == {LAST: 2.0, PREVIOUS: 1.0}


def test_what_slurm_kept_is_resumed_from_where_it_is_newer(tmp_path: Path) -> None:
    last = save(tmp_path, 1.0)
    requeued = tmp_path / "hpc_ckpt_1.ckpt"
    torch.save({"state_dict": {}, "step": 5.0}, requeued)
    os.utime(requeued, (last.stat().st_mtime + 5,) * 2)
    assert newest(tmp_path) == requeued
    os.utime(requeued, (last.stat().st_mtime - 5,) * 2)
    assert newest(tmp_path) == last
    checkpoints.forget_requeued(tmp_path)
    assert not requeued.exists()


def test_an_old_checkpoint_is_a_file_and_never_a_folder(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    with pytest.raises(OSError):
        AtomicCheckpointIO().remove_checkpoint(tmp_path / "precious")
    assert (tmp_path / "precious").exists()
    AtomicCheckpointIO().remove_checkpoint(save(tmp_path, 1.0))
    assert not (tmp_path / "checkpoints" / LAST).exists()


def test_none_is_none(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
