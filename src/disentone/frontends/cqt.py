"""The constant-Q transform: one bin per semitone, so that a change of pitch is a translation."""

import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from nnAudio.features.cqt import CQT1992v2
from torch import Tensor, nn
from torch.nn import functional as F

from disentone.frontends.frontend import Frontend, check_floor, decibel_image
from disentone.precision import full_float32
from disentone.shapes import Audio, Image

# Half the bandwidth of a Hann-windowed filter of quality Q, in units of its centre frequency over Q.
HALF_BANDWIDTH = 0.75


class CQT(Frontend):
    """Constant-Q magnitude on a dB scale, by nnAudio's kernels (Brown 1991; Cheuk et al. 2020).

    0 dB (image 1) is a sinusoid of amplitude 1 at a bin's centre; ``floor_db`` is image 0. Frames are centred
    on multiples of ``hop``, the clip continued with silence: ``1 + time // hop`` of them.

    nnAudio pads every kernel to the longest one's length. Here each octave's kernels are cut to their own
    support, which computes the same numbers several times faster.

    Args:
        sample_rate: in Hz.
        fmin: centre of the lowest bin in Hz.
        bins: how many.
        bins_per_octave: how many to the octave.
        hop: samples from frame to frame.
        floor_db: what counts as silence.

    Raises:
        ValueError: where a bin's filter reaches Nyquist, or a setting is not positive.

    """

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
        settings = {"sample_rate": sample_rate, "fmin": fmin, "bins": bins}
        for name, value in (settings | {"bins_per_octave": bins_per_octave, "hop": hop}).items():
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0, got {value}")
        check_floor(floor_db)
        _check_range(sample_rate, fmin, bins, bins_per_octave)
        self.sample_rate, self.fmin, self.bins, self.bins_per_octave = (
            sample_rate,
            fmin,
            bins,
            bins_per_octave,
        )
        self.hop, self.floor_db = hop, floor_db

        kernels = _nnaudio_kernels(sample_rate, fmin, bins, bins_per_octave)
        self.width = kernels.shape[-1]
        self.octaves = nn.ModuleList(
            _Octave(kernels[:, low : low + bins_per_octave]) for low in range(0, bins, bins_per_octave)
        )

    def extra_repr(self) -> str:
        """The settings, which also name the cache of rendered images."""
        names = ("sample_rate", "fmin", "bins", "bins_per_octave", "hop", "floor_db")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)

    def forward(self, audio: Audio) -> Image:
        """Images [batch 1 bin frame] of clips."""
        return decibel_image(self.transform(audio).square().sum(dim=1, keepdim=True), self.floor_db)

    def transform(self, audio: Audio) -> Float[Tensor, "batch 2 bin frame"]:
        """The complex transform itself: real and imaginary part; magnitude 1 is 0 dB."""
        frames = 1 + audio.shape[1] // self.hop
        padded = F.pad(audio, (self.width // 2, self.width // 2))
        with full_float32():
            return torch.cat([octave(padded, self.hop, frames) for octave in self.octaves], dim=2)

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """(1, bins, frames)."""
        return (1, self.bins, 1 + num_samples // self.hop)

    def frequencies(self) -> Float[np.ndarray, "bin"]:
        """Centre of every bin in Hz."""
        return self.fmin * 2.0 ** (np.arange(self.bins) / self.bins_per_octave)

    def times(self, num_frames: int) -> Float[np.ndarray, "frame"]:
        """Centre of every frame in seconds."""
        return np.arange(num_frames) * (self.hop / self.sample_rate)


class _Octave(nn.Module):
    """Kernels of neighbouring bins, cut to the taps where any of them is not zero."""

    kernels: Tensor

    def __init__(self, kernels: Float[Tensor, "2 bin tap"]) -> None:
        super().__init__()
        taps = kernels.abs().amax(dim=(0, 1)).nonzero()[:, 0]
        self.start, stop = int(taps[0]), int(taps[-1]) + 1
        # Not persistent: a checkpoint holds what was learned.
        self.register_buffer("kernels", kernels[:, :, self.start : stop].flatten(0, 1)[:, None], persistent=False)

    def forward(self, padded: Float[Tensor, "batch time"], hop: int, frames: int) -> Float[Tensor, "batch 2 bin frame"]:
        stop = self.start + (frames - 1) * hop + self.kernels.shape[-1]
        both = F.conv1d(padded[:, None, self.start : stop], self.kernels, stride=hop)
        return both.view(len(both), 2, -1, frames)


def _nnaudio_kernels(
    sample_rate: int, fmin: float, bins: int, bins_per_octave: int, window: Literal["hann"] = "hann"
) -> Float[Tensor, "2 bin tap"]:
    """Real and imaginary kernels with nnAudio's ``wrap`` scale, which reads a unit sinusoid as 1."""
    layer = CQT1992v2(
        sr=sample_rate,
        hop_length=1,
        fmin=fmin,
        n_bins=bins,
        bins_per_octave=bins_per_octave,
        window=window,
        verbose=False,
    )
    return 2 * torch.stack([layer.cqt_kernels_real[:, 0], -layer.cqt_kernels_imag[:, 0]])


def _check_range(sample_rate: int, fmin: float, bins: int, bins_per_octave: int) -> None:
    nyquist = sample_rate / 2
    quality = 1 / (2 ** (1 / bins_per_octave) - 1)
    edge = 1 + HALF_BANDWIDTH / quality
    top = fmin * 2 ** ((bins - 1) / bins_per_octave) * edge
    if top >= nyquist:
        most = max(0, math.ceil(bins_per_octave * math.log2(nyquist / edge / fmin)))
        raise ValueError(
            f"{bins} bins from {fmin:g} Hz reach {top / 1000:.1f} kHz, above Nyquist ({nyquist / 1000:g} kHz); "
            f"use {f'at most {most} bins' if most else 'a lower fmin'}"
        )
