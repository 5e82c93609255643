"""Additive synthesis beside plain torch and a NumPy loop: python -m benchmarks.synthesis.

Tones of the default preset whose ten partials all sound, on one thread. Plain torch is the formula over
[batch partial time] in float32, for the same batch and for as few clips as stay in the cache, where it is quickest;
the NumPy loop is the tests' float64 oracle, clip by clip. torchsynth 1.0.2 imports a module that Lightning 2 has no
more, so it is left out.
"""

import math
from statistics import median

import numpy as np
import torch
from benchmarks.cases import sounds, synth
from benchmarks.measure import in_turns, ratio, report, threads
from tests.reference.synthesis import tone

CLIPS, CLIPS_IN_LOOP, CLIPS_IN_CACHE = 256, 16, 2


def plain(
    frequencies: torch.Tensor, amplitudes: torch.Tensor, decay: torch.Tensor, num_samples: int, sample_rate: int
) -> torch.Tensor:
    """The formula as it is written, all partials and samples at once."""
    time = torch.arange(num_samples) / sample_rate
    waves = amplitudes[:, :, None] * torch.sin(2 * math.pi * frequencies[:, :, None] * time)
    return waves.sum(dim=1) * torch.exp(-decay[:, None] * time)


def main() -> None:
    family = synth()
    values, keys = sounds(20 * CLIPS, family)
    whole = family.partials(family.parameters(values)).frequencies.amax(dim=1) < family.nyquist
    values, keys = values[whole][:CLIPS], keys[whole][:CLIPS]
    assert len(values) == CLIPS
    parameters = family.parameters(values)
    spectrum = family.partials(parameters)
    written = [x.float() for x in (spectrum.frequencies, spectrum.amplitudes, parameters["decay"])]
    few = values[:CLIPS_IN_LOOP].tolist()
    versions = {
        "disentone": lambda: family(values, keys),
        "plain torch": lambda: plain(*written, family.num_samples, family.sample_rate),
        "plain torch, two clips at a time": lambda: plain(
            *(x[:CLIPS_IN_CACHE] for x in written), family.num_samples, family.sample_rate
        ),
        "NumPy, in a loop": lambda: np.stack([tone(*row) for row in few]),
    }
    clips = dict(zip(versions, (CLIPS, CLIPS, CLIPS_IN_CACHE, CLIPS_IN_LOOP), strict=True))
    with threads(1), torch.no_grad():
        seconds = in_turns(versions)
        exact = versions["NumPy, in a loop"]()
        errors = {name: np.abs(versions[name]()[:CLIPS_IN_LOOP].numpy() - exact).max() for name in list(versions)[:2]}
    duration = family.num_samples / family.sample_rate
    per_clip = {name: [second / clips[name] for second in spent] for name, spent in seconds.items()}
    table = {
        name: [
            duration / median(spent),
            ratio(spent, per_clip["disentone"]),
            20 * math.log10(errors[name]) if name in errors else None,
        ]
        for name, spent in per_clip.items()
    }
    columns = ("seconds of audio a second", "times as long as ours", "largest error in dB of full scale")
    report("synthesis", "Ten partials at 16 kHz, one thread", columns, table)


if __name__ == "__main__":
    main()
