"""The `.nlb` container: what is in a compressed file, written and read with every size checked before it is used.

    magic 8 | version u16 | header length u32 | CRC-32 of the header u32 | header, JSON
    block index: for each block examples u32, bytes of message u32, bytes of roundings u32, CRC-32 of both u32,
                 first 8 bytes of a SHA-256 over what the header says of decoding and the decoded values
    CRC-32 of the index u32 | the model's file, where it is inside | the blocks | SHA-256 of all before

All numbers are little-endian. In format 1, which is still read, that SHA-256 is over the decoded values alone, the
model's digest is another one, and there is no context.
"""

import dataclasses
import hashlib
import json
import math
import struct
import zlib
from typing import Any

import numpy as np

from nelbo.codecs.message import MAX_LANES, PRECISION, DamagedError
from nelbo.codecs.tables import MAX_EDGE
from nelbo.core import InputError

MAGIC = b"\x93NELBO\r\n"
FORMAT = 2
READABLE = (1, FORMAT)
FORMS = ("whole", "unit")
MAX_BATCH = 4096
MAX_BLOCK_SYMBOLS = 2**25  # of one block, so that decoding one takes bounded memory
_MAX_HEADER, _MAX_BLOCKS = 2**20, 2**20
_START = struct.Struct("<8sHII")
_ENTRY = struct.Struct("<IIII8s")
_SUM = struct.Struct("<I")
_DIGEST = 32
_DTYPES = frozenset({"|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8",
                     ">u2", ">i2", ">u4", ">i4", ">u8", ">i8", ">f2", ">f4", ">f8"})  # fmt: skip
Data = bytes | memoryview


@dataclasses.dataclass(frozen=True)
class Header:
    """Everything that a reader must know beside the model.

    Args:
        model: SHA-256 of the model, hex.
        shape: of the array.
        dtype: of the array, as NumPy writes it.
        form: "whole" if the array holds the symbols, "unit" if it holds symbols / 255.
        batch: examples at once through the networks.
        lanes: of the message at most, a power of two.
        grids: first edge and width of the bins of normal layers with parents, by node.
        model_bytes: length of the model's file inside, or 0.
        version: of nelbo, for people.
        context: SHA-256 of what the examples are conditioned on, hex, or None.
        format: number of the format.
    """

    model: str
    shape: tuple[int, ...]
    dtype: str
    form: str
    batch: int
    lanes: int
    grids: dict[int, tuple[float, float]]
    model_bytes: int
    version: str
    context: str | None = None
    format: int = FORMAT

    def record(self) -> dict[str, Any]:
        """As JSON."""
        found = {name: value for name, value in dataclasses.asdict(self).items() if name not in {"grids", "format"}}
        if self.format == 1:
            del found["context"]
        return {**found, "grids": {str(node): list(grid) for node, grid in self.grids.items()}, "precision": PRECISION}

    def bound(self, first: int) -> bytes:
        """What a block's digest is over beside its values: all that its decoding depends on; nothing in format 1.

        Args:
            first: number of the block's first example.
        """
        if self.format == 1:
            return b""
        told = {name: value for name, value in self.record().items() if name not in {"model_bytes", "version"}}
        return json.dumps({**told, "first": first}, sort_keys=True).encode()

    @property
    def units(self) -> int:
        """Symbols of an example."""
        return math.prod(self.shape[1:])


@dataclasses.dataclass(frozen=True)
class BlockEntry:
    """One block in the index.

    Args:
        examples: in it.
        message: bytes.
        roundings: bytes.
        checksum: CRC-32 of both.
        digest: see `digest`.
    """

    examples: int
    message: int
    roundings: int
    checksum: int
    digest: bytes


@dataclasses.dataclass(frozen=True)
class Container:
    """A compressed file, with its header and index read and checked.

    Args:
        data: the whole file.
        header: what is in it.
        entries: the block index.
        start: where the model's file begins.
    """

    data: Data
    header: Header
    entries: tuple[BlockEntry, ...]
    start: int

    @property
    def model_file(self) -> bytes | None:
        """The model's file, if it is inside."""
        size = self.header.model_bytes
        return bytes(self.data[self.start : self.start + size]) if size else None

    def block(self, number: int) -> tuple[bytes, bytes]:
        """Message and roundings of a block.

        Raises:
            DamagedError: they are not what was written.
        """
        before = self.entries[:number]
        low = self.start + self.header.model_bytes + sum(one.message + one.roundings for one in before)
        own = self.entries[number]
        found = bytes(self.data[low : low + own.message + own.roundings])
        if zlib.crc32(found) != own.checksum:
            raise DamagedError(f"Block {number} of the file is damaged: its checksum differs; use another copy.")
        return found[: own.message], found[own.message :]

    def check(self) -> None:
        """See whether the whole file is what was written.

        Raises:
            DamagedError: it is not; the first damaged block is named, if it is one.
        """
        if hashlib.sha256(self.data[:-_DIGEST]).digest() != bytes(self.data[-_DIGEST:]):
            for number in range(len(self.entries)):
                self.block(number)
            raise DamagedError("The file is damaged: its checksum differs; use another copy.")


