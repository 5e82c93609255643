"""Every pair of encoder and decoder: any size, gradients everywhere, what each is said to be."""

from functools import partial

import pytest
import torch

from disentone.draws import Draw
from disentone.models import (
    VAE,
    AttentionDecoder,
    BroadcastDecoder,
    Conv1dDecoder,
    Conv1dEncoder,
    ConvDecoder,
    ConvEncoder,
    Gaussian,
    MLPDecoder,
    MLPEncoder,
    RNNEncoder,
)
from disentone.models.attention_rnn import AdditiveAttention
from disentone.models.broadcast import Broadcast
from disentone.objectives import BetaVAE, Constant
from disentone.shapes import Batch

CONV1D = {"channels": (6, 4), "kernel": 12, "stride": 4, "hidden": 16}
PAIRS = {
    "mlp": (partial(MLPEncoder, hidden=(16, 8)), partial(MLPDecoder, hidden=(16, 8))),
    "conv2d": (
        partial(ConvEncoder, channels=(8, 16), hidden=32),
        partial(ConvDecoder, channels=(8, 16), hidden=32),
    ),
    "conv1d": (partial(Conv1dEncoder, **CONV1D), partial(Conv1dDecoder, **CONV1D)),
    "attention_rnn": (partial(RNNEncoder, hidden=8), partial(AttentionDecoder, hidden=8, slots=3)),
    "broadcast": (partial(ConvEncoder, channels=(4, 8), hidden=16), partial(BroadcastDecoder, channels=(8, 8))),
}
IMAGES = [(1, 12, 9), (1, 7, 5), (3, 8, 8)]
CASES = [(name, shape) for name in PAIRS for shape in ([(1, 101), (2, 64)] if name == "conv1d" else IMAGES)]

ROWS = torch.arange(4)


def make(name: str, shape: tuple[int, ...]) -> VAE:
    torch.manual_seed(0)
    return VAE(shape, 3, *PAIRS[name], Gaussian())


@pytest.mark.parametrize(("name", "shape"), [*CASES, ("mlp", (1, 33))])
def test_it_fits_any_size_and_every_parameter_learns(name: str, shape: tuple[int, ...]) -> None:
    vae = make(name, shape)
    image = torch.rand(4, *shape)
    terms = BetaVAE(schedule=Constant(), beta=1)(vae, Batch(image, ROWS, Draw(0, 0, ROWS)), 0)
    terms["loss"].backward()
    assert vae(image).shape == image.shape
    for key, parameter in vae.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", PAIRS)
def test_it_learns_two_images_by_heart(name: str) -> None:
    shape = (1, 64) if name == "conv1d" else (1, 8, 8)
    vae = make(name, shape)
    image = torch.rand(2, *shape)
    optimizer = torch.optim.Adam(vae.parameters(), 1e-2)

    def error() -> torch.Tensor:
        return (vae(image) - image).square().mean()

    spread = float(image.var(dim=0, correction=0).mean())
    for _ in range(300):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    assert float(error()) < 0.5 * spread


@pytest.mark.parametrize("name", PAIRS)
def test_it_runs_in_bfloat16_and_repeats_itself(name: str) -> None:
    shape = (1, 101) if name == "conv1d" else (1, 12, 9)
    vae, image = make(name, shape), torch.rand(4, *shape)
    assert torch.equal(vae(image), vae(image))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = vae(image)
    assert (low.float() - vae(image)).abs().max() < 0.1


def test_a_broadcast_latent_stands_at_every_place_beside_its_coordinates() -> None:
    image = Broadcast(3, 5)(torch.tensor([[7.0, 8.0], [1.0, 2.0]]))
    assert image.shape == (2, 4, 3, 5)
    assert torch.equal(image[1, :2], torch.tensor([1.0, 2.0])[:, None, None].expand(2, 3, 5))
    assert torch.equal(image[0, 2], torch.tensor([-1.0, 0.0, 1.0])[:, None].expand(3, 5))
    assert torch.equal(image[1, 3], torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]).expand(3, 5))


def test_attention_is_bahdanaus() -> None:
    torch.manual_seed(0)
    attention, state, memory = AdditiveAttention(4), torch.randn(2, 4), torch.randn(2, 3, 4)
    context, weights = attention(state, attention.keys(memory), memory)
    for b in range(2):
        scores = torch.stack(
            [
                attention.score.weight[0] @ torch.tanh(attention.query(state[b]) + attention.keys.weight @ m)
                for m in memory[b]
            ]
        )
        torch.testing.assert_close(weights[b], scores.exp() / scores.exp().sum())
        torch.testing.assert_close(context[b], (weights[b][:, None] * memory[b]).sum(dim=0))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))


def test_the_attention_decoder_sees_the_latents_only() -> None:
    decoder = make("attention_rnn", (1, 12, 9)).decoder
    codes = torch.randn(2, 3)
    torch.testing.assert_close(decoder(codes)[1:], decoder(codes[1:]))
    assert not torch.equal(decoder(codes)[0], decoder(codes)[1])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MLPEncoder((1, 4), 2, hidden=[]), "at least one layer"),
        (lambda: MLPDecoder(2, (1, 4), hidden=[0]), "at least one layer"),
        (lambda: Conv1dEncoder((1, 8, 8), 2), r"conv1d needs waveforms"),
        (lambda: Conv1dDecoder(2, (1, 64), kernel=15), r"kernel must be stride \(16\) or more, by an even number"),
        (lambda: Conv1dDecoder(2, (1, 64), channels=[]), r"must be at least 1 each"),
        (lambda: RNNEncoder((1, 64), 2), r"attention_rnn needs images"),
        (lambda: AttentionDecoder(2, (1, 8, 8), slots=0), r"at least 1, got 0"),
        (lambda: BroadcastDecoder(2, (1, 64)), r"broadcast needs images"),
        (lambda: BroadcastDecoder(2, (1, 8, 8), kernel=4), r"kernel must be odd, got 4"),
        (lambda: BroadcastDecoder(2, (1, 8, 8), channels=[]), r"at least one layer"),
    ],
)
def test_what_is_no_network_is_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
