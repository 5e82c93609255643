import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy import stats

from disentone.factors import Factor, FactorSpace

PRESETS = Path(__file__).parents[1] / "conf" / "synth"

F0 = [100.0 + 50 * i for i in range(19)]
SLOPE = [-i / 10 for i in range(1, 10)]
TENTHS = [i / 10 for i in range(11)]
DECAY = [float(i) for i in range(11)]

# Every preset's factors in their order, with their values, written out.
SPACES = {
    "tones": {"f0": F0, "slope": SLOPE, "inharmonicity": TENTHS, "decay": DECAY},
    "tones_noisy": {
        "f0": F0,
        "slope": SLOPE,
        "snr_db": [0.0, 10.0, 20.0, 30.0, 40.0],
        "presence": [0.0, 1.0, 2.0],
        "inharmonicity": [0.0, 0.25, 0.5, 0.75, 1.0],
    },
    "tones_smooth": {
        "f0": [110 * 2 ** (i / 8) for i in range(25)],
        "slope": SLOPE,
        "inharmonicity": TENTHS,
        "decay": DECAY,
    },
    "syntone": {
        "waveform": [0.0, 1.0, 2.0, 3.0],
        "amplitude": [0.1 + 0.9 * i / 19 for i in range(20)],
        "f0": [440 + 2160 * i / 399 for i in range(400)],
    },
}
ROWS = {"tones": 20_691, "tones_noisy": 12_825, "tones_smooth": 27_225, "syntone": 32_000}


def preset(name: str) -> FactorSpace:
    return instantiate(OmegaConf.load(PRESETS / f"{name}.yaml")).space


@pytest.fixture(scope="module")
def space() -> FactorSpace:
    return FactorSpace(
        {
            "f0": {"unit": "Hz", "start": 110, "stop": 880, "count": 25, "spacing": "log"},
            "slope": {"start": -0.1, "stop": -0.9, "step": -0.1},
            "presence": {"labels": ["all", "odd", "even"]},
            "size": {"values": [1, 5, 3, 10]},
        }
    )


@pytest.mark.parametrize("name", ROWS)
def test_a_preset_has_the_rows_and_the_values_it_states(name):
    space = preset(name)
    assert len(space) == ROWS[name] == math.prod(space.sizes)
    assert space.names == tuple(SPACES[name])
    for factor, values in zip(space.factors, SPACES[name].values(), strict=True):
        assert np.abs(factor.grid - values).max() <= 0.5e-9 + 1e-12, factor.name


@pytest.mark.parametrize("name", ["tones", "tones_noisy"])
def test_stepped_values_are_the_decimal_numbers_themselves(name):
    for factor, values in zip(preset(name).factors, SPACES[name].values(), strict=True):
        assert factor.grid.tolist() == values


@pytest.mark.parametrize(
    ("start", "stop", "step", "count"),
    [(0, 1, 0.1, 11), (0.1, 0.3, 0.1, 3), (-0.1, -0.9, -0.1, 9), (0, 1000, 0.001, 1_000_001), (5, -5, -2.5, 5)],
)
def test_steps_are_computed_from_the_start_and_never_accumulated(start, stop, step, count):
    grid = Factor("f", start=start, stop=stop, step=step).grid
    assert len(grid) == count
    assert np.array_equal(grid, np.round(start + np.arange(count) * np.float64(step), 9))
    assert grid[0] == start
    assert grid[-1] == stop


def test_counted_values_have_equal_differences_or_equal_ratios():
    lin = Factor("f", start=440, stop=2600, count=400).grid
    log = Factor("f", start=110, stop=880, count=25, spacing="log").grid
    assert np.diff(lin) == pytest.approx(2160 / 399, abs=2e-9)
    assert log[1:] / log[:-1] == pytest.approx(2 ** (1 / 8), abs=1e-9)
    assert (log[0], log[8], log[16], log[24]) == (110, 220, 440, 880)


def test_values_on_the_grid_are_exact(space):
    for column, factor in enumerate(space.factors):
        walk = space.traverse(torch.zeros(len(space.factors), dtype=torch.int64), factor.name)
        assert torch.equal(space.values(walk)[:, column], torch.from_numpy(factor.grid))


