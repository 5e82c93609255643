"""MNIST from files: the arrays they hold, the splits, and what is said of files that are not right."""

import gzip
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision

from disentone.data import DataModule
from disentone.sources import Digits
from disentone.sources.digits import read_idx


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(folder: Path, name: str, count: int, compress: bool = False, first: int = 0) -> None:
    """Digits that can be told apart: the first pixels are the row number."""
    folder.mkdir(parents=True, exist_ok=True)
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = divmod(np.arange(first, first + count), 256)
    for kind, array in (("images-idx3", images), ("labels-idx1", (np.arange(count) % 10).astype(np.uint8))):
        content = idx(array)
        path = folder / f"{name}-{kind}-ubyte{'.gz' if compress else ''}"
        path.write_bytes(gzip.compress(content) if compress else content)


def numbers(data: DataModule, rows: torch.Tensor) -> list[int]:
    images = (data.images(rows) * 255).round().long()
    return (images[:, 0, 0, 0] * 256 + images[:, 0, 0, 1]).tolist()


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("below", [".", "MNIST/raw"])
def test_full_trains_on_the_training_file_and_tests_on_the_test_file(
    tmp_path: Path, compress: bool, below: str
) -> None:
    write(tmp_path / below, "train", 120, compress)
    write(tmp_path / below, "t10k", 30, compress, first=1000)
    data = DataModule(Digits(tmp_path), batch_size=10)
    assert data.sizes == {"train": 110, "validation": 10, "test": 30}
    assert sorted(numbers(data, torch.cat([data.rows("train"), data.rows("validation")]))) == list(range(120))
    assert numbers(data, data.rows("test")) == list(range(1000, 1030))
    assert data.shape == (1, 28, 28)
    assert data.positions(torch.tensor([0, 13, 125])).tolist() == [[0], [3], [5]]


def test_t10k_trains_on_nine_tenths_of_the_test_file(tmp_path: Path) -> None:
    write(tmp_path, "t10k", 100)
    data = DataModule(Digits(tmp_path, split="t10k"), batch_size=10)
    assert data.sizes == {"train": 90, "validation": 10, "test": 10}
    train, test = numbers(data, data.rows("train")), numbers(data, data.rows("test"))
    assert sorted(train + test) == list(range(100))
    assert train != sorted(train)
    assert numbers(DataModule(Digits(tmp_path, split="t10k"), batch_size=10, seed=1), data.rows("test")) == test
    assert (
        DataModule(Digits(tmp_path, split="t10k"), batch_size=10, seed=1).rows("test").tolist()
        != data.rows("test").tolist()
    )
    assert data.evaluation_rows(1000).tolist() == list(range(100))
    assert len(set(data.evaluation_rows(50).tolist())) == 50


def test_batches_hold_images_and_their_digits(tmp_path: Path) -> None:
    write(tmp_path, "t10k", 100)
    data = DataModule(Digits(tmp_path, split="t10k"), batch_size=32)
    carried = list(data.test_dataloader())
    assert [digits.rows.tolist() for digits in carried] == [data.rows("test").tolist()]
    batch = data.on_after_batch_transfer(data.on_before_batch_transfer(carried[0], 0), 0)
    assert batch.image.shape == (10, 1, 28, 28)
    assert batch.image.dtype == torch.float32
    assert batch.labels[:, 0].tolist() == [row % 10 for row in carried[0].rows.tolist()]
    assert sum(len(digits.rows) for digits, _ in zip(data.train_dataloader(), range(3), strict=False)) == 90


def test_idx_files_are_read_as_torchvision_reads_them(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
    path = tmp_path / "some-idx3-ubyte"
    path.write_bytes(idx(array))
    np.testing.assert_array_equal(read_idx(path), array)
    np.testing.assert_array_equal(torchvision.datasets.mnist.read_image_file(str(path)), array)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x", idx(np.zeros((3, 4), np.uint8))[:-1], r"its header announces 3 x 4 bytes, 11 follow; download it anew"),
        ("x", idx(np.zeros((3, 4), np.uint8)) + b"\0", r"its header announces 3 x 4 bytes, 13 follow"),
        ("x", b"\0\0\x08\x03\0\0", r"it ends in its header"),
        ("x", b"<html>", r"is no IDX file of bytes"),
        ("x", b"", r"is no IDX file of bytes"),
        (
            "x.gz",
            gzip.compress(idx(np.zeros((3, 4), np.uint8)), mtime=0)[:-9],
            r"x\.gz is damaged: .*; download it anew",
        ),
        ("x.gz", b"not gzip", r"x\.gz is damaged: Not a gzipped file"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_how(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path / name)


def test_files_that_do_not_belong_together_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, "t10k", 100)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(99, np.uint8)))
    with pytest.raises(ValueError, match=r"expected 100 labels 0\.\.9 \(20 or more\), got an array \(99,\)"):
        Digits(tmp_path, split="t10k")
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((100, 32, 32), np.uint8)))
    with pytest.raises(ValueError, match=r"expected digits of 28 x 28 pixels, got an array \(100, 32, 32\)"):
        Digits(tmp_path, split="t10k")


def test_labels_of_another_alphabet_are_named(tmp_path: Path) -> None:
    write(tmp_path, "t10k", 100)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx((1 + np.arange(100) % 26).astype(np.uint8)))
    with pytest.raises(ValueError, match=r"expected labels 0\.\.9, got 26; other alphabets"):
        Digits(tmp_path, split="t10k")


def test_names_with_a_dot_are_found(tmp_path: Path) -> None:
    write(tmp_path, "t10k", 100)
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name.replace("-idx", ".idx"))
    assert DataModule(Digits(tmp_path, split="t10k"), batch_size=10).num_rows == 100


def test_without_files_and_network_it_says_where_to_put_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "t10k", 100)

    def unreachable(root: str, download: bool) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nTried a mirror, got:\nno route to host\n")

    monkeypatch.setattr(torchvision.datasets, "MNIST", unreachable)
    with pytest.raises(
        ValueError, match=r"lacks train-images-idx3-ubyte and train-labels-idx1-ubyte.*no route to host"
    ) as error:
        Digits(tmp_path)
    assert all(text in str(error.value) for text in (str(tmp_path), "source.folder=", "source.split=t10k", ".gz"))
    with pytest.raises(ValueError, match=r"source\.split must be full or t10k, got half"):
        Digits(tmp_path, split="half")


def test_files_are_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def download(root: str, download: bool) -> None:
        calls.append(root)
        write(Path(root) / "MNIST" / "raw", "t10k", 100)

    monkeypatch.setattr(torchvision.datasets, "MNIST", download)
    for _ in range(2):
        assert DataModule(Digits(tmp_path / "new", split="t10k"), batch_size=10).num_rows == 100
    assert calls == [str(tmp_path / "new")]


def test_a_device_without_float64_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "t10k", 100)
    data = DataModule(Digits(tmp_path, split="t10k"), batch_size=10)
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("mps")))
    with pytest.raises(ValueError, match=r"\(MPS\) has no float64 numbers"):
        data.setup()
