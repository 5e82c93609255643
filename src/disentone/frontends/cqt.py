"""The constant-Q transform: one bin per semitone, so that a change of pitch is a translation."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from nnAudio.utils import create_cqt_kernels
from torch import Tensor, nn
from torch.nn import functional as F

from disentone.frontends.frontend import Spectrogram, check_floor, check_positive
from disentone.frontends.halving import AT_ONCE, REACH, TAPS, Halving, response, strided
from disentone.precision import full_float32
from disentone.shapes import Audio

# Half the bandwidth of a Hann-windowed filter of quality Q, in units of its centre frequency over Q.
HALF_BANDWIDTH = 0.75
# Of full scale (-106 dB): how far a lower rate may move the transform of any sinusoid.
TOLERANCE = 5e-6
# What kernels may take while they are made, before they are cut to their own support.
MOST_BYTES = 2**31
# Real and imaginary kernels of so many are 16, what a vector register of a CPU holds.
BINS_AT_ONCE = 8
CLIPS_AT_ONCE = 64


class CQT(Spectrogram):
    """Constant-Q magnitude on a dB scale, by nnAudio's kernels (Brown 1991; Cheuk et al. 2020).

    0 dB (image 1) is a sinusoid of amplitude 1 at a bin's centre; ``floor_db`` is image 0. Frames are centred
    on multiples of ``hop``, the clip continued with silence: ``1 + time // hop`` of them.

    nnAudio pads every kernel to the longest one's length. Here neighbouring bins' kernels are cut to their own support,
    and low ones, which hear nothing high, meet the sound at a lower rate: the same numbers to a few millionths of full
    scale, ten times faster.

    Args:
        sample_rate: in Hz.
        fmin: centre of the lowest bin in Hz.
        bins: how many.
        bins_per_octave: how many to the octave.
        hop: samples from frame to frame.
        floor_db: what counts as silence.

    Raises:
        ValueError: where a bin's filter reaches Nyquist, the kernels need more than 2 GiB, or a setting is not
            positive.

    """

    gamma = 0.0

    def __init__(
        self,
        sample_rate: int = 16_000,
        fmin: float = 65.406,
        bins: int = 80,
        bins_per_octave: int = 12,
        hop: int = 256,
        floor_db: float = -80.0,
    ) -> None:
        super().__init__()
        check_positive(sample_rate=sample_rate, fmin=fmin, bins=bins, bins_per_octave=bins_per_octave, hop=hop)
        check_floor(floor_db)
        self.sample_rate, self.fmin, self.bins = sample_rate, fmin, bins
        self.bins_per_octave, self.hop, self.floor_db = bins_per_octave, hop, floor_db
        _check_range(sample_rate, fmin, bins, bins_per_octave, self.gamma)
        kernels = _nnaudio_kernels(sample_rate, fmin, bins, bins_per_octave, self.gamma)
        bands = [_Band(part, hop) for part in torch.split(kernels, BINS_AT_ONCE, dim=1)]
        self.bands: Sequence[_Band] = nn.ModuleList(bands)  # type: ignore[assignment]
        self.halving = Halving()

    def extra_repr(self) -> str:
        """The settings, which also name the cache of rendered images."""
        names = ("sample_rate", "fmin", "bins", "bins_per_octave", "hop", "floor_db")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)

    def power(self, audio: Audio) -> Float[Tensor, "batch bin frame"]:
        """Power of each bin and frame; 1 is 0 dB."""
        # On a CPU a few clips at once, which stay in its cache.
        parts = torch.split(audio, CLIPS_AT_ONCE) if audio.device.type == "cpu" else (audio,)
        return torch.cat([self.transform(part).square().sum(dim=1) for part in parts])

    def transform(self, audio: Audio) -> Float[Tensor, "batch 2 bin frame"]:
        """The complex transform itself: real and imaginary part; magnitude 1 is 0 dB."""
        frames = 1 + audio.shape[1] // self.hop
        coarsest = max(band.step for band in self.bands)
        # A halving begins REACH samples late; this much silence leaves REACH before the sound at the lowest rate.
        lead = REACH * (2 * coarsest - 1)
        signal, step, found = F.pad(audio, (lead, lead + 2 * AT_ONCE * coarsest)), 1, []
        with full_float32():
            for band in reversed(self.bands):
                while step < band.step:
                    signal, step, lead = self.halving(signal), 2 * step, (lead - REACH) // 2
                found.append(band(signal, lead, frames))
            return torch.cat(found[::-1], dim=2)

    def frequencies(self) -> Float[np.ndarray, "bin"]:
        """Centre of every bin in Hz."""
        return self.fmin * 2.0 ** (np.arange(self.bins) / self.bins_per_octave)


class VQT(CQT):
    """The variable-Q transform (Schoerkhuber et al. 2014): as :class:`CQT`, its low bins wider and so quicker.

    A bin at f has the bandwidth of the constant-Q one at f + gamma / (2^(1 / bins_per_octave) - 1).

    Args:
        gamma: Hz added to every bandwidth; 0 is the CQT, 13.2 at 12 bins per octave follows the ear's (ERB).
        **settings: of :class:`CQT`.

    Raises:
        ValueError: as of :class:`CQT`; for a negative gamma.

    """

    def __init__(self, gamma: float = 13.2, **settings: Any) -> None:
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma must be 0 Hz or more, got {gamma}")
        self.gamma = gamma
        super().__init__(**settings)

    def extra_repr(self) -> str:
        """The settings, which also name the cache of rendered images."""
        return f"{super().extra_repr()}, gamma={self.gamma}"


class _Band(nn.Module):
    """Kernels of neighbouring bins, as few taps as do: at the lowest rate that has them, cut where all are zero.

    Args:
        kernels: at the full rate, centred on their middle tap.
        hop: samples from frame to frame, at the full rate.

    """

    kernels: Tensor

    def __init__(self, kernels: Float[Tensor, "2 bin tap"], hop: int) -> None:
        super().__init__()
        flat = kernels.flatten(0, 1)
        self.step = 1
        while hop % (2 * self.step) == 0 and _error(flat, 2 * self.step) < TOLERANCE:
            self.step *= 2
        self.hop = hop // self.step
        thinned = _thinned(flat, self.step)
        centre, taps = thinned.shape[1] // 2, thinned.abs().amax(dim=0).nonzero()[:, 0]
        first, last = int(taps[0]), int(taps[-1])
        self.before, self.after = centre - first, last - centre
        # Not persistent: a checkpoint holds what was learned.
        self.register_buffer("kernels", thinned[:, first : last + 1].clone(), persistent=False)

    def forward(
        self, signal: Float[Tensor, "batch time"], lead: int, frames: int
    ) -> Float[Tensor, "batch 2 bin frame"]:
        """The transform of a sound at this band's rate, which begins after ``lead`` samples of silence."""
        start, stop = lead - self.before, lead + (frames - 1) * self.hop + self.after + 1
        if start < 0 or stop > signal.shape[1]:
            signal = F.pad(signal, (max(0, -start), max(0, stop - signal.shape[1])))
            start, stop = max(0, start), stop - min(0, start)
        return strided(signal[:, start:stop], self.kernels, self.hop).reshape(len(signal), 2, -1, frames)


