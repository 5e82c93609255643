"""Images on disk: believed only as they were written, bounded, and never the end of a process."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from disentone.data.cache import DIGEST_BYTES, ImageCache

ROWS, SHAPE = 600, (1, 4, 3)
IMAGES = torch.rand(ROWS, *SHAPE, generator=torch.Generator().manual_seed(0)).half().float()


class Renderer:
    """Answers the images above and counts them."""

    def __init__(self, images: torch.Tensor = IMAGES) -> None:
        self.images, self.count = images, 0

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        self.count += len(rows)
        return self.images[rows]


def open_cache(folder: Path, render: Renderer | None = None, name: str = "tones", limit: float = 1e9) -> ImageCache:
    return ImageCache(folder, name, ROWS, SHAPE, render or Renderer(), limit)


def replaced_but_for_the_probed(content: bytearray) -> None:
    images = np.frombuffer(content, "<f2", count=ROWS * 12, offset=128).reshape(ROWS, 12)
    rest = np.setdiff1d(np.arange(ROWS), torch.linspace(0, ROWS - 1, 16).long().numpy())
    images[rest] = np.random.default_rng(0).random((len(rest), 12))


def one_bit(content: bytearray) -> None:
    content[5000] ^= 1


def cut(content: bytearray) -> None:
    del content[-1000:]


def emptied(content: bytearray) -> None:
    content.clear()


def unsealed(content: bytearray) -> None:
    """As written before files had a digest."""
    del content[-DIGEST_BYTES:]


def lengthened(content: bytearray) -> None:
    content.extend(b"more")


@pytest.mark.parametrize("damage", [replaced_but_for_the_probed, one_bit, cut, emptied, unsealed, lengthened])
def test_a_file_that_is_not_as_it_was_written_is_rendered_anew_and_said(
    damage: Callable[[bytearray], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = open_cache(tmp_path).path
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    capsys.readouterr()
    render = Renderer()
    cache = open_cache(tmp_path, render)
    assert render.count == ROWS
    assert capsys.readouterr().out.startswith(f"{path} does not end in the digest of its images")
    assert torch.equal(cache.read(torch.arange(ROWS)), IMAGES)
    again = Renderer()
    assert torch.equal(open_cache(tmp_path, again).read(torch.arange(ROWS)), IMAGES)
    assert again.count == 16
    assert capsys.readouterr().out == ""


def test_images_of_other_code_are_rendered_anew_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_cache(tmp_path)
    other = 1 - IMAGES
    cache = open_cache(tmp_path, Renderer(other))
    assert "holds other images than the code makes now; it is rendered anew" in capsys.readouterr().out
    assert torch.allclose(cache.read(torch.arange(ROWS)), other, atol=1e-3)


def test_rows_are_read_in_any_order_and_nothing_of_the_file_is_kept_in_memory(tmp_path: Path) -> None:
    cache = open_cache(tmp_path)
    rows = torch.tensor([599, 0, 7, 7])
    assert torch.equal(cache.read(rows), IMAGES[rows])
    mapped = np.load(cache.path, mmap_mode="r")
    assert (mapped.dtype, mapped.shape) == (np.float16, (ROWS, 12))
    held = [value for value in vars(cache).values() if isinstance(value, torch.Tensor | np.ndarray)]
    assert held == []


CUT_WHILE_OPEN = """
import os, sys, torch
from pathlib import Path
from tests.data.test_cache import open_cache
cache = open_cache(Path(sys.argv[1]))
os.truncate(cache.path, 200)
try:
    cache.read(torch.arange(600))
except ValueError as error:
    print(error)
"""


def test_a_file_cut_while_it_is_open_is_an_error_and_does_not_kill_the_process(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", CUT_WHILE_OPEN, str(tmp_path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "was cut short while it was in use; start again" in result.stdout


def test_a_deleted_file_stays_open_for_who_has_it(tmp_path: Path) -> None:
    cache = open_cache(tmp_path)
    cache.path.unlink()
    assert torch.equal(cache.read(torch.arange(ROWS)), IMAGES)


def test_temporary_files_of_killed_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    open_cache(tmp_path)
    killed, living = tmp_path / "killed.tmp", tmp_path / "living.tmp"
    for path in (killed, living):
        path.write_bytes(b"half")
    with FileLock(living.with_suffix(".lock")):
        open_cache(tmp_path)
        assert not killed.exists()
        assert living.exists()
    open_cache(tmp_path)
    assert not living.exists()


def test_an_error_while_rendering_leaves_no_file(tmp_path: Path) -> None:
    def failing(rows: torch.Tensor) -> torch.Tensor:
        if int(rows[0]):
            raise KeyboardInterrupt
        return IMAGES[rows]

    with pytest.raises(KeyboardInterrupt):
        open_cache(tmp_path, failing)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_names_the_file_its_size_and_the_remedy(tmp_path: Path) -> None:
    path = open_cache(tmp_path).path
    path.unlink()
    path.with_suffix(".tmp").symlink_to("/dev/full")
    with pytest.raises(
        ValueError, match=rf"{path.name} cannot be written \(No space left on device\); .* data.cache_dir="
    ):
        open_cache(tmp_path)


@pytest.mark.parametrize("folder", ["/proc", "/dev/null/below"])
@pytest.mark.timeout(60)
def test_a_folder_that_takes_no_files_is_an_error_at_once(folder: str) -> None:
    render = Renderer()
    with pytest.raises(ValueError, match=rf"data\.cache_dir={folder} takes no files \(.*\); name another folder"):
        open_cache(Path(folder), render)
    assert render.count == 0


def test_the_least_recently_used_go_and_files_that_vanish_meanwhile_harm_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = open_cache(tmp_path, name="first").path.stat().st_size
    (tmp_path / "dangling.npy").symlink_to(tmp_path / "nowhere")
    paths = [open_cache(tmp_path, name=name).path for name in ("first", "second")]
    for age, path in enumerate(reversed(paths)):
        os.utime(path, (1e9 - age, 1e9 - age))
    third = open_cache(tmp_path, name="third", limit=2.5 * size).path
    assert [path.exists() for path in (*paths, third)] == [False, True, True]
    assert open_cache(tmp_path, name="third", limit=0).path.exists()
