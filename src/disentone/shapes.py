"""The glossary: what every tensor of the pipe is called and how it is shaped.

Axes: ``batch``, ``factor``, ``partial``, ``time`` (samples), ``channel``, ``bin``, ``frame``, ``latent``.
An image has one channel and any trailing axes: ``[batch 1 bin frame]`` for a spectrogram, ``[batch 1 time]``
for a waveform.
"""

from typing import NamedTuple

from jaxtyping import Float, Float64, Int, Num
from torch import Tensor

Rows = Int[Tensor, "batch"]
Positions = Num[Tensor, "batch factor"]
Values = Float64[Tensor, "batch factor"]
Audio = Float[Tensor, "batch time"]
Image = Float[Tensor, "batch channel *size"]
Codes = Float[Tensor, "batch latent"]
PerExample = Float[Tensor, "batch"]
Scalar = Float[Tensor, ""]


class Share(NamedTuple):
    """What one of several processes has of a batch: ``rows`` of its ``total``, from row ``first`` on.

    Where there is no row for a process it computes row ``first``, since all must step together; it weighs nothing.
    """

    first: int
    rows: int
    total: int


class Batch(NamedTuple):
    """What an objective sees: images in [0, 1] and the factor positions they were made from.

    Of a batch that several processes share they are one process's ``share``; None is all of it. Where the data has
    views, ``partner`` holds the image of each row's partner.
    """

    image: Image
    positions: Positions
    share: Share | None = None
    partner: Image | None = None


class Posterior(NamedTuple):
    """A diagonal Gaussian over the latents: its mean and the logarithm of its variance, None where codes are points."""

    mean: Codes
    logvar: Codes | None