def test_values_between_the_grid_follow_the_spacing():
    lin = {"start": 0, "stop": 10, "count": 3}
    log = {"start": 100, "stop": 400, "count": 3, "spacing": "log"}
    between = torch.tensor([0.25, 0.5, 1.5, 1.75], dtype=torch.float64)
    values = FactorSpace({"lin": lin, "log": log}).values(torch.stack([between, between], dim=1))
    assert values[:, 0].tolist() == pytest.approx([1.25, 2.5, 7.5, 8.75], abs=1e-12)
    assert values[:, 1].tolist() == pytest.approx([100 * 2**p for p in between.tolist()], rel=1e-12)


@pytest.mark.parametrize("name", ROWS)
def test_rows_and_positions_are_inverse_and_the_last_factor_is_fastest(name):
    space, rows = preset(name), torch.arange(ROWS[name])
    positions = space.grid(rows)
    assert positions.dtype == torch.int64
    assert np.array_equal(positions.numpy(), np.stack(np.unravel_index(rows.numpy(), space.sizes), axis=1))
    assert torch.equal(space.rows(positions), rows)
    assert positions[1].tolist() == [0] * (len(space.sizes) - 1) + [1]


def test_values_take_each_column_from_its_own_factor(space):
    values = space.values(space.grid(torch.arange(len(space))))
    assert values.dtype == torch.float64
    expected = np.stack([m.ravel() for m in np.meshgrid(*(f.grid for f in space.factors), indexing="ij")], axis=1)
    assert np.array_equal(values.numpy(), expected)


def test_continuous_draws_are_uniform_over_their_range_and_independent(space):
    positions = space.continuous(torch.arange(20_000), seed=0)
    values = space.values(positions).numpy()
    # Uniform in the factor's own spacing: in octaves for a log range, in units for a linear one.
    assert stats.kstest(np.log2(values[:, 0] / 110) / 3, "uniform").pvalue > 1e-3
    assert stats.kstest((values[:, 1] + 0.1) / -0.8, "uniform").pvalue > 1e-3
    for column, size in ((2, 3), (3, 4)):
        assert torch.equal(positions[:, column], positions[:, column].round()), "names and lists have nothing between"
        assert stats.chisquare(np.bincount(positions[:, column].long(), minlength=size)).pvalue > 1e-3
    assert set(values[:, 3]) == {1.0, 5.0, 3.0, 10.0}
    correlation = np.corrcoef(positions.numpy(), rowvar=False) - np.eye(4)
    assert np.abs(correlation).max() < 4 / np.sqrt(20_000)


def test_continuous_draws_stay_in_range(space):
    positions = space.continuous(torch.arange(20_000), seed=1)
    assert positions.min() >= 0
    assert (positions <= torch.tensor(space.sizes) - 1).all()
    values = space.values(positions)
    for column, factor in enumerate(space.factors):
        assert factor.grid.min() <= values[:, column].min() <= values[:, column].max() <= factor.grid.max()


def test_a_continuous_draw_is_a_function_of_seed_and_key(space):
    keys = torch.arange(100) * 31
    draws = space.continuous(keys, seed=3)
    assert torch.equal(draws[40:60], space.continuous(keys[40:60], seed=3))
    assert torch.equal(draws.flip(0), space.continuous(keys.flip(0), seed=3))
    assert not torch.equal(draws, space.continuous(keys, seed=4))
    assert not torch.equal(draws, space.continuous(keys + 1, seed=3))


def test_samples_are_uniform_rows_of_the_generator(space):
    draws = space.sample(20_000, torch.Generator().manual_seed(0))
    assert torch.equal(draws, space.sample(20_000, torch.Generator().manual_seed(0)))
    assert not torch.equal(draws, space.sample(20_000, torch.Generator().manual_seed(1)))
    for column, size in enumerate(space.sizes):
        assert stats.chisquare(np.bincount(draws[:, column], minlength=size)).pvalue > 1e-3
    assert np.abs(np.corrcoef(draws.numpy(), rowvar=False) - np.eye(4)).max() < 4 / np.sqrt(20_000)


def test_fix_holds_one_factor_and_leaves_the_others_and_the_input_alone(space):
    positions = space.grid(torch.arange(len(space)))
    fixed = space.fix(positions, "presence", 2)
    assert (fixed[:, 2] == 2).all()
    assert torch.equal(fixed[:, [0, 1, 3]], positions[:, [0, 1, 3]])
    assert torch.equal(positions, space.grid(torch.arange(len(space))))


def test_traverse_walks_one_factor_through_all_its_values(space):
    walk = space.traverse(torch.tensor([7, 3, 1, 2]), "slope")
    assert walk.tolist() == [[7, i, 1, 2] for i in range(9)]


