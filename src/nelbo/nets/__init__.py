"""Arrays to arrays: perceptrons, convolutions, networks along time, for one example."""

from nelbo.nets.convolution import Conv, ConvDecoder, ConvEncoder, depth_to_space, space_to_depth
from nelbo.nets.dense import ACTIVATIONS, MLP, Dense, Frozen, Network, SkipMLP, activation, initial_weight, trainable
from nelbo.nets.temporal import TemporalNetwork, TimeConv

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "Dense",
    "Frozen",
    "Network",
    "SkipMLP",
    "TemporalNetwork",
    "TimeConv",
    "activation",
    "depth_to_space",
    "initial_weight",
    "space_to_depth",
    "trainable",
]
