"""p(x|z): what a decoder's output says about an image, in nats per example, constants included."""

import math
from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional as F

from disentone.shapes import Image, PerExample, Scalar


class Likelihood(nn.Module, ABC):
    """Independent pixels given a decoder's output; ``scale`` is the noise's width, None where it has none."""

    scale: Scalar | None

    @abstractmethod
    def nll(self, output: Image, image: Image) -> PerExample:
        """Negative log likelihood of each image, summed over its pixels."""

    @abstractmethod
    def mean(self, output: Image) -> Image:
        """The expected image."""


class Gaussian(Likelihood):
    """Normal with a fixed width. A smaller one gives reconstruction more weight against KL.

    Args:
        sigma: standard deviation, in units of the image.

    Raises:
        ValueError: for a sigma that is not above 0.

    """

    scale: Scalar

    def __init__(self, sigma: float = 0.1) -> None:
        super().__init__()
        _check_positive("sigma", sigma)
        self.register_buffer("scale", torch.tensor(float(sigma)), persistent=False)

    def nll(self, output: Image, image: Image) -> PerExample:
        """Squared error over 2 sigma^2, and log(sigma sqrt(2 pi)) for every pixel."""
        return _gaussian_nll(output, image, self.scale)

    def mean(self, output: Image) -> Image:
        """The output itself."""
        return output


class LearnedGaussian(Likelihood):
    """Normal with one learned width, which changes the weight of reconstruction against KL.

    Args:
        initial: standard deviation to start from.
        floor: least standard deviation; pixels that are exactly 0 would else drive it there.

    Raises:
        ValueError: unless initial lies above floor and floor above 0.

    """

    def __init__(self, initial: float = 0.1, floor: float = 0.01) -> None:
        super().__init__()
        _check_positive("floor", floor)
        if not initial > floor:
            raise ValueError(f"initial must lie above the floor ({floor:g}), got {initial:g}")
        self.floor = floor
        self.log_excess = nn.Parameter(torch.tensor(math.log(initial - floor)))

    @property
    def scale(self) -> Scalar:  # type: ignore[override]
        """The standard deviation learned so far."""
        return self.floor + self.log_excess.exp()

    def nll(self, output: Image, image: Image) -> PerExample:
        """As of a fixed Gaussian."""
        return _gaussian_nll(output, image, self.scale)

    def mean(self, output: Image) -> Image:
        """The output itself."""
        return output


class Laplace(Likelihood):
    """Double exponential with a fixed width: absolute instead of squared error.

    Args:
        width: the scale b; the standard deviation is b sqrt(2).

    Raises:
        ValueError: for a width that is not above 0.

    """

    scale: Scalar

    def __init__(self, width: float = 0.1) -> None:
        super().__init__()
        _check_positive("width", width)
        self.register_buffer("scale", torch.tensor(float(width)), persistent=False)

    def nll(self, output: Image, image: Image) -> PerExample:
        """Absolute error over b, and log(2 b) for every pixel."""
        return ((image - output).abs() / self.scale + torch.log(2 * self.scale)).flatten(1).sum(dim=1)

    def mean(self, output: Image) -> Image:
        """The output itself."""
        return output


class Bernoulli(Likelihood):
    """Binary pixels by logits; on grey ones a pseudo-likelihood whose ELBO compares with no other family's."""

    scale = None

    def nll(self, output: Image, image: Image) -> PerExample:
        """Binary cross-entropy."""
        return F.binary_cross_entropy_with_logits(output, image, reduction="none").flatten(1).sum(dim=1)

    def mean(self, output: Image) -> Image:
        """The probability of a 1."""
        return output.sigmoid()


def _gaussian_nll(output: Image, image: Image, sigma: Scalar) -> PerExample:
    constant = torch.log(sigma) + 0.5 * math.log(2 * math.pi)
    return (0.5 * ((image - output) / sigma).square() + constant).flatten(1).sum(dim=1)


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be above 0, got {value}")
