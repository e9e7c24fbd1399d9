"""Arrays to arrays: perceptrons, convolutions, networks along time, for one example."""

from nelbo.nets.convolution import Conv, ConvDecoder, ConvEncoder, depth_to_space, space_to_depth
from nelbo.nets.dense import ACTIVATIONS, MLP, Dense, Frozen, Network, SkipMLP, activation, initial_weight, trainable
from nelbo.nets.lapped import LappedTransform, colour_matrix, cosine_matrix, lapping_matrix
from nelbo.nets.picture_transforms import (
    HYPER_LEVELS,
    MIDDLE_GREY,
    PICTURE_LEVELS,
    PICTURE_STARTS,
    USUAL_LOG_STEP,
    HyperAnalysis,
    HyperSynthesis,
    PictureAnalysis,
    PictureSynthesis,
    log_spreads,
)
from nelbo.nets.recurrent import BothWays, Recurrent
from nelbo.nets.sequences import FrameCodes, FrameEncoder, SeriesCode
from nelbo.nets.strided import DivisiveNorm, Down, Up
from nelbo.nets.temporal import TemporalNetwork, TimeConv

__all__ = [
    "ACTIVATIONS",
    "HYPER_LEVELS",
    "MIDDLE_GREY",
    "MLP",
    "PICTURE_LEVELS",
    "PICTURE_STARTS",
    "USUAL_LOG_STEP",
    "BothWays",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "Dense",
    "DivisiveNorm",
    "Down",
    "FrameCodes",
    "FrameEncoder",
    "Frozen",
    "HyperAnalysis",
    "HyperSynthesis",
    "LappedTransform",
    "Network",
    "PictureAnalysis",
    "PictureSynthesis",
    "Recurrent",
    "SeriesCode",
    "SkipMLP",
    "TemporalNetwork",
    "TimeConv",
    "Up",
    "activation",
    "colour_matrix",
    "cosine_matrix",
    "depth_to_space",
    "initial_weight",
    "lapping_matrix",
    "log_spreads",
    "space_to_depth",
    "trainable",
]
