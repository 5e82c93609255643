import math
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from nnAudio.features.cqt import CQT1992v2
from omegaconf import OmegaConf
from tests.reference.cqt import nnaudio_image

from disentone.frontends import CQT, VQT
from disentone.frontends.cqt import TOLERANCE
from disentone.frontends.halving import AT_ONCE, REACH, TAPS, Halving, response

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="module")
def cqt() -> CQT:
    return CQT()


@pytest.fixture(scope="module")
def tones() -> torch.Tensor:
    """Fifty seeded rows of the default preset."""
    synth = instantiate(OmegaConf.load(CONF / "synth" / "tones.yaml"))
    positions = synth.space.sample(50, torch.Generator().manual_seed(0))
    return synth(synth.space.values(positions), torch.arange(50))


def sines(*frequencies: float, amplitude: float = 1.0, num_samples: int = 16_000) -> torch.Tensor:
    time = torch.arange(num_samples, dtype=torch.float64) / 16_000
    return torch.stack([amplitude * torch.sin(2 * math.pi * f * time) for f in frequencies]).float()


def decibels(cqt: CQT, audio: torch.Tensor) -> torch.Tensor:
    """Levels [batch bin frame] of the transform, without floor or ceiling."""
    return 10 * cqt.transform(audio).double().square().sum(dim=1).clamp(min=1e-30).log10()


def test_the_configured_front_end_is_80_bins_by_63_frames_for_a_second(tones):
    synth = {"sample_rate": 16_000}
    config = OmegaConf.create({"synth": synth, "frontend": OmegaConf.load(CONF / "frontend" / "cqt.yaml")})
    cqt = instantiate(config.frontend)
    assert cqt.shape(16_000) == (1, 80, 63)
    image = cqt(tones)
    assert image.shape == (50, 1, 80, 63)
    assert torch.equal(image, CQT()(tones)), "the file states the constructor's own defaults"


# Outside references.


def test_the_image_agrees_with_librosa(cqt, tones):
    # librosa's filters have unit L1 norm and are then multiplied by their length in samples (twice by its square
    # root in the lower octaves, which are resampled); scale=True divides by the square root of that length. A
    # unit sinusoid is half a unit exponential, hence reads sqrt(length) / 2, and 2 / sqrt(length) makes it 1.
    settings = {"sr": 16_000, "fmin": 65.406, "n_bins": 80, "filter_scale": 1, "window": "hann"}
    theirs = librosa.cqt(
        tones.numpy(),
        hop_length=256,
        bins_per_octave=12,
        norm=1,
        sparsity=0,
        scale=True,
        pad_mode="constant",
        **settings,
    )
    frequencies = librosa.cqt_frequencies(80, fmin=65.406)
    alpha = librosa.filters._relative_bandwidth(freqs=frequencies)
    lengths, _ = librosa.filters.wavelet_lengths(
        freqs=frequencies, sr=16_000, window="hann", filter_scale=1, gamma=0, alpha=alpha
    )
    magnitude = 2 * np.abs(theirs) / np.sqrt(lengths)[:, None]
    theirs = 20 * np.log10(np.maximum(magnitude, 1e-12)).transpose(0, 2, 1).reshape(-1, 80)
    ours = decibels(cqt, tones).numpy().transpose(0, 2, 1).reshape(-1, 80)
    heard = ours.max(axis=1) > -60
    assert heard.sum() > 2000
    ours, theirs = ours[heard], theirs[heard]
    apart = np.abs(ours.argmax(axis=1) - theirs.argmax(axis=1))
    difference = np.abs(ours.max(axis=1) - theirs.max(axis=1))
    assert (apart == 0).mean() >= 0.95
    assert apart.max() <= 1
    assert np.percentile(difference, 95) <= 0.3


@pytest.mark.parametrize("num_samples", [16_000, 5000, 300])
@pytest.mark.parametrize(("fmin", "bins", "bins_per_octave", "hop"), [(65.406, 80, 12, 256), (110, 60, 24, 100)])
def test_the_transform_is_nnaudios(tones, fmin, bins, bins_per_octave, hop, num_samples):
    ours = CQT(fmin=float(fmin), bins=bins, bins_per_octave=bins_per_octave, hop=hop)
    theirs = CQT1992v2(
        sr=16_000,
        hop_length=hop,
        fmin=fmin,
        n_bins=bins,
        bins_per_octave=bins_per_octave,
        pad_mode="constant",
        output_format="Complex",
        verbose=False,
    )
    expected = theirs(tones[:8, :num_samples], normalization_type="wrap").permute(0, 3, 1, 2)
    assert (ours.transform(tones[:8, :num_samples]) - expected).abs().max() < TOLERANCE


