"""Bad arrays are refused with what was expected; rows are drawn without replacement."""

import numpy as np
import pytest
import torch

from disentone.metrics import METRICS, check_arrays, draw_rows
from disentone.metrics.arrays import active_codes, draw_labelled

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
        (Z, V * [1.0, np.nan], "factors must be finite; 4 entries are not"),
        (Z.astype(str), V, "codes must be numbers, got an array of"),
        (Z, V.astype(str).tolist(), "factors must be numbers, got an array of"),
        (Z + 1j, V, "codes must be numbers, got an array of complex128"),
        (torch.complex(torch.tensor(Z), torch.tensor(Z)), V, "codes must be real numbers"),
        (Z + 1e200, V, "codes must lie within"),
        (0.5, V, r"got \[\]"),
    ],
)
def test_bad_arrays_are_refused(codes: np.ndarray, factors: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_arrays(codes, factors)


def test_labels_are_counted_from_zero_whatever_they_were() -> None:
    for factors in (V * 1000 - 7, V * 2**62, V.astype(np.uint64) * 2**62, V * 1e300, V.astype(bool), V.astype(">i4")):
        _, labels = check_arrays(Z, factors)
        assert torch.equal(labels, torch.as_tensor(V))
    close = 2**60 + V  # the same number in float64
    assert torch.equal(check_arrays(Z, close)[1], torch.as_tensor(V))


def test_lists_tensors_and_float32_are_welcome() -> None:
    frozen = Z[::-1]
    frozen.flags.writeable = False
    kinds = [(Z.tolist(), V.tolist()), (torch.tensor(Z), torch.tensor(V)), (Z.astype("float32"), V), (frozen, V)]
    for codes, factors in kinds:
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


def test_a_factor_too_rare_for_the_rows_drawn_is_named() -> None:
    factors = torch.zeros(1_000, 2, dtype=torch.int64)
    factors[0] = 1
    with pytest.raises(ValueError, match="factor 0 has one value in the 10 rows drawn"):
        draw_labelled(factors, 10, 5, seed=0)


def test_active_codes_vary_against_the_most_varied_one() -> None:
    z = torch.randn(1_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert active_codes(z * torch.tensor([1, 0.1, 0.01])).tolist() == [True, True, False]
    assert active_codes(torch.full((50, 2), 0.1, dtype=torch.float64)).tolist() == [False, False]


def test_every_metric_refuses_bad_presets_and_bad_arrays() -> None:
    for metric in METRICS.values():
        with pytest.raises(ValueError, match="preset must be dlib or robust, got dlbi"):
            metric.score(Z, V, preset="dlbi")
        with pytest.raises(ValueError, match="codes must be finite"):
            metric.score(Z + np.inf, V)
