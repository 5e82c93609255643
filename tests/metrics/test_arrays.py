"""Bad arrays are refused with what was expected; rows are drawn without replacement."""

import numpy as np
import pytest
import torch

from disentone.metrics import check_arrays, draw_rows

Z, V = np.zeros((4, 2)), np.array([[0, 1], [1, 0], [0, 0], [1, 1]])


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (Z[:3], V, "codes have 3 rows and factors 4"),
        (np.full((4, 2), np.nan), V, "codes must be finite; 8 entries are not"),
        (np.full((4, 2), np.inf), V, "codes must be finite"),
        (Z[:, 0], V, r"codes must be an array \[row, column\] with at least one of each, got \[4\]"),
        (Z[:0], V[:0], r"got \[0, 2\]"),
        (Z, V + 0.5, "factors must be whole numbers"),
        (Z, V * [0, 1], "factor 0 has one value in these rows"),
    ],
)
def test_bad_arrays_are_refused(codes: np.ndarray, factors: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_arrays(codes, factors)


def test_labels_are_counted_from_zero_whatever_they_were() -> None:
    _, labels = check_arrays(Z, V * 1000 - 7)
    assert torch.equal(labels, torch.as_tensor(V))


def test_lists_tensors_and_float32_are_welcome() -> None:
    for codes, factors in ((Z.tolist(), V.tolist()), (torch.tensor(Z), torch.tensor(V)), (Z.astype("float32"), V)):
        z, v = check_arrays(codes, factors)
        assert z.dtype == torch.float64
        assert v.dtype == torch.int64


def test_rows_are_drawn_without_replacement_or_overlap() -> None:
    train, test = draw_rows(100, 60, 30, seed=1)
    assert len(set(train) | set(test)) == 90
    assert (len(train), len(test)) == (60, 30)
    assert not np.array_equal(train, draw_rows(100, 60, 30, seed=2)[0])
    assert np.array_equal(train, draw_rows(100, 60, 30, seed=1)[0])


def test_fewer_rows_than_asked_for_are_all_taken_in_proportion() -> None:
    train, test = draw_rows(90, 10_000, 5_000, seed=0)
    assert (len(train), len(test)) == (60, 30)
    assert len(draw_rows(90, 10_000, 0, seed=0)[0]) == 90


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="1 rows are too few"):
        draw_rows(1, 10, 5, seed=0)