def _thinned(kernels: Float[Tensor, "kernel tap"], step: int) -> Float[Tensor, "kernel thin"]:
    """Every ``step``-th tap, the middle one among them and in the middle, scaled as if they were all."""
    return step * kernels[:, kernels.shape[1] // 2 % step :: step]


def _error(kernels: Float[Tensor, "kernel tap"], step: int) -> float:
    """How far thinned kernels after halvings may be off for a sinusoid of amplitude 1, whatever its frequency."""
    taps = kernels.shape[1]
    frequencies = 2 * max(taps, len(TAPS))
    spread = np.zeros(kernels.shape)
    spread[:, taps // 2 % step :: step] = _thinned(kernels, step)
    heard, once = np.fft.fft(spread, frequencies), response(frequencies)
    for halved in range(step.bit_length() - 1):
        heard *= once[np.arange(frequencies) * 2**halved % frequencies]
    return float(np.abs(heard - np.fft.fft(kernels.numpy(), frequencies)).max())


def _nnaudio_kernels(
    sample_rate: int, fmin: float, bins: int, bins_per_octave: int, gamma: float
) -> Float[Tensor, "2 bin tap"]:
    """Real and imaginary kernels with nnAudio's ``wrap`` scale, which reads a unit sinusoid as 1."""
    quality = 1 / (2 ** (1 / bins_per_octave) - 1)
    kernels = create_cqt_kernels(quality, sample_rate, fmin, bins, bins_per_octave, gamma=gamma)[0]
    return 2 * torch.stack([torch.tensor(kernels.real), -torch.tensor(kernels.imag)])


def _check_range(sample_rate: int, fmin: float, bins: int, bins_per_octave: int, gamma: float) -> None:
    nyquist, octaves = sample_rate / 2, (bins - 1) / bins_per_octave
    quality = 1 / (2 ** (1 / bins_per_octave) - 1)
    # Half the bandwidth is a share of the frequency, and what gamma adds.
    share, constant = HALF_BANDWIDTH / quality, HALF_BANDWIDTH * gamma
    # Beyond so many octaves there is no number for it.
    top = fmin * 2**octaves * (1 + share) + constant if octaves < 100 else math.inf
    if top >= nyquist:
        ratio = (nyquist - constant) / (1 + share) / fmin
        most = max(0, math.ceil(bins_per_octave * math.log2(ratio))) if ratio > 0 else 0
        raise ValueError(
            f"{bins} bins from {fmin:g} Hz reach {top / 1000:.1f} kHz, above Nyquist ({nyquist / 1000:g} kHz); "
            f"use {f'at most {most} bins' if most else 'a lower fmin'}"
        )
    taps = 2 ** math.ceil(math.log2(quality * sample_rate / (fmin + gamma * quality)))
    if (size := 8 * bins * taps) > MOST_BYTES:
        raise ValueError(
            f"the kernels of {bins} bins from {fmin:g} Hz at a sample rate of {sample_rate:,} Hz take "
            f"{size / 2**30:,.0f} GiB, at most {MOST_BYTES / 2**30:.0f} are possible; use a lower sample_rate, "
            "a higher fmin or fewer bins_per_octave"
        )
