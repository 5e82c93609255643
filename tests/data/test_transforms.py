"""Images moved in pitch, tilt, decay and level, against sounds that were made so."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from disentone.data import DataModule
from disentone.data.transforms import Transforms, moved, shifted
from disentone.draws import Draw
from disentone.frontends import CQT, STFT
from disentone.sources import Tones
from disentone.synths import Additive

FACTORS = {
    "f0": {"unit": "Hz", "start": 200, "stop": 400, "step": 100},
    "decay": {"unit": "1/s", "start": 0, "stop": 6, "step": 2},
}


def make_data(mode: str = "on_the_fly", folder: str = "", **settings: object) -> DataModule:
    source = Tones(Additive(factors=FACTORS, duration=0.5, partials=4), CQT())
    return DataModule(source, mode=mode, batch_size=4, views=Transforms(), cache_dir=folder, **settings)


def image_of(f0: float, decay: float = 0.0, gain: float = 1.0, slope: float = 0.0) -> torch.Tensor:
    """Three partials of a tone, louder by ``slope`` dB per octave above the middle bin."""
    time = torch.arange(8000) / 16_000
    middle = 65.406 * 2 ** (79 / 24)
    partials = [
        10 ** (slope * math.log2(f0 * k / middle) / 20) * torch.sin(2 * math.pi * f0 * k * time) for k in (1, 2, 4)
    ]
    return CQT()((gain * 0.1 * sum(partials) * torch.exp(-decay * time))[None].float())


@pytest.mark.parametrize(
    ("moves", "changed", "tolerance"),
    [
        ((12.0, 0, 0, 0), {"f0": 440.0}, 0.02),
        ((1.5, 0, 0, 0), {"f0": 220 * 2 ** (1.5 / 12)}, 0.04),
        ((0, 0, 4.0, 0), {"decay": 4.0}, 0.02),
        ((0, 0, 0, -6.0), {"gain": 10 ** (-6 / 20)}, 0.01),
        ((0, 3.0, 0, 0), {"slope": 3.0}, 0.01),
    ],
)
def test_a_moved_image_is_that_of_a_moved_sound(moves: tuple, changed: dict, tolerance: float) -> None:
    found = moved(image_of(220.0), torch.tensor([moves], dtype=torch.float32), CQT())
    expected = image_of(**{"f0": 220.0, **changed})
    # Near the floor a sum of side lobes decides, and at the ends of the clip the frame.
    seen = (found > 0.3) & (expected > 0.3)
    seen[..., :3] = seen[..., -3:] = False
    assert seen.float().mean() > 0.02
    assert (found - expected)[seen].abs().median() < tolerance


def test_a_shift_is_linear_between_bins_and_silent_beyond_the_ends() -> None:
    image = torch.rand(4, 6, 3)
    steps = torch.tensor([0.0, 2.0, -1.25, 100.0])[:, None, None]
    found = shifted(image, steps).numpy()
    places = np.arange(-1, 7)
    for example, step in enumerate(steps[:, 0, 0].tolist()):
        for frame in range(3):
            values = np.concatenate([[0], image[example, :, frame].numpy(), [0]])
            expected = np.interp(np.arange(6) - step, places, values, left=0, right=0)
            assert found[example, :, frame] == pytest.approx(expected, abs=1e-6)


def test_moves_are_double_exponential_up_to_three_times_their_scale() -> None:
    drawn = Draw(0, 0, torch.arange(50_000)).laplace("transforms", 4, 3.0).numpy()
    assert np.abs(drawn).max() <= 3.0001
    whole = stats.laplace.cdf(3) - stats.laplace.cdf(-3)
    for column in drawn.T:
        law = lambda x: (stats.laplace.cdf(x) - stats.laplace.cdf(-3)) / whole  # noqa: E731
        assert stats.kstest(column, law).statistic < 0.012


def test_silence_stays_silent_and_moves_of_nothing_change_nothing() -> None:
    assert not moved(torch.zeros(1, 1, 80, 5), torch.tensor([[3.0, 4.0, -9.0, 9.0]]), CQT()).any()
    image = image_of(220.0)
    assert torch.equal(moved(image, torch.zeros(1, 4), CQT()), image)


def test_partners_are_the_same_whenever_they_are_made(tmp_path) -> None:
    found = {}
    for mode in ("on_the_fly", "cached"):
        data = make_data(mode, str(tmp_path))
        data.setup()
        batches = [
            data.on_before_batch_transfer(carried, 0)
            for carried, _ in zip(data.train_dataloader(), range(6), strict=False)
        ]
        found[mode] = [data.on_after_batch_transfer(batch, 0) for batch in batches]
    for one, other in zip(*found.values(), strict=True):
        torch.testing.assert_close(one.partner, other.partner, atol=2e-3, rtol=0)
        assert (one.partner - one.image).abs().amax(dim=(1, 2, 3)).min() > 0.01
    carried = next(iter(make_data().train_dataloader()))
    assert torch.equal(found["on_the_fly"][0].partner, make_data().partners(carried.rows, carried.draws))


def test_continuous_draws_have_transforms_too() -> None:
    data = make_data(continuous=True)
    carried = next(iter(data.train_dataloader()))
    batch = data.on_after_batch_transfer(data.on_before_batch_transfer(carried, 0), 0)
    assert batch.partner.shape == batch.image.shape


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Transforms(pitch=-1), "views.pitch is the scale of a move and must be 0 or more, got -1"),
        (lambda: Transforms(0, 0, 0, 0), "are all 0"),
        (
            lambda: Transforms().check(Tones(Additive(factors=FACTORS), STFT())),
            "which images of STFT do not have; take",
        ),
    ],
)
def test_what_cannot_be_moved_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
