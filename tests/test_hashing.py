import time

import numpy as np
import pytest
import torch
from scipy import stats

from disentone import hashing
from disentone.hashing import Permutation

COUNT = 100_000
SEEDS = (0, 1, 12_345, 2**40)


@pytest.mark.parametrize("seed", SEEDS)
def test_uniform_draws_are_uniform_in_the_open_unit_interval(seed):
    draws = hashing.uniform(seed, torch.arange(COUNT)).numpy()
    assert draws.dtype == np.float64
    assert draws.min() > 0
    assert draws.max() < 1
    # Four standard errors: of the mean 1 / sqrt(12 n), of the variance sqrt((1/80 - 1/144) / n).
    assert abs(draws.mean() - 1 / 2) < 4 / np.sqrt(12 * COUNT)
    assert abs(draws.var() - 1 / 12) < 4 * np.sqrt((1 / 80 - 1 / 144) / COUNT)
    assert stats.kstest(draws, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("seed", SEEDS)
def test_normal_draws_are_standard_normal(seed):
    draws = hashing.normal(seed, torch.arange(10 * COUNT)).numpy()
    assert draws.dtype == np.float64
    assert abs(draws.mean()) < 4 / np.sqrt(10 * COUNT)
    assert abs(draws.var() - 1) < 4 * np.sqrt(2 / (10 * COUNT))
    assert abs(stats.kurtosis(draws)) < 4 * np.sqrt(24 / (10 * COUNT))
    assert stats.kstest(draws, "norm").pvalue > 1e-3


def test_two_keys_give_uniform_draws_along_and_across():
    draws = hashing.uniform(3, torch.arange(1000)[:, None], torch.arange(1000)).numpy()
    assert stats.kstest(draws.ravel()[:COUNT], "uniform").pvalue > 1e-3
    assert stats.kstest(draws.mean(axis=0) * np.sqrt(12_000) - np.sqrt(3000), "norm").pvalue > 1e-3
    assert stats.kstest(draws.mean(axis=1) * np.sqrt(12_000) - np.sqrt(3000), "norm").pvalue > 1e-3


def test_each_of_the_64_bits_is_fair_and_flips_with_any_bit_of_the_key():
    keys = torch.arange(4000)
    plain = hashing.bits(0, keys)

    def ones(x):
        return torch.stack([(x >> bit) & 1 for bit in range(64)]).double().mean(dim=1)

    # 64 x 63 tests at once: five standard errors. A flipped low bit pairs the keys up: half as many are independent.
    bound = 5 * 0.5 / np.sqrt(len(keys) / 2)
    assert (ones(plain) - 0.5).abs().max() < bound
    for bit in range(63):
        assert (ones(plain ^ hashing.bits(0, keys ^ (1 << bit))) - 0.5).abs().max() < bound, f"key bit {bit}"


@pytest.mark.parametrize("draw", [hashing.uniform, hashing.normal])
def test_a_draw_does_not_depend_on_batch_split_or_order(draw):
    keys, partials = torch.arange(1000) * 7919, torch.arange(10)
    whole = draw(5, keys[:, None], partials)
    split = torch.cat([draw(5, part[:, None], partials) for part in keys.split(37)])
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(whole, split)
    assert torch.equal(whole[order], draw(5, keys[order][:, None], partials))
    assert torch.equal(whole[123, 4], draw(5, keys[123], partials[4]))


def test_distinct_seeds_keys_and_streams_are_uncorrelated():
    keys, bound = torch.arange(20_000), 4.5 / np.sqrt(20_000)

    def largest_correlation(columns):
        matrix = np.corrcoef(torch.stack(columns).numpy())
        return np.abs(matrix - np.eye(len(matrix))).max()

    assert largest_correlation([hashing.uniform(seed, keys) for seed in range(20)]) < bound
    assert largest_correlation([hashing.normal(seed, keys) for seed in range(20)]) < bound
    assert largest_correlation([hashing.uniform(0, keys, torch.tensor(stream)) for stream in range(20)]) < bound
    assert largest_correlation([hashing.uniform(0, keys + shift) for shift in range(20)]) < bound


def test_the_order_of_the_keys_matters():
    one, two = torch.tensor(1), torch.tensor(2)
    assert hashing.bits(0, one, two) != hashing.bits(0, two, one)
    assert hashing.bits(0, one) != hashing.bits(0, one, torch.tensor(0))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_permutation_is_a_bijection_for_every_length(seed):
    for length in (*range(1, 201), 1000, 4096, 4097, 20_691):
        image = Permutation(length, seed, "a shuffle")(torch.arange(length))
        assert torch.equal(image.sort().values, torch.arange(length)), f"length {length}"


def test_shuffles_of_other_names_and_numbers_are_others():
    index = torch.arange(1000)
    shuffles = [Permutation(1000, 0, name, number)(index) for name in ("one", "other") for number in range(20)]
    assert max((a == b).sum() for i, a in enumerate(shuffles) for b in shuffles[:i]) < 10
    names = [f"stream {number}" for number in range(1000)]
    assert len({hashing.stream(name) for name in names}) == 1000


def test_part_of_a_permutation_equals_that_part_of_the_whole():
    shuffle, index = Permutation(20_691, 4, "a shuffle"), torch.arange(20_691)
    whole = shuffle(index)
    assert torch.equal(shuffle(index[500:700]), whole[500:700])
    assert torch.equal(shuffle(index[5::7]), whole[5::7])
    assert torch.equal(shuffle(torch.tensor([17, 3, 17])), whole[[17, 3, 17]])
    assert torch.equal(shuffle(index.view(-1, 3)), whole.view(-1, 3))
    assert shuffle(index[:0]).numel() == 0
    assert torch.equal(index, torch.arange(20_691)), "the input is left alone"


def test_permutations_of_different_seeds_differ_and_shuffle():
    index = torch.arange(1000)
    images = torch.stack([Permutation(1000, seed, "a shuffle")(index) for seed in range(200)])
    # A random permutation has one fixed point on average, Poisson distributed.
    fixed_points = (images == index).double().sum(dim=1)
    assert abs(fixed_points.mean() - 1) < 4 / np.sqrt(200)
    agreements = (images[1:] == images[:-1]).double().sum(dim=1)
    assert abs(agreements.mean() - 1) < 4 / np.sqrt(199)
    for place in (0, 1, 499, 999):
        assert stats.kstest((images[:, place].numpy() + 0.5) / 1000, "uniform").pvalue > 1e-3
    ranks = [stats.spearmanr(index, image).statistic for image in images.numpy()]
    assert np.abs(ranks).max() < 4.5 / np.sqrt(1000)


def test_a_permutation_of_a_million_million_costs_only_what_is_asked_of_it():
    length = 10**12
    begin = time.perf_counter()
    image = Permutation(length, 0, "a shuffle")(torch.cat([torch.arange(5000), length - 1 - torch.arange(5000)]))
    assert time.perf_counter() - begin < 2
    assert 0 <= image.min() <= image.max() < length
    assert len(image.unique()) == 10_000
    assert stats.kstest(image.numpy() / length, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([10], "expected indices in 0..9, got 10..10"),
        ([3, -1], "expected indices in 0..9, got -1..3"),
        ([0, 9, 11], "expected indices in 0..9, got 0..11"),
    ],
)
def test_an_index_outside_a_permutation_is_an_error(index, message):
    with pytest.raises(ValueError) as error:
        Permutation(10, 0, "a shuffle")(torch.tensor(index))
    assert str(error.value) == message


@pytest.mark.gpu
def test_cpu_and_gpu_draw_the_same():
    keys, partials = torch.arange(2000)[:, None], torch.arange(100)
    assert torch.equal(hashing.bits(7, keys.cuda(), partials.cuda()).cpu(), hashing.bits(7, keys, partials))
    for draw in (hashing.uniform, hashing.normal):
        here, there = draw(7, keys, partials), draw(7, keys.cuda(), partials.cuda()).cpu()
        assert (here - there).abs().max() < 1e-5
    index = torch.arange(20_691)
    shuffle = Permutation(20_691, 7, "a shuffle")
    assert torch.equal(shuffle(index.cuda()).cpu(), shuffle(index))
