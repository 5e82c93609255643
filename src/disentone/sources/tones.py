"""A synthetic data set is a function: positions become sound, and sound becomes an image, on the batch's device."""

import torch

from disentone.frontends import Frontend
from disentone.frontends.frontend import Spectrogram
from disentone.shapes import Audio, Image, Positions, Rows
from disentone.sources.source import Rendered
from disentone.synths import Synth


class Tones(Rendered):
    """Sounds of a synth, seen through a front-end.

    Args:
        synth: values to audio.
        frontend: audio to image.

    Raises:
        ValueError: for two sample rates, or sounds too short for two frames of an image.

    """

    frontend: Frontend
    num_samples: int

    def __init__(self, synth: Synth, frontend: Frontend) -> None:
        if frontend.sample_rate != synth.sample_rate:
            raise ValueError(f"the synth runs at {synth.sample_rate} Hz, the front-end at {frontend.sample_rate} Hz")
        if isinstance(frontend, Spectrogram) and frontend.hop > synth.num_samples:
            raise ValueError(
                f"frontend.hop is {frontend.hop:,} samples, and a sound has {synth.num_samples:,}, so that images "
                "would have one frame; take a smaller hop or a longer synth.duration"
            )
        self.synth, self.frontend, self.space = synth, frontend, synth.space
        self.is_random, self.num_samples = synth.is_random, synth.num_samples
        self.shape = frontend.shape(synth.num_samples)
        self.key = f"{synth!r} {frontend!r}"

    def at(self, positions: Positions, keys: Rows) -> Image:
        """Images rendered on the device of the positions, float32 [batch 1 ...]."""
        return self.frontend(self.synth(self.space.values(positions), keys))

    def audio(self, rows: Rows) -> Audio:
        """Sounds rendered on the rows' device."""
        return self.synth(self.space.values(self.space.grid(rows)), rows)

    def to(self, device: torch.device) -> None:
        """Take the front-end's kernels there."""
        self.frontend.to(device)
