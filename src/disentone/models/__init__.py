"""Autoencoders with Gaussian, point or quantised codes; pairs of encoder and decoder, one file each; likelihoods."""

from disentone.models.attention_rnn import AttentionDecoder, RNNEncoder
from disentone.models.broadcast import BroadcastDecoder
from disentone.models.conv1d import Conv1dDecoder, Conv1dEncoder
from disentone.models.conv2d import ConvDecoder, ConvEncoder
from disentone.models.latent import GaussianLatent, Latent, PointLatent, QuantisedLatent
from disentone.models.likelihoods import Bernoulli, Gaussian, Laplace, LearnedGaussian, Likelihood
from disentone.models.mlp import MLPDecoder, MLPEncoder
from disentone.models.model import Model
from disentone.models.point import PointAutoencoder
from disentone.models.quantised import QuantisedAutoencoder
from disentone.models.vae import VAE
from disentone.models.whitened_mlp import WhitenedMLP

__all__ = [
    "VAE",
    "AttentionDecoder",
    "Bernoulli",
    "BroadcastDecoder",
    "Conv1dDecoder",
    "Conv1dEncoder",
    "ConvDecoder",
    "ConvEncoder",
    "Gaussian",
    "GaussianLatent",
    "Laplace",
    "Latent",
    "LearnedGaussian",
    "Likelihood",
    "MLPDecoder",
    "MLPEncoder",
    "Model",
    "PointAutoencoder",
    "PointLatent",
    "QuantisedAutoencoder",
    "QuantisedLatent",
    "RNNEncoder",
    "WhitenedMLP",
]
