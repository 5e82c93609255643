"""Recurrent networks over a spectrogram's frames, the decoder with additive attention (Bahdanau et al. 2015)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from disentone.models.checks import check_spectrogram
from disentone.shapes import Codes, Image

Frames = Float[Tensor, "batch frame feature"]
Memory = Float[Tensor, "batch slot hidden"]
State = Float[Tensor, "batch hidden"]


class RNNEncoder(nn.Module):
    """A bidirectional GRU (Cho et al. 2014) over frames; its two last states become the features.

    Args:
        shape: of one image, (channel, bin, frame).
        outputs: features per image.
        hidden: units of each direction.

    Raises:
        ValueError: for an image that is no spectrogram, or no units.

    """

    def __init__(self, shape: Sequence[int], outputs: int, hidden: int = 128) -> None:
        super().__init__()
        _check(shape, hidden)
        self.gru = nn.GRU(shape[0] * shape[1], hidden, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * hidden, outputs)

    def forward(self, image: Image) -> Float[Tensor, "batch output"]:
        """Features of each image."""
        _, last = self.gru(image.flatten(1, 2).transpose(1, 2))
        return self.output(torch.cat([last[0], last[1]], dim=1))


class AttentionDecoder(nn.Module):
    """A GRU that writes frame after frame, at each looking into a memory that was made from the latents alone.

    Bahdanau's decoder attends to the encoder's states. In an autoencoder that would lead past the latents, so here
    the latents are unfolded into ``slots`` memory entries, and each step attends to these. Its own last frame is
    its input while training too: what is decoded depends on the latents only.

    Args:
        latents: how many.
        shape: of one image, (channel, bin, frame).
        hidden: units of the state and of a memory entry.
        slots: memory entries.

    Raises:
        ValueError: for an image that is no spectrogram, or no units or slots.

    """

    def __init__(self, latents: int, shape: Sequence[int], hidden: int = 128, slots: int = 16) -> None:
        super().__init__()
        _check(shape, min(hidden, slots))
        self.shape = tuple(shape)
        features = shape[0] * shape[1]
        self.memory = nn.Sequential(nn.Linear(latents, slots * hidden), nn.Tanh(), nn.Unflatten(1, (slots, hidden)))
        self.start = nn.Sequential(nn.Linear(latents, hidden), nn.Tanh())
        self.attention = AdditiveAttention(hidden)
        self.cell = nn.GRUCell(features + hidden, hidden)
        self.frame = nn.Linear(2 * hidden, features)

    def forward(self, codes: Codes) -> Image:
        """The likelihood's parameters of each code."""
        memory, state = self.memory(codes), self.start(codes)
        keys = self.attention.keys(memory)
        frame = codes.new_zeros(len(codes), self.shape[0] * self.shape[1])
        frames = []
        for _ in range(self.shape[2]):
            context = self.attention(state, keys, memory)[0]
            state = self.cell(torch.cat([frame, context], dim=1), state)
            frame = self.frame(torch.cat([state, context], dim=1))
            frames.append(frame)
        return torch.stack(frames, dim=2).view(-1, *self.shape)


class AdditiveAttention(nn.Module):
    """Weights softmax_j(v . tanh(W state + U memory_j)), and the memory's mean under them.

    Args:
        hidden: units of state, memory and score.

    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, hidden)
        self.keys = nn.Linear(hidden, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, state: State, keys: Memory, memory: Memory) -> tuple[State, Float[Tensor, "batch slot"]]:
        """The context and the weights; ``keys`` are ``self.keys(memory)``, the same at every step."""
        weights = self.score(torch.tanh(self.query(state)[:, None] + keys))[..., 0].softmax(dim=1)
        return torch.einsum("bs,bsh->bh", weights, memory), weights


def _check(shape: Sequence[int], least: int) -> None:
    check_spectrogram("attention_rnn", shape)
    if least < 1:
        raise ValueError(f"hidden and slots must be at least 1, got {least}")
