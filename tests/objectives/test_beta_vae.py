"""The loss is the sum of its weighted terms, each against a closed form or torch.distributions."""

import math

import pytest
import torch
from torch import distributions as D

from disentone.draws import Draw
from disentone.models import VAE, Gaussian, GaussianLatent
from disentone.objectives import BetaVAE, Constant, Cyclic, Warmup
from disentone.shapes import Batch


class Fixed(torch.nn.Module):
    """Answers a constant, whatever it is asked."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = torch.nn.Parameter(answer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.answer.expand(len(x), *self.answer.shape[1:])


@pytest.fixture
def vae() -> VAE:
    """A VAE of one pixel whose posterior is N((0.5, -1), (e^0.2, e^-2)) and whose output is 0.3."""
    features, output = torch.tensor([[0.5, -1.0, 0.2, -2.0]]), torch.tensor([[[[0.3]]]])
    return VAE((1, 1, 1), 2, lambda shape, n: Fixed(features), lambda n, shape: Fixed(output), Gaussian(0.5))


def make_batch(image: torch.Tensor) -> Batch:
    rows = torch.arange(len(image))
    return Batch(image, rows, Draw(0, 0, rows))


@pytest.fixture
def batch() -> Batch:
    return make_batch(torch.tensor([0.1, 0.7, 1.0]).view(3, 1, 1, 1))


def test_kl_is_that_of_torch_distributions() -> None:
    latent = GaussianLatent(torch.randn(5, 4), torch.randn(5, 4))
    normal = D.Normal(latent.mean, (0.5 * latent.logvar).exp())
    expected = D.kl_divergence(normal, D.Normal(torch.zeros(5, 4), torch.ones(5, 4)))
    torch.testing.assert_close(latent.nats, expected)


def test_kl_of_the_prior_is_zero() -> None:
    assert torch.equal(GaussianLatent(torch.zeros(2, 3), torch.zeros(2, 3)).nats, torch.zeros(2, 3))


def test_every_term_has_its_closed_form(vae: VAE, batch: Batch) -> None:
    terms = BetaVAE(4.0, Constant())(vae, batch, step=0)
    squares = [(x - 0.3) ** 2 / (2 * 0.25) for x in (0.1, 0.7, 1.0)]
    reconstruction = sum(squares) / 3 + math.log(0.5) + 0.5 * math.log(2 * math.pi)
    divergence = [0.5 * (0.25 + math.exp(0.2) - 0.2 - 1), 0.5 * (1 + math.exp(-2) + 2 - 1)]
    assert terms["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-5)
    assert terms["kl_per_latent"].tolist() == pytest.approx(divergence, rel=1e-5)
    assert terms["kl"].item() == pytest.approx(sum(divergence), rel=1e-5)
    assert terms["elbo"].item() == pytest.approx(-reconstruction - sum(divergence), rel=1e-5)
    assert terms["loss"].item() == pytest.approx(reconstruction + 4 * sum(divergence), rel=1e-5)
    assert terms["normalised_beta"].item() == pytest.approx(4 * 2 / 1)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 250.0])
def test_loss_is_the_sum_of_its_weighted_terms(vae: VAE, batch: Batch, beta: float) -> None:
    terms = BetaVAE(beta, Constant())(vae, batch, step=3)
    assert terms["loss"].item() == pytest.approx((terms["reconstruction"] + terms["beta"] * terms["kl"]).item())


def test_at_beta_one_the_loss_is_the_negative_elbo(vae: VAE, batch: Batch) -> None:
    terms = BetaVAE(1.0, Constant())(vae, batch, step=0)
    assert terms["loss"].item() == pytest.approx(-terms["elbo"].item())


def test_terms_are_means_over_the_batch_not_sums(vae: VAE, batch: Batch) -> None:
    twice = make_batch(batch.image.repeat(2, 1, 1, 1))
    once, doubled = (BetaVAE(4.0, Constant())(vae, b, step=0) for b in (batch, twice))
    for name, term in once.items():
        torch.testing.assert_close(doubled[name], term)


def test_a_batch_of_one_works(vae: VAE, batch: Batch) -> None:
    terms = BetaVAE(4.0, Constant())(vae, make_batch(batch.image[:1]), step=0)
    terms["loss"].backward()
    assert torch.isfinite(terms["loss"])


def test_only_the_loss_carries_a_gradient(vae: VAE, batch: Batch) -> None:
    terms = BetaVAE(4.0, Constant())(vae, batch, step=0)
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]


@pytest.mark.parametrize("beta", [-1.0, float("nan"), float("inf")])
def test_an_impossible_beta_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match=r"objective.beta must be a number of 0 or more"):
        BetaVAE(beta, Constant())


def test_schedules_are_functions_of_the_step() -> None:
    warmup, cyclic = Warmup(10), Cyclic(10, rise=0.5)
    assert [warmup(step) for step in (0, 5, 10, 1000)] == [0, 0.5, 1, 1]
    assert [cyclic(step) for step in (0, 2, 5, 9, 10, 12)] == [0, 0.4, 1, 1, 0, 0.4]
    assert [Constant()(step) for step in (0, 10**6)] == [1, 1]


def test_the_schedule_scales_beta(vae: VAE, batch: Batch) -> None:
    objective = BetaVAE(8.0, Warmup(4))
    assert [objective(vae, batch, step)["beta"].item() for step in (0, 1, 4, 9)] == [0, 2, 8, 8]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Warmup(0), "a warm-up needs at least 1 step, got 0$"),
        (lambda: Cyclic(0), "a cycle needs at least 1 step, got 0$"),
        (lambda: Warmup(-1), "got -1; a run that is counted in epochs .* needs objective.schedule.steps=<number of"),
        (lambda: Cyclic(-1), "got -1; a run that is counted in epochs .* needs objective.schedule.period=<number of"),
        (lambda: Cyclic(10, rise=0), r"rise must lie in \(0, 1\], got 0"),
    ],
)
def test_impossible_schedules_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
