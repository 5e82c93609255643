"""Bad arrays are refused with what was expected; rows are drawn without replacement."""

import numpy as np
import pytest
import torch

from disentone.metrics import METRICS, check_arrays, draw_rows
from disentone.metrics.arrays import active_codes, check_seed, draw_labelled


class Sparse:
    """What sparse arrays have in common: they can be made dense, and NumPy takes them for one object."""

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array({})

    def toarray(self) -> np.ndarray:
        return np.eye(4)


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
        (np.eye(4)[:, :2] * 1e-200, V, "code 0 has a range of 1e-200, so small that its variance is 0; rescale it"),
        (np.ma.masked_equal(np.eye(4), 0), V, "codes have masked entries; leave their rows out"),
        (Z, np.ma.masked_equal(V, 0), "factors have masked entries"),
        (Sparse(), V, r"codes must be a dense array, got Sparse; convert it by .toarray\(\)"),
        (
            torch.eye(4).to_sparse(),
            V,
            r"codes must be a dense tensor of values, got a sparse_coo one; .* \.to_dense\(\)",
        ),
        (Z, torch.empty(4, 2, device="meta"), "factors must be a dense tensor of values, got a meta one"),
        (
            np.eye(2, 4),
            np.eye(2, 4, dtype=int),
            r"codes \[2, 4\] and factors \[2, 4\] have fewer rows .* look transposed",
        ),
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


@pytest.mark.parametrize("seed", [None, True, 1.5, "1", -1, 2**32])
def test_a_seed_is_a_whole_number_that_estimators_accept(seed: object) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number from 0 to 4294967295"):
        check_seed(seed)
    check_seed(np.int64(2**32 - 1))


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


def test_factors_that_the_rows_drawn_say_too_little_of_are_named() -> None:
    lone = (torch.arange(300) == int(draw_rows(300, 10_000, 5_000, seed=0)[1][0])).long()
    factors = torch.stack([torch.arange(300), lone, torch.arange(300) % 2], dim=1)
    factors = torch.cat([factors, torch.arange(300)[:, None].clamp(min=150), torch.arange(300)[:, None] % 40], dim=1)
    sample = draw_labelled(factors, 10_000, 5_000, seed=0)
    assert sample.reasons == {
        0: "the 100 test rows hold only values of factor 0 that were never fitted; give more rows",
        1: "factor 1 has one value in the 200 rows drawn; give more rows that vary it",
        3: "factor 3 has 101 values in 200 rows, fewer than 5 rows a value; bin it, or give more rows",
    }
    parts = sample.averaged("score", sample.each_factor(5, lambda k: k / 2))
    assert parts["score_per_factor"] == pytest.approx([np.nan, np.nan, 1, np.nan, 2], nan_ok=True)
    assert np.isnan(parts["score"])
    assert parts["settings"]["reason"] == "; ".join(sample.reasons[k] for k in (0, 1, 3))


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