def test_images_of_the_default_tones_are_nnaudios() -> None:
    synth = instantiate(OmegaConf.load(CONF / "synth" / "tones.yaml"))
    positions = synth.space.sample(499, torch.Generator().manual_seed(0))
    assert positions[:, synth.space.index("decay")].max() == 10
    audio = torch.cat([synth(synth.space.values(positions), torch.arange(499)), torch.zeros(1, 16_000)])
    settings = {"sr": 16_000, "hop_length": 256, "fmin": 65.406, "n_bins": 80, "bins_per_octave": 12}
    quiet = {"pad_mode": "constant", "output_format": "Magnitude", "verbose": False}
    difference = (CQT()(audio) - nnaudio_image(CQT1992v2(**settings, **quiet), audio)).abs()
    assert difference.max() < 0.02
    assert difference.mean() < 0.002


def test_low_bins_are_heard_at_a_lower_rate_unless_the_hop_forbids_it() -> None:
    steps = {hop: [band.step for band in CQT(hop=hop).bands] for hop in (256, 100, 25)}
    assert steps[256] == [16, 8, 8, 4, 4, 2, 1, 1, 1, 1]
    assert steps[100] == [4, 4, 4, 4, 4, 2, 1, 1, 1, 1]
    assert steps[25] == [1] * 10


def test_a_filter_shorter_than_the_halvings_works() -> None:
    assert CQT(fmin=4000.0, bins=1, bins_per_octave=1, hop=64)(torch.ones(1, 1000)).shape == (1, 1, 1, 16)


def test_halving_keeps_every_second_sample_of_the_filtered_sound() -> None:
    sound = torch.randn(2, 500, generator=torch.Generator().manual_seed(0))
    expected = np.stack([np.convolve(clip, TAPS, mode="valid")[::2] for clip in sound.double().numpy()])
    found = Halving()(sound)
    assert found.shape[1] % AT_ONCE == 0
    assert np.abs(found.numpy() - expected[:, : found.shape[1]]).max() < 1e-6
    assert expected.shape[1] - found.shape[1] < AT_ONCE


@pytest.mark.parametrize("twentieths", [0, 1, 2, 5, 8, 9, 10])
def test_halving_passes_what_it_says_it_does(twentieths: int) -> None:
    gain, frequency = response(200)[10 * twentieths], twentieths / 20
    sound = torch.cos(2 * math.pi * frequency * torch.arange(400, dtype=torch.float64)).float()[None]
    expected = gain * np.cos(2 * math.pi * frequency * (REACH + 2 * np.arange(160)))
    assert np.abs(Halving()(sound)[0, :160].numpy() - expected).max() < 1e-6
    if twentieths <= 2:
        assert gain == pytest.approx(1, abs=1e-6)
    if twentieths >= 8:
        assert abs(gain) < 1e-6


def test_gradients_are_those_of_the_dense_transform() -> None:
    # Through the product and the convolution, which a gradient's wish decides between: the same numbers, too.
    cqt = CQT(bins=60)
    audio = 0.1 * torch.randn(2, 6000, generator=torch.Generator().manual_seed(0))
    wished = audio.clone().requires_grad_()
    assert (cqt.transform(wished) - cqt.transform(audio)).abs().max() < 1e-6
    weights = torch.randn(2, 2, 60, 24, generator=torch.Generator().manual_seed(1))
    (found,) = torch.autograd.grad((cqt.transform(wished) * weights).sum(), wished)
    direction = torch.randn(2, 6000, generator=torch.Generator().manual_seed(2))
    # The transform is linear: its derivative along a direction is its value there.
    expected = (cqt.transform(direction) * weights).sum()
    assert (found * direction).sum().item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-2)


# The decibel scale.


def test_a_unit_sinusoid_at_a_bins_centre_reads_0_db_in_that_bin(cqt):
    bins = [0, 5, 12, 27, 40, 53, 66, 79]
    levels = decibels(cqt, sines(*cqt.frequencies()[bins]))[:, :, 16:47]
    for level, bin_ in zip(levels, bins, strict=True):
        assert level[bin_].abs().max() < 0.1
        assert (level.argmax(dim=0) == bin_).all()


@pytest.mark.parametrize("level", [-6.0, -20.0, -40.0, -60.0])
def test_the_image_is_linear_in_decibels_and_floor_db_is_its_zero(level):
    for floor_db in (-80.0, -120.0):
        cqt = CQT(floor_db=floor_db)
        image = cqt(sines(float(cqt.frequencies()[40]), amplitude=10 ** (level / 20)))
        assert image[0, 0, 40, 16:47].numpy() == pytest.approx(1 - level / floor_db, abs=0.1 / -floor_db)


