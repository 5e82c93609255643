"""The glossary: what every tensor of the pipe is called and how it is shaped.

Axes: ``batch``, ``factor``, ``partial``, ``time`` (samples), ``channel``, ``bin``, ``frame``, ``latent``.
An image has one channel and any trailing axes: ``[batch 1 bin frame]`` for a spectrogram, ``[batch 1 time]``
for a waveform.
"""

from typing import NamedTuple

from jaxtyping import Float, Float64, Int, Num
from torch import Tensor

from disentone.draws import Draw

Rows = Int[Tensor, "batch"]
Positions = Num[Tensor, "batch factor"]
Values = Float64[Tensor, "batch factor"]
Audio = Float[Tensor, "batch time"]
Image = Float[Tensor, "batch channel *size"]
Codes = Float[Tensor, "batch latent"]
PerExample = Float[Tensor, "batch"]
Scalar = Float[Tensor, ""]


class Part(NamedTuple):
    """One process's part of a batch that several processes share: ``rows`` of its ``total``.

    A process without a row computes one of another process, since all must step together; its part has 0 rows.
    """

    rows: int
    total: int


class Batch(NamedTuple):
    """What an objective sees: images in [0, 1], and which rows they are of.

    ``draw`` holds the random numbers of the step. ``partner`` is the image of each row's partner where the data has
    views. ``labels`` are the factor positions, which only an objective sees that declares it. ``part`` is None where
    one process has the whole batch.
    """

    image: Image
    rows: Rows
    draw: Draw | None = None
    partner: Image | None = None
    labels: Positions | None = None
    part: Part | None = None
