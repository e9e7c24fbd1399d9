"""Bytes: every fitted model as a lossless code, by bits back (Townsend et al. 2019; Kingma et al. 2019)."""

from nelbo.codecs.block import BlockCoder, Coded
from nelbo.codecs.codec import Codec, Table, bits_back, conditional, repeat, sequence, tabled
from nelbo.codecs.container import VERSION, Container, Entry, Header, pack, unpack
from nelbo.codecs.kinds import KINDS, Kind, kind_of
from nelbo.codecs.lossless import compress, decoded, decompress, describe, model_digest
from nelbo.codecs.message import DamagedError, Message
from nelbo.codecs.networks import Networks, Node, Stage, schedule
from nelbo.codecs.rounding import Rounding
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
    "KINDS",
    "VERSION",
    "Bins",
    "Bits",
    "BlockCoder",
    "Codec",
    "Coded",
    "Container",
    "DamagedError",
    "Entry",
    "Header",
    "Kind",
    "LocationScale",
    "Message",
    "Networks",
    "Node",
    "Rounding",
    "Rows",
    "Stage",
    "Table",
    "Uniform",
    "beta_binomial_weights",
    "bits_back",
    "compress",
    "conditional",
    "decoded",
    "decompress",
    "describe",
    "from_weights",
    "kind_of",
    "level_bins",
    "model_digest",
    "pack",
    "quantile_bins",
    "repeat",
    "schedule",
    "sequence",
    "tabled",
    "uniform_bins",
    "unpack",
]