def test_the_image_stays_in_the_unit_interval(cqt, tones):
    loud = torch.cat([tones, 10 * tones, 1e-6 * tones])
    image = cqt(loud)
    assert image.min() == 0
    assert image.max() == 1
    assert image[100:].max() == 0, "120 dB below full scale lies below the floor"


def test_silence_is_exactly_zero_with_finite_gradients(cqt):
    audio = torch.zeros(2, 4000)
    audio[1] = sines(440.0, num_samples=4000)[0]
    audio.requires_grad_()
    image = cqt(audio)
    assert image[0].abs().max() == 0
    image.sum().backward()
    assert audio.grad.isfinite().all()
    assert audio.grad[0].abs().max() == 0
    assert audio.grad[1].abs().max() > 0


def test_no_clip_is_normalised_by_itself(cqt, tones):
    quieter = decibels(cqt, 0.1 * tones[:4]) - decibels(cqt, tones[:4])
    audible = decibels(cqt, tones[:4]) > -60
    assert quieter[audible].numpy() == pytest.approx(-20, abs=1e-3)


# The axes.


def test_bins_are_equal_ratios_and_frames_multiples_of_the_hop(cqt):
    assert cqt.frequencies() == pytest.approx([65.406 * 2 ** (i / 12) for i in range(80)])
    assert cqt.times(63) == pytest.approx([i * 0.016 for i in range(63)])


def test_an_octave_up_is_a_translation_by_twelve_bins(cqt):
    levels = decibels(cqt, sines(261.6, 523.2))[:, :, 16:47]
    low, high = levels[0, 14:34], levels[1, 26:46]
    assert (low - high)[low > -40].abs().max() < 0.5


def test_a_frame_is_centred_on_its_time(cqt):
    # A burst's energy in the highest bins, whose filters are short, lies in the frame of its own time.
    for frame in (5, 30, 57):
        audio = torch.zeros(1, 16_000)
        audio[0, frame * 256] = 1
        assert (decibels(cqt, audio)[0, -12:].argmax(dim=1) == frame).all()


@pytest.mark.parametrize("num_samples", [1, 100, 255, 256, 257, 4000, 16_000, 40_000])
@pytest.mark.parametrize(("bins", "bins_per_octave", "hop"), [(80, 12, 256), (13, 12, 64), (60, 24, 1000), (1, 12, 7)])
def test_an_image_has_the_stated_shape_for_any_duration_hop_and_bins(num_samples, bins, bins_per_octave, hop):
    cqt = CQT(bins=bins, bins_per_octave=bins_per_octave, hop=hop)
    image = cqt(torch.ones(2, num_samples))
    assert image.shape == (2, 1, bins, 1 + num_samples // hop)
    assert image.shape[1:] == cqt.shape(num_samples)
    assert image.isfinite().all()
    assert len(cqt.frequencies()) == bins


def test_a_short_clip_is_a_long_one_that_falls_silent(cqt, tones):
    # 1,000 samples; the longest kernel has over 4,000.
    short = torch.zeros_like(tones[:4])
    short[:, :1000] = tones[:4, :1000]
    assert (cqt(tones[:4, :1000]) - cqt(short)[..., :4]).abs().max() < 1e-5


# Company and state.


def test_an_image_does_not_depend_on_its_batch(cqt, tones):
    whole = cqt(tones)
    assert (cqt(tones.flip(0)).flip(0) - whole).abs().max() < 1e-4
    for row in (0, 17, 49):
        assert (cqt(tones[row : row + 1]) - whole[row : row + 1]).abs().max() < 1e-4


def test_a_checkpoint_holds_no_kernels_and_the_device_follows_the_module(cqt):
    assert cqt.state_dict() == {}
    assert not list(cqt.parameters())
    assert sum(buffer.numel() for buffer in cqt.buffers()) > 0


def test_nothing_is_printed(capsys):
    CQT(bins=12)(torch.zeros(1, 1000))
    assert capsys.readouterr() == ("", "")


# Mistakes.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"fmin": 130.8},
            "80 bins from 130.8 Hz reach 13.1 kHz, above Nyquist (8 kHz); use at most 71 bins",
        ),
        (
            {"sample_rate": 8000},
            "80 bins from 65.406 Hz reach 6.6 kHz, above Nyquist (4 kHz); use at most 71 bins",
        ),
        (
            {"fmin": 1000.0, "bins": 200, "bins_per_octave": 48},
            "200 bins from 1000 Hz reach 17.9 kHz, above Nyquist (8 kHz); use at most 144 bins",
        ),
        (
            {"bins": 10**6},
            "1000000 bins from 65.406 Hz reach inf kHz, above Nyquist (8 kHz); use at most 83 bins",
        ),
        (
            {"sample_rate": 10**9},
            "the kernels of 80 bins from 65.406 Hz at a sample rate of 1,000,000,000 Hz take 160 GiB, at most 2 are "
            "possible; use a lower sample_rate, a higher fmin or fewer bins_per_octave",
        ),
        ({"fmin": 0.0}, "fmin must be above 0, got 0.0"),
        ({"fmin": -3.0}, "fmin must be above 0, got -3.0"),
        ({"fmin": math.nan}, "fmin must be above 0, got nan"),
        ({"bins": 0}, "bins must be above 0, got 0"),
        ({"bins_per_octave": 0}, "bins_per_octave must be above 0, got 0"),
        ({"hop": 0}, "hop must be above 0, got 0"),
        ({"hop": -256}, "hop must be above 0, got -256"),
        ({"sample_rate": 0}, "sample_rate must be above 0, got 0"),
        ({"floor_db": 0.0}, "floor_db must lie below 0 dB (and above -300), got 0.0"),
        ({"floor_db": 80.0}, "floor_db must lie below 0 dB (and above -300), got 80.0"),
        ({"floor_db": math.nan}, "floor_db must lie below 0 dB (and above -300), got nan"),
    ],
)
def test_an_impossible_setting_says_what_to_do(settings, message):
    with pytest.raises(ValueError) as error:
        CQT(**settings)
    assert str(error.value) == message


