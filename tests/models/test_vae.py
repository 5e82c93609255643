"""The network: any image size, exact cropping, gradients everywhere."""

from functools import partial

import pytest
import torch

from disentone.draws import Draw
from disentone.models import VAE, Bernoulli, ConvDecoder, ConvEncoder, Gaussian, GaussianLatent
from disentone.models.conv2d import PadToMultiple


def make_vae(shape: tuple[int, ...], latents: int = 3, channels: tuple[int, ...] = (4, 8)) -> VAE:
    encoder = partial(ConvEncoder, channels=channels, hidden=8)
    decoder = partial(ConvDecoder, channels=channels, hidden=8)
    return VAE(shape, latents, encoder, decoder, Gaussian())


@pytest.mark.parametrize("shape", [(1, 80, 63), (1, 80, 16), (1, 1, 1), (1, 7, 5), (1, 28, 28), (3, 17, 33)])
@pytest.mark.parametrize("batch", [1, 3])
def test_conv2d_takes_and_returns_any_shape(shape: tuple[int, ...], batch: int) -> None:
    vae = make_vae(shape)
    posterior = vae.encode(torch.rand(batch, *shape))
    assert posterior.mean.shape == posterior.logvar.shape == (batch, 3)
    assert vae.decode(posterior.mean).shape == (batch, *shape)
    assert vae(torch.rand(batch, *shape)).shape == (batch, *shape)


def test_channels_last_is_the_same_network() -> None:
    encoder, decoder = partial(ConvEncoder, channels=(4, 8), hidden=8), partial(ConvDecoder, channels=(4, 8), hidden=8)
    plain, last = (VAE((1, 80, 16), 3, encoder, decoder, Gaussian(), channels_last=flag) for flag in (False, True))
    last.load_state_dict(plain.state_dict())
    assert last.encoder[3].weight.is_contiguous(memory_format=torch.channels_last)
    image = torch.rand(2, 1, 80, 16)
    torch.testing.assert_close(last(image), plain(image), atol=1e-5, rtol=1e-5)


def test_padding_adds_silence_at_the_end_only() -> None:
    image = torch.rand(2, 1, 5, 6)
    padded = PadToMultiple(4)(image)
    assert padded.shape == (2, 1, 8, 8)
    assert torch.equal(padded[:, :, :5, :6], image)
    assert padded.sum() == pytest.approx(image.sum().item())


def test_every_parameter_and_every_pixel_gets_a_gradient() -> None:
    torch.manual_seed(0)  # of so few channels, some weights would leave a corner pixel dark
    vae = make_vae((1, 11, 13), channels=(8, 16))
    image = torch.rand(4, 1, 11, 13, requires_grad=True)
    vae.likelihood.nll(
        vae.decoder(vae.encode(image).sample(Draw(0, 0, torch.arange(4)))), image.detach()
    ).mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vae.parameters())
    assert (image.grad.abs().sum(dim=0) > 0).all()


def test_samples_have_the_posteriors_moments() -> None:
    torch.manual_seed(0)
    posterior = GaussianLatent(
        torch.tensor([[1.0, -2.0]]).repeat(20_000, 1), torch.log(torch.tensor([[0.25, 4.0]])).repeat(20_000, 1)
    )
    z = posterior.sample(Draw(0, 0, torch.arange(20_000)))
    torch.testing.assert_close(z.mean(dim=0), torch.tensor([1.0, -2.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(z.std(dim=0), torch.tensor([0.5, 2.0]), atol=0.05, rtol=0)


def test_decode_is_the_likelihoods_mean() -> None:
    vae = make_vae((1, 8, 8))
    vae.likelihood = Bernoulli()
    codes = torch.randn(2, 3)
    assert torch.equal(vae.decode(codes), vae.decoder(codes).sigmoid())


@pytest.mark.parametrize("latents", [0, -1, 10_000])
def test_an_impossible_number_of_latents_is_refused(latents: int) -> None:
    with pytest.raises(ValueError, match=rf"model.latents must lie in 1..4096, got {latents}"):
        make_vae((1, 8, 8), latents)


def test_conv2d_refuses_a_waveform() -> None:
    with pytest.raises(ValueError, match=r"conv2d needs images of shape \(channel, bin, frame\), got \(1, 16000\)"):
        make_vae((1, 16_000))