def test_a_space_of_a_million_million_rows_is_never_listed():
    begin = time.perf_counter()
    space = FactorSpace({name: {"start": 0, "stop": 999, "step": 1} for name in "abcd"})
    rows = torch.tensor([0, 1, 999, 1000, 123_456_789_012, 10**12 - 1])
    positions = space.grid(rows)
    assert len(space) == 10**12
    assert positions[4].tolist() == [123, 456, 789, 12]
    assert positions[5].tolist() == [999] * 4
    assert torch.equal(space.rows(positions), rows)
    assert space.sample(1000, torch.Generator().manual_seed(0)).shape == (1000, 4)
    assert space.continuous(rows, seed=0).shape == (6, 4)
    assert time.perf_counter() - begin < 2


def test_values_are_described_as_a_person_reads_them(space):
    assert [factor.describe(1) for factor in space.factors] == ["120 Hz", "-0.2", "odd", "5"]


def test_a_description_may_come_from_yaml():
    written = OmegaConf.create(
        "{a: {values: [3, 1, 2.5], unit: m}, b: {labels: [x, y]}, c: {start: 1, stop: 2, count: 2}}"
    )
    space = FactorSpace(written)
    assert space.sizes == (3, 2, 2)
    assert space.factors[0].grid.tolist() == [3, 1, 2.5]
    assert space.factors[1].describe(1) == "y"


EXPECTED = "factor f: expected start, stop and step; or start, stop and count; or values; or labels; got "
MANY = "values, expected at most 2,000,000; take fewer, and let data.continuous=true draw between them"
CONSTANT = "value(s), expected at least 2; give a constant to the synth's `fixed` instead"


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"start": 0, "stop": 1, "step": 0}, "factor f: step must be a number other than 0"),
        ({"start": 0, "stop": 1, "step": math.nan}, "factor f: step must be a finite number, got nan"),
        ({"start": 0, "stop": 1, "step": math.inf}, "factor f: step must be a finite number, got inf"),
        (
            {"start": 0, "stop": 1, "step": -0.1},
            "factor f: a step of -0.1 leads away from stop 1; start is 0",
        ),
        (
            {"start": 5, "stop": 1, "step": 1},
            "factor f: a step of 1 leads away from stop 1; start is 5",
        ),
        (
            {"start": 0, "stop": 1, "step": 0.3},
            "factor f: no step of 0.3 from 0 hits stop 1; the nearest below is 0.9, the next 1.2",
        ),
        ({"values": []}, f"factor f: 0 {CONSTANT}"),
        ({"labels": []}, f"factor f: 0 {CONSTANT}"),
        ({"values": [3]}, f"factor f: 1 {CONSTANT}"),
        ({"labels": ["only"]}, f"factor f: 1 {CONSTANT}"),
        ({"start": 2, "stop": 2, "step": 1}, f"factor f: 1 {CONSTANT}"),
        ({"values": [1, 2, 1]}, "factor f: values repeat: [1.0, 2.0, 1.0]"),
        ({"start": 2, "stop": 2, "count": 3}, "factor f: values repeat: [2.0, 2.0, 2.0]"),
        ({"values": [1, math.nan]}, "factor f: every value must be a finite number, got [1.0, nan]"),
        ({"values": [1, math.inf]}, "factor f: every value must be a finite number, got [1.0, inf]"),
        ({"start": math.nan, "stop": 1, "count": 2}, "factor f: start must be a finite number, got nan"),
        (
            {"start": 0, "stop": 1, "steps": 0.1},
            "factor f: unknown key steps; known are unit, start, stop, step, count, spacing, values, labels",
        ),
        (
            {"start": 1, "stop": 2, "step": 0.5, "spacing": "log"},
            "factor f: spacing log goes with start, stop and count",
        ),
        (
            {"start": 0, "stop": 10, "count": 3, "spacing": "log"},
            "factor f: spacing log needs start and stop above 0, got 0 and 10",
        ),
        (
            {"start": 1, "stop": -10, "count": 3, "spacing": "log"},
            "factor f: spacing log needs start and stop above 0, got 1 and -10",
        ),
        ({"start": 1, "stop": 2, "count": 3, "spacing": "mel"}, "factor f: spacing must be lin or log, got mel"),
        ({"start": 1, "stop": 2, "count": 1}, "factor f: count must be at least 2, got 1"),
        ({"start": 1, "stop": 2, "count": -3}, "factor f: count must be at least 2, got -3"),
        ({"start": True, "stop": 2, "step": 1}, "factor f: start must be a finite number, got True"),
        ({"start": "a", "stop": 2, "step": 1}, "factor f: start must be a finite number, got 'a'"),
        ({"start": 0, "stop": 2, "step": True}, "factor f: step must be a finite number, got True"),
        ({"start": 0, "stop": 2, "count": 2.7}, "factor f: count must be a whole number, got 2.7"),
        ({"start": 0, "stop": 2, "count": True}, "factor f: count must be a whole number, got True"),
        ({"start": 0, "stop": 2, "count": 1e9}, "factor f: count must be a whole number, got 1000000000.0"),
        ({"start": 0, "stop": 2, "count": 10**9}, f"factor f: 1,000,000,000 {MANY}"),
        ({"start": 0, "stop": 10, "step": 1e-9}, f"factor f: 10,000,000,001 {MANY}"),
        ({"start": 0, "stop": 1e300, "step": 1e-300}, f"factor f: inf {MANY}"),
        ({"values": 5}, "factor f: values must be a list of numbers, got 5"),
        ({"values": "12"}, "factor f: values must be a list of numbers, got '12'"),
        ({"values": ["a", "b"]}, "factor f: values must be a list of numbers, got ['a', 'b']"),
        ({"values": [[0, 1], [2, 3]]}, "factor f: values must be a list of numbers, got [[0, 1], [2, 3]]"),
        ({"values": [0, None]}, "factor f: values must be a list of numbers, got [0, None]"),
        ({"values": [0, True]}, "factor f: values must be a list of numbers, got [0, True]"),
        ({"labels": 5}, "factor f: labels must be a list of names, got 5"),
        ({"labels": "ab"}, "factor f: labels must be a list of names, got 'ab'"),
        ({"labels": [1, 2]}, "factor f: labels must be a list of names, got [1, 2]"),
        ({}, f"{EXPECTED}nothing"),
        ({"unit": "Hz"}, f"{EXPECTED}nothing"),
        ({"start": 0, "stop": 1}, f"{EXPECTED}start, stop"),
        ({"start": 0, "step": 1}, f"{EXPECTED}start, step"),
        ({"start": 0, "stop": 1, "step": 0.5, "count": 3}, f"{EXPECTED}count, start, step, stop"),
        ({"values": [0, 1], "labels": ["a", "b"]}, f"{EXPECTED}labels, values"),
        ({"values": [0, 1], "step": 1}, f"{EXPECTED}step, values"),
    ],
)
def test_a_wrong_description_says_what_is_wrong(description, message):
    with pytest.raises(ValueError) as error:
        FactorSpace({"f": description})
    assert str(error.value) == message


