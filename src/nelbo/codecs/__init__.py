"""Bytes: every fitted model as a lossless code, by bits back (Townsend et al. 2019; Kingma et al. 2019)."""

from nelbo.codecs.block import BlockCoder, Coded
from nelbo.codecs.codec import Codec, IntervalTable, bits_back, conditional, repeat, sequence, tabled
from nelbo.codecs.codings import CODINGS, Coding, coding_of
from nelbo.codecs.container import FORMAT, BlockEntry, Container, Header, pack, unpack
from nelbo.codecs.identity import model_digest
from nelbo.codecs.lossless import Layout, compress, decoded, decompress, describe, model_inside
from nelbo.codecs.message import DamagedError, Message
from nelbo.codecs.networks import Networks, Node, schedule
from nelbo.codecs.picture_file import is_picture
from nelbo.codecs.pictures import (
    QUALITY,
    PictureCodec,
    codec_from,
    compress_picture,
    decompress_picture,
    describe_picture,
    picture_codec,
)
from nelbo.codecs.rounding import Rounding
from nelbo.codecs.stages import Stage
from nelbo.codecs.tables import (
    Bins,
    Bits,
    LocationScale,
    Rows,
    Uniform,
    beta_binomial_weights,
    from_weights,
    level_bins,
    quantile_bins,
    uniform_bins,
)

__all__ = [
    "CODINGS",
    "FORMAT",
    "QUALITY",
    "Bins",
    "Bits",
    "BlockCoder",
    "BlockEntry",
    "Codec",
    "Coded",
    "Coding",
    "Container",
    "DamagedError",
    "Header",
    "IntervalTable",
    "Layout",
    "LocationScale",
    "Message",
    "Networks",
    "Node",
    "PictureCodec",
    "Rounding",
    "Rows",
    "Stage",
    "Uniform",
    "beta_binomial_weights",
    "bits_back",
    "codec_from",
    "coding_of",
    "compress",
    "compress_picture",
    "conditional",
    "decoded",
    "decompress",
    "decompress_picture",
    "describe",
    "describe_picture",
    "from_weights",
    "is_picture",
    "level_bins",
    "model_digest",
    "model_inside",
    "pack",
    "picture_codec",
    "quantile_bins",
    "repeat",
    "schedule",
    "sequence",
    "tabled",
    "uniform_bins",
    "unpack",
]
