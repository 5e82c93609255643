"""What holds for every family of sounds."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy import stats
from scipy.optimize import brentq
from scipy.spatial import cKDTree
from tests.reference import synthesis

from disentone.synths import Additive, Synth, Waveforms, sum_partials

PRESETS = Path(__file__).parents[2] / "conf" / "synth"
F0 = {"f0": {"unit": "Hz", "start": 100, "stop": 1000, "step": 50}}


def preset(name: str, **changes: object) -> Synth:
    return instantiate(OmegaConf.load(PRESETS / f"{name}.yaml"), **changes)


def render(synth: Synth, rows: torch.Tensor) -> torch.Tensor:
    return synth(synth.space.values(synth.space.grid(rows)), rows)


def some_rows(synth: Synth, count: int, seed: int = 0) -> torch.Tensor:
    return synth.space.rows(synth.space.sample(count, torch.Generator().manual_seed(seed)))


def level_db(audio: torch.Tensor) -> torch.Tensor:
    return 10 * audio.double().square().mean(dim=1).log10()


# One sine of 100 Hz: 100 whole periods in a second, so its level and phase can be read off exactly.
SINE = {"factors": {"f0": {"values": [100, 200]}}, "partials": 1}


def sines(count: int, first_key: int = 0, **settings: object) -> torch.Tensor:
    values = torch.full((count, 1), 100.0, dtype=torch.float64)
    return Additive(**SINE, **settings)(values, torch.arange(first_key, first_key + count))


def phases(audio: torch.Tensor, frequency: float = 100.0) -> np.ndarray:
    """Start phase of a sine in cycles, in [0, 1)."""
    wave = np.exp(-2j * np.pi * frequency * np.arange(audio.shape[1]) / 16_000)
    return (np.angle(audio.double().numpy() @ wave) / (2 * np.pi) + 0.25) % 1


# The sound itself.


@pytest.mark.parametrize("name", ["tones", "tones_noisy", "tones_smooth", "syntone"])
def test_a_preset_is_one_second_of_float32_at_16_khz(name):
    synth = preset(name)
    audio = render(synth, some_rows(synth, 3))
    assert audio.shape == (3, 16_000)
    assert audio.dtype == torch.float32
    assert audio.isfinite().all()
    assert synth.is_random == (name == "tones_noisy")


@pytest.mark.parametrize(("name", "bar"), [("tones", 1e-3), ("tones_smooth", 1e-3), ("syntone", 2e-3)])
def test_no_two_rows_of_a_noise_free_preset_sound_the_same(name, bar):
    # The clip's first quarter second: rows that differ there differ as a whole. 32 random directions estimate
    # the root mean square difference of two clips (chi, 32 degrees of freedom: within a factor of 2 of it).
    synth = preset(name, duration=0.25)
    directions = torch.randn(synth.num_samples, 32, generator=torch.Generator().manual_seed(0))
    directions /= math.sqrt(32 * synth.num_samples)
    rows = torch.arange(len(synth.space))
    points = torch.cat([render(synth, chunk) @ directions for chunk in rows.split(512)]).numpy()
    distance, _ = cKDTree(points).query(points, k=2)
    assert distance[:, 1].min() > bar


@pytest.mark.parametrize("name", ["tones", "syntone"])
def test_a_shorter_clip_is_the_beginning_of_a_longer_one(name):
    long, short = preset(name), preset(name, duration=0.3)
    rows = some_rows(long, 16)
    assert (render(long, rows)[:, :4800] - render(short, rows)).abs().max() < 1e-6


def test_a_higher_sample_rate_samples_the_same_sound_more_often():
    low, high = preset("tones"), preset("tones", sample_rate=48_000)
    # f0 up to 150 Hz: the tenth partial, at 150 * 10 * sqrt(101 / 2) = 10.7 kHz, is heard at 48 kHz only.
    positions = low.space.grid(some_rows(low, 16))
    positions = low.space.fix(low.space.fix(positions, "f0", 1), "inharmonicity", 1)
    rows = low.space.rows(positions)
    assert (render(low, rows) - render(high, rows)[:, ::3]).abs().max() < 1e-6


def test_the_sum_of_partials_is_the_sum_of_decaying_sines():
    generator = torch.Generator().manual_seed(0)
    frequencies, amplitudes, start = torch.rand(3, 4, 7, generator=generator, dtype=torch.float64)
    frequencies, decay = frequencies * 7999, torch.tensor([0, 1, 10, 50.0], dtype=torch.float64)
    for num_samples in (1, 2, 100, 16_000, 16_001):
        audio = sum_partials(frequencies, amplitudes, start, decay, num_samples, 16_000)
        time = np.arange(num_samples) / 16_000
        for row in range(4):
            partials = zip(frequencies[row].tolist(), amplitudes[row].tolist(), start[row].tolist(), strict=True)
            expected = sum(a * np.sin(2 * np.pi * (f * time + p)) for f, a, p in partials)
            expected = expected * np.exp(-float(decay[row]) * time)
            assert audio.shape == (4, num_samples)
            assert np.abs(audio[row].numpy() - expected).max() < 4e-6


# Company, order and keys.


@pytest.mark.parametrize("name", ["tones", "tones_noisy", "syntone"])
def test_batch_size_and_order_do_not_change_a_sound(name):
    synth = preset(name, random_phase=True, onset=0.2, level_db=6.0)
    rows = some_rows(synth, 24)
    whole = render(synth, rows)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    assert (render(synth, rows[order]) - whole[order]).abs().max() < 1e-6
    assert (torch.cat([render(synth, part) for part in rows.split(7)]) - whole).abs().max() < 1e-6
    assert (render(synth, rows[5:6]) - whole[5:6]).abs().max() < 1e-6


def test_a_key_has_the_same_noise_in_any_batch_and_another_key_has_another():
    synth = Additive(factors=F0, fixed={"snr_db": 0}, duration=0.25)
    values = torch.full((6, 1), 200.0, dtype=torch.float64)
    clean = Additive(factors=F0, duration=0.25)(values, torch.arange(6))
    noise = synth(values, torch.tensor([3, 8, 3, 9, 10, 2**40])) - clean
    assert (noise[0] - noise[2]).abs().max() < 1e-6
    assert (noise[:1] - (synth(values[:1], torch.tensor([3])) - clean[:1])).abs().max() < 1e-6
    correlation = np.corrcoef(noise[[0, 1, 3, 4, 5]].numpy()) - np.eye(5)
    assert np.abs(correlation).max() < 4.5 / math.sqrt(4000)


def test_the_synths_seed_changes_its_noise_and_not_its_tone():
    values, keys = torch.full((1, 1), 200.0, dtype=torch.float64), torch.tensor([7])
    noisy = [Additive(factors=F0, fixed={"snr_db": 20}, seed=seed)(values, keys) for seed in (0, 0, 1)]
    clean = [Additive(factors=F0, seed=seed)(values, keys) for seed in (0, 1)]
    assert torch.equal(noisy[0], noisy[1])
    assert torch.equal(clean[0], clean[1])
    assert abs(np.corrcoef((noisy[0] - clean[0])[0], (noisy[2] - clean[0])[0])[0, 1]) < 4.5 / math.sqrt(16_000)


def test_the_noise_is_white_and_gaussian():
    synth = Additive(factors=F0, fixed={"snr_db": 0})
    values = torch.full((4, 1), 200.0, dtype=torch.float64)
    noise = (synth(values, torch.arange(4)) - Additive(factors=F0)(values, torch.arange(4))).double()
    noise = noise / noise.std(dim=1, keepdim=True)
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
    # White: the power in each of 16 bands is the same, within 4.5 standard errors of 2,000 exponential draws.
    power = torch.fft.rfft(noise).abs().square()[:, 1:8001].reshape(4, 16, 500).mean(dim=(0, 2)) / 16_000
    assert (power - 1).abs().max() < 4.5 / math.sqrt(2000)


# Gain.


def test_the_peak_gain_scales_every_clip_to_a_peak_of_one_and_only_that():
    fixed, peak = preset("tones", random_phase=True), preset("tones", random_phase=True, gain="peak")
    rows = some_rows(fixed, 50)
    plain, loud = render(fixed, rows), render(peak, rows)
    assert (loud.abs().amax(dim=1) - 1).abs().max() < 1e-6
    assert (plain / plain.abs().amax(dim=1, keepdim=True) - loud).abs().max() < 1e-6


# Nuisances.


def test_the_presets_have_no_nuisances():
    synth = preset("tones")
    values = synth.space.values(synth.space.grid(some_rows(synth, 5)))
    assert torch.equal(synth(values, torch.arange(5)), synth(values, torch.arange(5) + 1000))


@pytest.mark.parametrize("nuisance", [{"random_phase": True}, {"onset": 0.3}, {"level_db": 12.0}])
def test_a_nuisance_is_a_function_of_seed_and_key(nuisance):
    first = sines(10, **nuisance)
    assert torch.equal(first, sines(10, **nuisance))
    assert (first[4:6] - sines(2, first_key=4, **nuisance)).abs().max() < 1e-6
    others = [sines(10, first_key=10, **nuisance), sines(10, seed=1, **nuisance)]
    for other in others:
        assert (first - other).abs().amax(dim=1).min() > 1e-3
    assert Additive(**SINE, **nuisance).is_random


def test_random_phases_are_uniform_and_leave_level_and_spectrum_alone():
    audio = sines(500, random_phase=True)
    assert stats.kstest(phases(audio), "uniform").pvalue > 1e-3
    assert (level_db(audio) - level_db(sines(500))).abs().max() < 1e-4


def test_partials_have_phases_independent_of_one_another():
    synth = Additive(factors=F0, partials=4, random_phase=True)
    audio = synth(torch.full((500, 1), 100.0, dtype=torch.float64), torch.arange(500))
    start = np.stack([phases(audio, 100.0 * k) for k in range(1, 5)])
    for row in start:
        assert stats.kstest(row, "uniform").pvalue > 1e-3
    circle = np.concatenate([np.cos(2 * np.pi * start), np.sin(2 * np.pi * start)])
    assert np.abs(np.corrcoef(circle) - np.eye(8)).max() < 4.5 / math.sqrt(500)


def test_a_sound_is_silent_before_its_onset_and_starts_there_as_if_at_zero():
    latest, f0, decay = 0.4, 100.0, 6.0
    synth = Additive(factors=F0, fixed={"decay": decay, "inharmonicity": 0.2}, onset=latest)
    audio = synth(torch.full((200, 1), f0, dtype=torch.float64), torch.arange(200)).double().numpy()
    assert np.abs(audio).max() <= 1
    first = (audio != 0).argmax(axis=1)
    assert stats.kstest(first / 16_000 / latest, "uniform").pvalue > 1e-3
    spectrum = synthesis.partials(f0, inharmonicity=0.2)
    for row in range(0, 200, 10):
        # How long before its first sample the sound began, from that sample's height on the rising flank.
        start = audio[row, first[row]]
        before = brentq(
            lambda age, start=start: (
                math.exp(-decay * age) * sum(a * math.sin(2 * math.pi * f * age) for f, a in spectrum) - start
            ),
            0,
            1.01 / 16_000,
        )
        expected = synthesis.tone(f0, -0.3, 0.2, decay, onset=first[row] / 16_000 - before)
        assert np.abs(audio[row] - expected).max() < 1e-5


def test_a_late_onset_of_a_short_sound_is_no_overflow():
    # exp(decay * onset) alone leaves float32's range; the sound does not.
    synth = Additive(factors=F0, fixed={"decay": 150}, onset=0.9)
    audio = synth(torch.full((200, 1), 100.0, dtype=torch.float64), torch.arange(200))
    assert audio.isfinite().all()
    assert audio.abs().max() <= 1


def test_levels_are_uniform_in_their_range_and_tell_nothing_of_phase_or_onset():
    quietest, count = 12.0, 500
    plain = level_db(sines(1))
    drop = (plain - level_db(sines(count, level_db=quietest))).numpy()
    assert drop.min() >= -1e-4
    assert drop.max() <= quietest + 1e-4
    assert stats.kstest(drop / quietest, "uniform").pvalue > 1e-3
    both = sines(count, level_db=quietest, random_phase=True)
    assert np.abs((plain - level_db(both)).numpy() - drop).max() < 1e-4
    start = phases(both)
    onset = (sines(count, onset=0.4) != 0).double().argmax(dim=1).numpy()
    for other in (np.cos(2 * np.pi * start), np.sin(2 * np.pi * start), onset):
        assert abs(np.corrcoef(drop, other)[0, 1]) < 4 / math.sqrt(count)


def test_nuisances_tell_nothing_of_factors_drawn_continuously_with_the_same_seed_and_keys():
    factors = {name: {"start": 0.1, "stop": 1, "count": 2} for name in ("decay", "inharmonicity", "slope")}
    synth = Additive(factors=factors, level_db=12.0, onset=0.4, partials=1, seed=0)
    keys = torch.arange(500)
    positions = synth.space.continuous(keys, seed=0).numpy()
    values = torch.full((500, 3), 0.1, dtype=torch.float64)
    audio = synth(values, keys)
    onset = (audio != 0).double().argmax(dim=1).numpy()
    level = audio.abs().amax(dim=1).log().numpy()
    for nuisance in (onset, level):
        for column in range(3):
            assert abs(np.corrcoef(nuisance, positions[:, column])[0, 1]) < 4 / math.sqrt(500)


# Parameters.


def test_a_space_of_some_parameters_takes_the_others_from_fixed_and_from_the_defaults():
    synth = Additive(
        factors={"decay": {"values": [0, 5]}, "f0": {"values": [150, 333.3, 720]}},
        fixed={"slope": -0.5, "presence": "odd"},
    )
    audio = render(synth, torch.arange(6)).double().numpy()
    for row, (decay, f0) in enumerate((d, f) for d in (0, 5) for f in (150, 333.3, 720)):
        assert np.abs(audio[row] - synthesis.tone(f0, -0.5, 0.0, decay, "odd")).max() < 3e-6


def test_names_are_matched_by_name_and_not_by_their_place_in_the_list():
    synth = Additive(factors={"presence": {"labels": ["even", "all"]}}, fixed={"f0": 300})
    audio = render(synth, torch.arange(2)).double().numpy()
    for row, presence in enumerate(("even", "all")):
        assert np.abs(audio[row] - synthesis.tone(300, presence=presence)).max() < 3e-6


ADDITIVE = "f0, slope, inharmonicity, presence, decay, snr_db"


@pytest.mark.parametrize(
    ("family", "settings", "message"),
    [
        (Additive, {"sample_rate": 0}, "sample_rate must be above 0 Hz, got 0"),
        (Additive, {"sample_rate": -1}, "sample_rate must be above 0 Hz, got -1"),
        (Additive, {"duration": 0.0}, "duration must hold at least one sample, got 0.0 s at 16000 Hz"),
        (Additive, {"duration": 2e-5}, "duration must hold at least one sample, got 2e-05 s at 16000 Hz"),
        (Additive, {"duration": math.nan}, "duration must hold at least one sample, got nan s at 16000 Hz"),
        (Additive, {"gain": "loud"}, "gain must be fixed or peak, got loud"),
        (Additive, {"onset": -0.1}, "onset must be from 0 s to below the duration (1.0 s), got -0.1"),
        (Additive, {"onset": 1.0}, "onset must be from 0 s to below the duration (1.0 s), got 1.0"),
        (Additive, {"level_db": -1.0}, "level_db is an attenuation of 0 dB or more, got -1.0"),
        (Additive, {"level_db": math.inf}, "level_db is an attenuation of 0 dB or more, got inf"),
        (Additive, {"fixed": {"slope": math.nan}}, "fixed slope must be a finite number, got nan"),
        (Additive, {"fixed": {"f0": 300}}, "f0 is both a factor and fixed; remove one of the two"),
        (Additive, {"fixed": {"pitch": 3}}, f"Additive has no parameter pitch; it has {ADDITIVE}"),
        (
            Additive,
            {"factors": {"pitch": {"values": [1, 2]}}},
            f"Additive has no parameter pitch; it has {ADDITIVE}",
        ),
        (
            Waveforms,
            {"factors": {"slope": {"values": [1, 2]}}},
            "Waveforms has no parameter slope; it has waveform, amplitude, f0, decay, snr_db",
        ),
        (Additive, {"fixed": {"presence": "some"}}, "presence has no value some; it has all, odd, even"),
        (Additive, {"fixed": {"presence": 1}}, "presence has no value 1; it has all, odd, even"),
        (
            Additive,
            {"factors": {"presence": {"labels": ["all", "some"]}}},
            "presence has no value some; it has all, odd, even",
        ),
        (
            Additive,
            {"factors": {"presence": {"values": [0, 1]}}},
            "factor presence takes labels out of all, odd, even",
        ),
        (
            Waveforms,
            {"factors": {"waveform": {"labels": ["sine", "noise"]}}},
            "waveform has no value noise; it has sine, triangle, square, saw",
        ),
        (Waveforms, {"gain": "loud"}, "gain must be fixed or peak, got loud"),
        (Additive, {"fixed": {"decay": "fast"}}, "fixed decay must be a finite number, got fast"),
        (
            Additive,
            {"fixed": {"snr_db": -1e9}},
            "snr_db goes down to -1e+09 dB, noise that no number can hold; expected -200 dB or more",
        ),
        (
            Additive,
            {"factors": {"slope": {"start": 0, "stop": 400, "step": 100}}},
            "slope reaches 400; 10 partials of the exponential law grow beyond every number; a slope of 0 or less lets "
            "them fall",
        ),
        (Waveforms, {"fixed": {"amplitude": 1e300}}, "amplitude reaches 1e+300; it must stay below 1e+06"),
    ],
)
def test_an_impossible_setting_says_what_is_wrong(family, settings, message):
    with pytest.raises(ValueError) as error:
        family(**{"factors": F0, **settings})
    assert str(error.value) == message


@pytest.mark.parametrize("law", ["exponential", "power", "linear", "linear_per_k"])
def test_the_loudest_noise_and_the_steepest_slopes_still_have_a_sound(law):
    factors = {"snr_db": {"values": [-200, 0]}, "slope": {"values": [-30, 30]}}
    synth = Additive(factors=factors, amplitude_law=law, duration=0.1)
    assert render(synth, torch.arange(4)).isfinite().all()


@pytest.mark.parametrize("value", [math.inf, -math.inf])
@pytest.mark.parametrize("name", ["slope", "inharmonicity"])
def test_a_fixed_parameter_without_a_sound_is_an_error(name, value):
    with pytest.raises(ValueError, match=name):
        Additive(factors=F0, fixed={name: value})


def test_names_for_a_numeric_parameter_are_an_error():
    with pytest.raises(ValueError, match="decay"):
        Additive(factors={"decay": {"labels": ["short", "long"]}})


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["tones", "tones_noisy", "syntone"])
def test_cpu_and_gpu_render_the_same(name):
    synth = preset(name, random_phase=True, onset=0.2, level_db=6.0)
    rows = some_rows(synth, 32)
    assert (render(synth, rows) - render(synth, rows.cuda()).cpu()).abs().max() < 1e-5
