"""What every synth shares: parameters from factors, the sum of partials, and the nuisances."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Complex64, Float32, Float64, Int64
from torch import Tensor

from disentone import hashing
from disentone.factors import Factor, FactorSpace
from disentone.precision import full_float32
from disentone.shapes import Audio, Rows, Values

# So that a row's phases, onset, level and noise are independent of one another.
PHASE, ONSET, LEVEL, NOISE = map(hashing.stream, ("phase", "onset", "level", "noise"))
# Parameters that every family has: a decay in 1/s, and the level of the sound above its noise in dB.
OF_EVERY = {"decay": 0.0, "snr_db": math.inf}
# In dB. The power of the noise stays far below the largest float32.
LOWEST_SNR = -200


class Partials(NamedTuple):
    """The spectrum of each sound: frequencies in Hz, signed linear amplitudes, start phases in cycles."""

    frequencies: Float64[Tensor, "batch partial"]
    amplitudes: Float64[Tensor, "batch partial"]
    phases: Float64[Tensor, "batch partial"]


class Synth(ABC):
    """A family of sounds: factor values in, audio out, on the device of its input.

    A factor is any parameter of the synth; parameters that are no factor take their value from ``fixed``.
    Random phases, onset, level and the noise itself are *nuisances*: they change the sound, no factor tells
    of them, and they are a hash of (``seed``, key of the sound), so a key always sounds the same.

    Args:
        factors: name to description, see :class:`disentone.factors.FactorSpace`.
        fixed: values of parameters that do not vary; a name (``odd``) for a categorical one.
        sample_rate: in Hz.
        duration: of a clip, in seconds.
        gain: ``fixed`` for the family's own law (the level never follows phase), ``peak`` to scale each clip
            to a peak of 1.
        random_phase: start every partial at a random phase instead of 0.
        onset: latest start of the sound in seconds; starts are uniform between 0 and this.
        level_db: quietest level in dB below the nominal one; levels are uniform between the two.
        seed: of the nuisances.

    Raises:
        ValueError: for an unknown factor or parameter, or a value the family has no sound for.

    """

    defaults: ClassVar[Mapping[str, float]]
    """The family's own parameters, with their values where they neither vary nor are fixed."""
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The values of parameters that are no numbers, by their names."""

    def __init__(
        self,
        factors: Mapping[str, Mapping[str, object]],
        fixed: Mapping[str, float | str] | None = None,
        sample_rate: int = 16_000,
        duration: float = 1.0,
        gain: str = "fixed",
        random_phase: bool = False,
        onset: float = 0.0,
        level_db: float = 0.0,
        seed: int = 0,
    ) -> None:
        if sample_rate <= 0:
            raise ValueError(f"sample_rate must be above 0 Hz, got {sample_rate}")
        if not (0 < duration < math.inf and round(duration * sample_rate) > 0):
            raise ValueError(f"duration must hold at least one sample, got {duration} s at {sample_rate} Hz")
        if gain not in ("fixed", "peak"):
            raise ValueError(f"gain must be fixed or peak, got {gain}")
        if not 0 <= onset < duration:
            raise ValueError(f"onset must be from 0 s to below the duration ({duration} s), got {onset}")
        if not 0 <= level_db < math.inf:
            raise ValueError(f"level_db is an attenuation of 0 dB or more, got {level_db}")
        self.space = FactorSpace(factors)
        self.sample_rate = sample_rate
        self.num_samples = round(duration * sample_rate)
        self.gain = gain
        self.random_phase = random_phase
        self.onset = onset
        self.level_db = level_db
        self.seed = seed
        self._fixed = self._resolve_fixed(fixed or {})
        self._labels = {
            f.name: self._label_numbers(f) for f in self.space.factors if f.labels or f.name in self.choices
        }
        if self.extreme("snr_db")[0] < LOWEST_SNR:
            raise ValueError(
                f"snr_db goes down to {self.extreme('snr_db')[0]:g} dB, noise that no number can hold; expected "
                f"{LOWEST_SNR} dB or more"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in sorted(vars(self).items()))})"

    @property
    def nyquist(self) -> float:
        """Half the sample rate, in Hz."""
        return self.sample_rate / 2

    @property
    def is_noisy(self) -> bool:
        """Whether sounds have noise, of a factor's level or a fixed one."""
        return "snr_db" in self.space.names or math.isfinite(self._fixed["snr_db"])

    @property
    def is_random(self) -> bool:
        """Whether two sounds of the same values can differ."""
        return self.is_noisy or self.random_phase or self.onset > 0 or self.level_db > 0

    @abstractmethod
    def partials(self, parameters: Mapping[str, Float64[Tensor, "batch"]]) -> Partials:
        """The spectrum that parameter values ask for, before anything above Nyquist is silenced."""

    @torch.no_grad()
    def __call__(self, values: Values, keys: Rows) -> Audio:
        """Sounds of ``values`` [batch factor]; ``keys`` [batch] pick each one's nuisances. Float32 [batch time]."""
        parameters = self.parameters(values)
        partials = self.partials(parameters)
        phases = partials.phases
        if self.random_phase:
            number = torch.arange(phases.shape[1], device=phases.device)
            phases = phases + hashing.uniform(self.seed, keys[:, None], PHASE, number)
        amplitudes = partials.amplitudes.where(partials.frequencies < self.nyquist, 0.0)
        decay = parameters["decay"]
        if self.onset > 0:
            onset = self.onset * hashing.uniform(self.seed, keys, ONSET)
            phases = phases - partials.frequencies * onset[:, None]
            audio = self._sum(partials.frequencies, amplitudes, phases, torch.zeros_like(decay))
            audio = audio * self._late_envelope(decay, onset)
        else:
            audio = self._sum(partials.frequencies, amplitudes, phases, decay)
        if self.gain == "peak":
            audio = audio / audio.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(audio.dtype).tiny)
        if self.level_db > 0:
            level = self.level_db * hashing.uniform(self.seed, keys, LEVEL)
            audio = audio * (10 ** (-level / 20)).float()[:, None]
        return self._add_noise(audio, parameters["snr_db"], keys) if self.is_noisy else audio

    def parameters(self, values: Values) -> dict[str, Float64[Tensor, "batch"]]:
        """Every parameter of each sound: a factor's values, or the fixed one. Names become their numbers."""
        parameters = {name: torch.full_like(values[:, 0], value) for name, value in self._fixed.items()}
        for column, name in enumerate(self.space.names):
            parameters[name] = values[:, column]
            if name in self._labels:
                parameters[name] = _numbers(tuple(self._labels[name]), values.device)[values[:, column].long()]
        return parameters

    def extreme(self, name: str) -> tuple[float, float]:
        """The smallest and largest value that a parameter takes in this family."""
        if name in self.space.names:
            grid = self.space.factors[self.space.index(name)].grid
            return float(grid.min()), float(grid.max())
        return self._fixed[name], self._fixed[name]

    def require(self, name: str, low: float, high: float, unit: str, high_name: str = "") -> None:
        """Raise ValueError unless a parameter stays in [low, high)."""
        smallest, largest = self.extreme(name)
        if smallest < low:
            raise ValueError(f"{name} goes down to {smallest:g}{unit}; the lowest with a sound is {low:g}{unit}")
        if largest >= high:
            raise ValueError(f"{name} reaches {largest:g}{unit}; it must stay below {high_name}{high:g}{unit}")

    def _resolve_fixed(self, fixed: Mapping[str, float | str]) -> dict[str, float]:
        known = {**self.defaults, **OF_EVERY}
        for name in (*self.space.names, *fixed):
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {name}; it has {', '.join(known)}")
        if both := set(fixed) & set(self.space.names):
            raise ValueError(f"{both.pop()} is both a factor and fixed; remove one of the two")
        resolved = dict(known)
        for name, value in fixed.items():
            if name in self.choices:
                resolved[name] = self._choice(name, str(value))
            elif isinstance(value, str) or (not math.isfinite(value) and (name, value) != ("snr_db", math.inf)):
                raise ValueError(f"fixed {name} must be a finite number, got {value}")
            else:
                resolved[name] = float(value)
        return resolved

    def _label_numbers(self, factor: Factor) -> list[int]:
        if factor.name not in self.choices:
            raise ValueError(f"factor {factor.name} takes numbers, not labels")
        if factor.labels is None:
            raise ValueError(f"factor {factor.name} takes labels out of {', '.join(self.choices[factor.name])}")
        return [self._choice(factor.name, label) for label in factor.labels]

    def _choice(self, name: str, label: str) -> int:
        if label not in self.choices[name]:
            raise ValueError(f"{name} has no value {label}; it has {', '.join(self.choices[name])}")
        return self.choices[name].index(label)

    def _sum(
        self,
        frequencies: Float64[Tensor, "batch partial"],
        amplitudes: Float64[Tensor, "batch partial"],
        phases: Float64[Tensor, "batch partial"],
        decay: Float64[Tensor, "batch"],
    ) -> Audio:
        return sum_partials(frequencies, amplitudes, phases, decay, self.num_samples, self.sample_rate)

    def _late_envelope(
        self, decay: Float64[Tensor, "batch"], onset: Float64[Tensor, "batch"]
    ) -> Float32[Tensor, "batch time"]:
        """Silence before the onset, 1 at it, the decay after it."""
        late = torch.arange(self.num_samples, device=onset.device) / self.sample_rate - onset[:, None]
        return torch.exp(-decay[:, None] * late.clamp(min=0)).where(late >= 0, 0.0).float()

    def _add_noise(self, audio: Audio, snr_db: Float64[Tensor, "batch"], keys: Rows) -> Audio:
        power = audio.double().square().mean(dim=1) * 10 ** (-snr_db / 10)
        sample = torch.arange(audio.shape[1], device=audio.device)
        noise = hashing.normal(self.seed, keys[:, None], NOISE, sample)
        return audio + (noise * power.sqrt()[:, None]).float()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _numbers(values: tuple[int, ...], device: torch.device) -> Float64[Tensor, "label"]:
    """Made once for each device: an upload in every batch would make the host wait for it."""
    return _made(values, device)