def test_rows_that_no_integer_can_number_are_refused():
    ten = {"start": 0, "stop": 9, "step": 1}
    with pytest.raises(ValueError, match=r"rows, more than the 2\^62 that can be numbered"):
        FactorSpace(dict.fromkeys("abcdefghijklmnopqrs", ten))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("end", ["start", "stop"])
def test_a_stepped_range_must_have_finite_ends(end, value):
    with pytest.raises(ValueError, match=r"^factor f: "):
        FactorSpace({"f": {"start": 0, "stop": 1, "step": 1, end: value}})


def test_labels_must_not_repeat():
    with pytest.raises(ValueError, match=r"^factor f: .*repeat"):
        FactorSpace({"f": {"labels": ["odd", "even", "odd"]}})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: FactorSpace({}), "a factor space needs at least one factor"),
        (lambda space: space.index("pitch"), "no factor is called pitch; there are f0, slope, presence, size"),
        (
            lambda space: space.traverse(torch.zeros(4, dtype=torch.int64), "pitch"),
            "no factor is called pitch; there are f0, slope, presence, size",
        ),
        (
            lambda space: space.fix(space.grid(torch.arange(3)), "slope", 9),
            "factor slope has positions 0..8, got 9",
        ),
        (
            lambda space: space.fix(space.grid(torch.arange(3)), "slope", -1),
            "factor slope has positions 0..8, got -1",
        ),
    ],
)
def test_a_wrong_question_to_a_space_says_what_is_wrong(space, call, message):
    with pytest.raises(ValueError) as error:
        call(space)
    assert str(error.value) == message