@pytest.mark.parametrize(("settings", "most"), [({"fmin": 130.8}, 71), ({"sample_rate": 8000}, 71)])
def test_as_many_bins_as_the_message_admits_work_and_one_more_does_not(settings, most):
    assert CQT(**settings, bins=most).shape(0)[1] == most
    with pytest.raises(ValueError, match=f"use at most {most} bins"):
        CQT(**settings, bins=most + 1)


@pytest.mark.gpu
def test_cpu_and_gpu_see_the_same(tones):
    assert (CQT().transform(tones) - CQT().cuda().transform(tones.cuda()).cpu()).abs().max() < 1e-5
    # Whatever products the network may use.
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cuda", torch.bfloat16):
            assert (CQT()(tones) - CQT().cuda()(tones.cuda()).cpu()).abs().max() < 1e-3
    finally:
        torch.set_float32_matmul_precision("highest")


def test_the_vqt_is_librosas(tones: torch.Tensor) -> None:
    settings = {"sr": 16_000, "window": "hann", "filter_scale": 1, "gamma": 13.2}
    theirs = np.abs(librosa.vqt(tones.numpy(), fmin=65.406, n_bins=80, hop_length=256, pad_mode="constant", **settings))
    vqt = VQT(gamma=13.2)
    lengths, _ = librosa.filters.wavelet_lengths(freqs=vqt.frequencies(), **settings)
    # A unit sinusoid reads sqrt(length) / 2, as with librosa's CQT above.
    theirs = 20 * np.log10(np.maximum(2 * theirs / np.sqrt(lengths)[:, None], 1e-9))
    ours = 10 * vqt.power(tones).clamp(min=1e-18).log10().numpy()
    loudest = ours.argmax(axis=1)
    heard = np.take_along_axis(ours, loudest[:, None], axis=1)[:, 0] > -60
    assert (loudest == theirs.argmax(axis=1))[heard].mean() > 0.99
    difference = np.abs(np.take_along_axis(ours - theirs, loudest[:, None], axis=1)[:, 0])[heard]
    assert np.quantile(difference, 0.95) < 0.3


def test_a_vqt_without_gamma_is_the_cqt(tones: torch.Tensor) -> None:
    assert torch.equal(VQT(gamma=0)(tones), CQT()(tones))


def test_gamma_shortens_the_lowest_kernels() -> None:
    widths = {gamma: VQT(gamma=gamma).bands[0].kernels.shape[-1] for gamma in (0.0, 13.2)}
    assert widths[13.2] < 0.5 * widths[0.0]
    with pytest.raises(ValueError, match="gamma must be 0 Hz or more, got -1"):
        VQT(gamma=-1)
    with pytest.raises(ValueError, match="above Nyquist"):
        VQT(gamma=3000)