@lru_cache(maxsize=256)
def _made(values: tuple[int, ...], device: torch.device) -> Float64[Tensor, "label"]:
    return torch.tensor(values, device=device, dtype=torch.float64)


def sum_partials(
    frequencies: Float64[Tensor, "batch partial"],
    amplitudes: Float64[Tensor, "batch partial"],
    phases: Float64[Tensor, "batch partial"],
    decay: Float64[Tensor, "batch"],
    num_samples: int,
    sample_rate: int,
) -> Float32[Tensor, "batch time"]:
    """Decaying sinusoids, summed: exp(-decay t) sum_k a_k sin(2 pi (f_k t + phase_k)).

    Time splits into a block and an offset within it, so that by the addition theorem
    sin(block + offset) = sin(block) cos(offset) + cos(block) sin(offset) a whole clip is one small matrix
    product, [blocks 2k] by [2k offsets], and no [batch partial time] tensor exists. Phases are float64 cycles
    reduced modulo 1 before they become float32, which keeps the error near -130 dB of full scale; plain float32
    phases reach -60 dB.
    """
    offsets = 2 ** round(math.log2(num_samples) / 2)
    blocks = math.ceil(num_samples / offsets)
    start = amplitudes.float() * _turn(phases)
    block = start[:, :, None] * _rotation(frequencies, decay, blocks, offsets / sample_rate)
    offset = _rotation(frequencies, decay, offsets, 1 / sample_rate)
    block_side = torch.cat([block.imag, block.real], dim=1).transpose(1, 2)
    offset_side = torch.cat([offset.real, offset.imag], dim=1)
    with full_float32():
        return torch.bmm(block_side, offset_side).flatten(1)[:, :num_samples]


def _rotation(
    frequencies: Float64[Tensor, "batch partial"], decay: Float64[Tensor, "batch"], count: int, seconds: float
) -> Complex64[Tensor, "batch partial step"]:
    """exp((2 pi i f - decay) t) at ``count`` times that lie ``seconds`` apart, itself by addition of angles."""
    fine = 2 ** round(math.log2(count) / 2)
    coarse = math.ceil(count / fine)
    device = frequencies.device
    time = torch.cat([fine * torch.arange(coarse, device=device), torch.arange(fine, device=device)]).double() * seconds
    turn = torch.exp(-decay[:, None, None] * time).float() * _turn(frequencies[:, :, None] * time)
    return (turn[..., :coarse, None] * turn[..., None, coarse:]).flatten(2)[..., :count]


def _turn(cycles: Float64[Tensor, "*shape"]) -> Complex64[Tensor, "*shape"]:
    """The point on the unit circle after so many cycles."""
    angle = (2 * math.pi * (cycles - cycles.round())).float()
    return torch.complex(angle.cos(), angle.sin())


def harmonic_numbers(count: int, like: Tensor) -> Int64[Tensor, "partial"]:
    """1, 2, ... count, on the device of ``like``."""
    return torch.arange(1, count + 1, device=like.device)
