"""Bytes: every fitted model as a lossless code, by bits back (Townsend et al. 2019; Kingma et al. 2019).

The names below are imported when they are first used: a picture is coded without waiting for JAX.
"""

from typing import TYPE_CHECKING

from nelbo._lazy import lazy

if TYPE_CHECKING:
    from nelbo.codecs.annealing import METHODS as METHODS
    from nelbo.codecs.annealing import AnnealingSchedule as AnnealingSchedule
    from nelbo.codecs.annealing import Gaps as Gaps
    from nelbo.codecs.annealing import annealed as annealed
    from nelbo.codecs.band_tables import STEP as STEP
    from nelbo.codecs.block import BlockCoder as BlockCoder
    from nelbo.codecs.block import Coded as Coded
    from nelbo.codecs.codec import Codec as Codec
    from nelbo.codecs.codec import IntervalTable as IntervalTable
    from nelbo.codecs.codec import bits_back as bits_back
    from nelbo.codecs.codec import conditional as conditional
    from nelbo.codecs.codec import repeat as repeat
    from nelbo.codecs.codec import sequence as sequence
    from nelbo.codecs.codec import tabled as tabled
    from nelbo.codecs.codings import CODINGS as CODINGS
    from nelbo.codecs.codings import Coding as Coding
    from nelbo.codecs.codings import coding_of as coding_of
    from nelbo.codecs.container import FORMAT as FORMAT
    from nelbo.codecs.container import BlockEntry as BlockEntry
    from nelbo.codecs.container import Container as Container
    from nelbo.codecs.container import Header as Header
    from nelbo.codecs.container import pack as pack
    from nelbo.codecs.container import unpack as unpack
    from nelbo.codecs.framing import MAGIC as MAGIC
    from nelbo.codecs.identity import model_digest as model_digest
    from nelbo.codecs.lossless import Layout as Layout
    from nelbo.codecs.lossless import compress as compress
    from nelbo.codecs.lossless import decoded as decoded
    from nelbo.codecs.lossless import decompress as decompress
    from nelbo.codecs.lossless import describe as describe
    from nelbo.codecs.lossless import model_inside as model_inside
    from nelbo.codecs.message import DamagedError as DamagedError
    from nelbo.codecs.message import Message as Message
    from nelbo.codecs.model_file import QuantizedArrays as QuantizedArrays
    from nelbo.codecs.model_file import describe_model as describe_model
    from nelbo.codecs.model_file import is_model as is_model
    from nelbo.codecs.model_file import pack_model as pack_model
    from nelbo.codecs.model_file import quantize_arrays as quantize_arrays
    from nelbo.codecs.model_file import unpack_model as unpack_model
    from nelbo.codecs.networks import Networks as Networks
    from nelbo.codecs.networks import Node as Node
    from nelbo.codecs.networks import schedule as schedule
    from nelbo.codecs.picture_file import is_picture as is_picture
    from nelbo.codecs.pictures import MOST_STEP as MOST_STEP
    from nelbo.codecs.pictures import QUALITY as QUALITY
    from nelbo.codecs.pictures import PictureCodec as PictureCodec
    from nelbo.codecs.pictures import codec_from as codec_from
    from nelbo.codecs.pictures import compress_picture as compress_picture
    from nelbo.codecs.pictures import decompress_picture as decompress_picture
    from nelbo.codecs.pictures import describe_picture as describe_picture
    from nelbo.codecs.pictures import picture_codec as picture_codec
    from nelbo.codecs.pictures import step_of as step_of
    from nelbo.codecs.rounding import Rounding as Rounding
    from nelbo.codecs.stages import Stage as Stage
    from nelbo.codecs.tables import Bins as Bins
    from nelbo.codecs.tables import Bits as Bits
    from nelbo.codecs.tables import LocationScale as LocationScale
    from nelbo.codecs.tables import Rows as Rows
    from nelbo.codecs.tables import Uniform as Uniform
    from nelbo.codecs.tables import beta_binomial_weights as beta_binomial_weights
    from nelbo.codecs.tables import from_weights as from_weights
    from nelbo.codecs.tables import level_bins as level_bins
    from nelbo.codecs.tables import quantile_bins as quantile_bins
    from nelbo.codecs.tables import uniform_bins as uniform_bins
    from nelbo.codecs.variational_quantization import quantized as quantized
    from nelbo.codecs.weights import laplace_widths as laplace_widths
    from nelbo.codecs.weights import posterior_widths as posterior_widths

_HOMES = {
    "Bins": "tables",
    "Bits": "tables",
    "BlockCoder": "block",
    "BlockEntry": "container",
    "CODINGS": "codings",
    "Codec": "codec",
    "Coded": "block",
    "Coding": "codings",
    "Container": "container",
    "DamagedError": "message",
    "FORMAT": "container",
    "Gaps": "annealing",
    "Header": "container",
    "IntervalTable": "codec",
    "Layout": "lossless",
    "LocationScale": "tables",
    "MAGIC": "framing",
    "METHODS": "annealing",
    "AnnealingSchedule": "annealing",
    "MOST_STEP": "pictures",
    "Message": "message",
    "Networks": "networks",
    "Node": "networks",
    "PictureCodec": "pictures",
    "QUALITY": "pictures",
    "QuantizedArrays": "model_file",
    "Rounding": "rounding",
    "Rows": "tables",
    "STEP": "band_tables",
    "Stage": "stages",
    "Uniform": "tables",
    "annealed": "annealing",
    "beta_binomial_weights": "tables",
    "bits_back": "codec",
    "codec_from": "pictures",
    "coding_of": "codings",
    "compress": "lossless",
    "compress_picture": "pictures",
    "conditional": "codec",
    "decoded": "lossless",
    "decompress": "lossless",
    "decompress_picture": "pictures",
    "describe": "lossless",
    "describe_model": "model_file",
    "describe_picture": "pictures",
    "from_weights": "tables",
    "is_model": "model_file",
    "is_picture": "picture_file",
    "laplace_widths": "weights",
    "level_bins": "tables",
    "model_digest": "identity",
    "model_inside": "lossless",
    "pack": "container",
    "pack_model": "model_file",
    "picture_codec": "pictures",
    "posterior_widths": "weights",
    "quantile_bins": "tables",
    "quantize_arrays": "model_file",
    "quantized": "variational_quantization",
    "repeat": "codec",
    "schedule": "networks",
    "sequence": "codec",
    "step_of": "pictures",
    "tabled": "codec",
    "uniform_bins": "tables",
    "unpack": "container",
    "unpack_model": "model_file",
}

__all__ = [*_HOMES]  # noqa: PLE0604 (all are strings)

__getattr__, __dir__ = lazy(__name__, _HOMES)
