"""Likelihoods against torch.distributions, constants included."""

import pytest
import torch
from torch import distributions as D

from disentone.models import Bernoulli, Gaussian, Laplace, LearnedGaussian, Likelihood


@pytest.fixture
def output_and_image() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 1, 5, 4, generator=generator), torch.rand(3, 1, 5, 4, generator=generator)


def _summed(log_prob: torch.Tensor) -> torch.Tensor:
    return -log_prob.flatten(1).sum(dim=1)


@pytest.mark.parametrize(
    ("likelihood", "distribution"),
    [
        (Gaussian(0.1), lambda x: D.Normal(x, 0.1)),
        (Gaussian(0.7), lambda x: D.Normal(x, 0.7)),
        (LearnedGaussian(0.25), lambda x: D.Normal(x, 0.25)),
        (Laplace(0.3), lambda x: D.Laplace(x, 0.3)),
        (Bernoulli(), lambda x: D.Bernoulli(logits=x, validate_args=False)),
    ],
)
def test_nll_is_the_distributions(likelihood: Likelihood, distribution, output_and_image) -> None:
    output, image = output_and_image
    expected = _summed(distribution(output).log_prob(image))
    torch.testing.assert_close(likelihood.nll(output, image).detach(), expected, rtol=1e-5, atol=1e-4)


def test_means_are_the_distributions(output_and_image) -> None:
    output, _ = output_and_image
    for likelihood in (Gaussian(), LearnedGaussian(), Laplace()):
        assert torch.equal(likelihood.mean(output), output)
    assert torch.equal(Bernoulli().mean(output), output.sigmoid())


def test_learned_sigma_finds_the_residual_and_respects_its_floor() -> None:
    likelihood = LearnedGaussian(initial=0.5, floor=0.01)
    image = 0.2 * torch.randn(64, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(likelihood.parameters(), lr=0.05)
    for target, expected in ((image, 0.2), (torch.zeros_like(image), 0.01)):
        for _ in range(400):
            optimizer.zero_grad()
            likelihood.nll(torch.zeros_like(target), target).mean().backward()
            optimizer.step()
        assert likelihood.scale.item() == pytest.approx(expected, rel=0.02)
    assert likelihood.scale.item() >= 0.01


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(0), "sigma must be above 0, got 0"),
        (lambda: Gaussian(float("nan")), "sigma must be above 0, got nan"),
        (lambda: Laplace(-1), "width must be above 0, got -1"),
        (lambda: LearnedGaussian(floor=0), "floor must be above 0, got 0"),
        (lambda: LearnedGaussian(initial=0.01, floor=0.02), r"initial must lie above the floor \(0.02\), got 0.01"),
    ],
)
def test_impossible_widths_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_only_what_is_learned_is_in_a_checkpoint() -> None:
    assert not Gaussian().state_dict()
    assert not Laplace().state_dict()
    assert list(LearnedGaussian().state_dict()) == ["log_excess"]
