"""Magnitudes back to sound, whichever transform they came from."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from torch.nn import functional as F

from disentone.shapes import Audio

Magnitude = Float[Tensor, "batch bin frame"]

# A window's side lobes lie this far below its peak, or further; ridges as faint beside a stronger one are none.
SIDE_LOBE_DB = 28.0
NEIGHBOURS = 4
QUIETEST_DB = -180.0
TRACKS_AT_ONCE = 256
CLIPS_AT_ONCE = 32
STEPS = 30
MOMENTUM = 0.9


def invert(
    magnitude: Magnitude,
    frequencies: Float64[Tensor, "bin"],
    power: Callable[[Audio], Float[Tensor, "batch bin frame"]],
    hop: int,
    sample_rate: int,
    num_samples: int,
) -> Audio:
    """Sound with about these magnitudes.

    A sinusoid follows every ridge of the magnitudes (McAulay & Quatieri 1986), which fixes phases that go on from
    frame to frame, also where the hop is longer than a bin's window and Griffin & Lim's iteration finds none. Then
    the samples themselves descend the squared error of the magnitudes through the transform. No draws: the same
    image gives the same sound. Clips that would exceed full scale are scaled down to it.

    Args:
        magnitude: [batch bin frame], linear; 1 is a sinusoid of amplitude 1.
        frequencies: of the bins in Hz, ascending.
        power: the transform, audio to squared magnitudes, differentiable.
        hop: samples from frame to frame.
        sample_rate: in Hz.
        num_samples: of each clip.

    """
    return torch.cat(
        [
            _refine(sinusoids(part, frequencies, hop, sample_rate, num_samples), part, power)
            for part in torch.split(magnitude, CLIPS_AT_ONCE)
        ]
    )


@torch.no_grad()
def sinusoids(
    magnitude: Magnitude, frequencies: Float64[Tensor, "bin"], hop: int, sample_rate: int, num_samples: int
) -> Audio:
    """One oscillator along each bin's ridge: level and frequency linear from frame to frame, phase continuous."""
    ridge, level, frequency = _ridges(magnitude, frequencies)
    clip, bin_ = ridge.any(dim=2).nonzero(as_tuple=True)
    audio = magnitude.new_zeros(len(magnitude), num_samples)
    for clips, bins in zip(torch.split(clip, TRACKS_AT_ONCE), torch.split(bin_, TRACKS_AT_ONCE), strict=True):
        on = ridge[clips, bins]
        amplitude = torch.where(on, level[clips, bins], 0)
        steady = (frequency[clips, bins] * on).sum(dim=1, keepdim=True) / on.sum(dim=1, keepdim=True)
        hertz = torch.where(on, frequency[clips, bins], steady)
        cycles = (_between_frames(hertz, hop, num_samples) / sample_rate).cumsum(dim=1)
        angle = (2 * math.pi * (cycles - cycles.floor())).float()
        audio.index_add_(0, clips, _between_frames(amplitude, hop, num_samples).float() * angle.sin())
    return audio


def _ridges(
    magnitude: Magnitude, frequencies: Float64[Tensor, "bin"]
) -> tuple[Bool[Tensor, "batch bin frame"], Magnitude, Float64[Tensor, "batch bin frame"]]:
    """Where a bin is a local maximum; level and frequency of the parabola through it and its neighbours, in dB."""
    decibel = 20 * torch.log10(magnitude.clamp(min=10 ** (QUIETEST_DB / 20)))
    padded = F.pad(decibel, (0, 0, 1, 1), value=QUIETEST_DB)
    below, above = padded[:, :-2], padded[:, 2:]
    by_frame = decibel.transpose(1, 2)
    strongest = F.max_pool1d(by_frame, 2 * NEIGHBOURS + 1, stride=1, padding=NEIGHBOURS).transpose(1, 2)
    ridge = (decibel > below) & (decibel >= above) & (decibel > strongest - SIDE_LOBE_DB) & (magnitude > 0)
    curvature = (below - 2 * decibel + above).clamp(max=-1e-6)
    shift = torch.where(ridge, 0.5 * (below - above) / curvature, 0).clamp(-0.5, 0.5)
    level = 10 ** ((decibel - 0.25 * (below - above) * shift) / 20)
    gaps = frequencies.diff()
    upwards, downwards = torch.cat([gaps, gaps[-1:]])[:, None], torch.cat([gaps[:1], gaps])[:, None]
    return ridge, level, frequencies[:, None] + shift * torch.where(shift > 0, upwards, downwards)


def _between_frames(track: Float[Tensor, "track frame"], hop: int, num_samples: int) -> Float[Tensor, "track time"]:
    """Linear interpolation from frames to samples, held after the last frame."""
    place = torch.arange(num_samples, device=track.device) / hop
    before: Int64[Tensor, time] = place.long().clamp(max=track.shape[1] - 1)
    after = (before + 1).clamp(max=track.shape[1] - 1)
    weight = (place - before).clamp(max=1)
    return torch.lerp(track[:, before], track[:, after], weight.to(track.dtype))


# Gradients also where the caller wants none: Lightning tests in inference mode.
@torch.inference_mode(False)
@torch.enable_grad()
def _refine(audio: Audio, magnitude: Magnitude, power: Callable[[Audio], Float[Tensor, "batch bin frame"]]) -> Audio:
    """Gradient descent with momentum on the samples, its step the inverse of the transform's squared norm.

    Without momentum a step is one of Griffin & Lim's; with it, of Perraudin, Balazs & Sondergaard's (2013).
    """
    samples, magnitude = audio.clone().requires_grad_(), magnitude.clone()
    step, velocity = 1 / _squared_norm(power, samples), torch.zeros_like(audio)
    for _ in range(STEPS):
        # The power's floor keeps the root's gradient finite where there is nothing.
        error = (power(samples) + 1e-10).sqrt() - magnitude
        (gradient,) = torch.autograd.grad(0.5 * error.square().sum(), samples)
        velocity = MOMENTUM * velocity - step * gradient
        samples = (samples + velocity).detach().requires_grad_()
    found = samples.detach()
    return found / found.abs().amax(dim=1, keepdim=True).clamp(min=1)


def _squared_norm(power: Callable[[Audio], Float[Tensor, "batch bin frame"]], like: Audio) -> float:
    """The largest factor by which the transform raises a sound's energy, by power iteration."""
    samples = torch.cos(torch.arange(like.shape[1], device=like.device) ** 2.0)[None]
    norm = 1.0
    for _ in range(10):
        samples = (samples / samples.norm()).requires_grad_()
        (samples,) = torch.autograd.grad(0.5 * power(samples).sum(), samples)
        norm = float(samples.norm())
    return norm
