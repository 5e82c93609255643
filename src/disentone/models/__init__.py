"""Variational autoencoders: encoders, decoders and likelihoods for images of any size."""

from disentone.models.decoders import ConvDecoder
from disentone.models.encoders import ConvEncoder
from disentone.models.likelihoods import Bernoulli, Gaussian, Laplace, LearnedGaussian, Likelihood
from disentone.models.vae import VAE

__all__ = [
    "VAE",
    "Bernoulli",
    "ConvDecoder",
    "ConvEncoder",
    "Gaussian",
    "Laplace",
    "LearnedGaussian",
    "Likelihood",
]