def digest(values: np.ndarray, bound: bytes) -> bytes:
    """What the index keeps of a block.

    Args:
        values: decoded.
        bound: see `Header.bound`.
    """
    return hashlib.sha256(bound + np.ascontiguousarray(values).tobytes()).digest()[:8]


def pack(header: Header, blocks: list[tuple[BlockEntry, bytes, bytes]], model_file: bytes = b"") -> bytes:
    """The file of a header, its blocks (entry, message, roundings) and maybe the model's file."""
    text = json.dumps({**header.record(), "blocks": len(blocks)}, sort_keys=True).encode()
    index = b"".join(_ENTRY.pack(*dataclasses.astuple(entry)) for entry, _, _ in blocks)
    parts = [_START.pack(MAGIC, header.format, len(text), zlib.crc32(text)), text, index, _SUM.pack(zlib.crc32(index)),
             model_file, *(message + roundings for _, message, roundings in blocks)]  # fmt: skip
    whole = b"".join(parts)
    return whole + hashlib.sha256(whole).digest()


def unpack(data: Data) -> Container:
    """Read header and index; the blocks stay as they are.

    Raises:
        InputError: no `.nlb` file, one of a newer version, or a damaged one.
    """
    if len(data) < len(MAGIC) or bytes(data[: len(MAGIC)]) != MAGIC:
        raise InputError("This is no .nlb file: give one that `nelbo compress` wrote.")
    if len(data) < _START.size + _SUM.size + _DIGEST:
        raise DamagedError("The file is damaged: it ends too early; use another copy.")
    _, version, size, checksum = _START.unpack(bytes(data[: _START.size]))
    if version not in READABLE:
        raise InputError(
            f"The file has format {version}, this nelbo reads {' and '.join(map(str, READABLE))}: update nelbo."
        )
    text = bytes(data[_START.size : _START.size + size]) if size <= _MAX_HEADER else b""
    if len(text) != size or zlib.crc32(text) != checksum:
        raise DamagedError("The file is damaged: its header's checksum differs; use another copy.")
    try:
        record = json.loads(text)
        header, blocks = _header(record, version), record["blocks"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedError(f"The file is damaged: its header makes no sense ({error}); use another copy.") from error
    low = _START.size + size
    entries = _entries(data, low, blocks)
    start = low + len(entries) * _ENTRY.size + _SUM.size
    _check_sizes(header, entries, len(data) - start - _DIGEST)
    return Container(data, header, entries, start)


def _header(record: dict[str, Any], version: int) -> Header:
    """The header of a record of a format, each field of its type and within its bounds."""
    whole = lambda value, low, high: _within(type(value) is int and low <= value <= high, value)  # noqa: E731
    shape = tuple(whole(side, 0, 2**40) for side in record["shape"])
    _within(1 <= len(shape) <= 16 and math.prod(shape[1:]) <= MAX_BLOCK_SYMBOLS, shape)
    lanes = whole(record["lanes"], 1, MAX_LANES)
    _within(lanes & (lanes - 1) == 0, lanes)
    _within(record["precision"] == PRECISION, record["precision"])
    whole(record["blocks"], 0, _MAX_BLOCKS)
    return Header(
        model=_sha256(record["model"]),
        shape=shape,
        dtype=_within(record["dtype"] in _DTYPES, record["dtype"]),
        form=_within(record["form"] in FORMS, record["form"]),
        batch=whole(record["batch"], 1, MAX_BATCH),
        lanes=lanes,
        grids={int(node): _grid(*grid) for node, grid in record["grids"].items()},
        model_bytes=whole(record["model_bytes"], 0, 2**40),
        version=str(record["version"])[:100],
        context=None if version == 1 or record["context"] is None else _sha256(record["context"]),
        format=version,
    )


def _sha256(text: Any) -> str:
    return _within(isinstance(text, str) and len(text) == 64, text)


def _grid(low: float, width: float) -> tuple[float, float]:
    _within(abs(low) <= MAX_EDGE and 1.0 / MAX_EDGE <= width <= MAX_EDGE, (low, width))
    return float(low), float(width)


def _within(good: bool, value: Any) -> Any:  # noqa: FBT001 (a check, not a switch)
    if not good:
        raise ValueError(f"{value!r} is out of range")
    return value


def _entries(data: Data, low: int, count: int) -> tuple[BlockEntry, ...]:
    high = low + count * _ENTRY.size
    if high + _SUM.size > len(data):
        raise DamagedError("The file is damaged: it ends too early; use another copy.")
    index = bytes(data[low:high])
    if _SUM.unpack(bytes(data[high : high + _SUM.size]))[0] != zlib.crc32(index):
        raise DamagedError("The file is damaged: its index's checksum differs; use another copy.")
    return tuple(BlockEntry(*fields) for fields in _ENTRY.iter_unpack(index))


def _check_sizes(header: Header, entries: tuple[BlockEntry, ...], left: int) -> None:
    taken = header.model_bytes + sum(one.message + one.roundings for one in entries)
    examples = sum(one.examples for one in entries)
    large = any(one.examples * header.units > MAX_BLOCK_SYMBOLS or not one.examples for one in entries)
    if taken != left or examples != header.shape[0] or large:
        raise DamagedError("The file is damaged: its sizes do not fit together; use another copy.")
