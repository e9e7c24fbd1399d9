"""Lossy pictures in `.nlb`, format 3: a small header, since a picture may take less than a thousand bytes.

    magic 8 | version u16 | header length u32 | CRC-32 of the header u32 | header, JSON
    for each tile: bytes of its stream u32, CRC-32 of it u32, first 8 bytes of a SHA-256 over header and decoded pixels
    CRC-32 of this index u32 | the streams

All numbers are little-endian. Tiles are squares of `TILE` pixels, row after row, coded apart, so that memory is that of
one tile beside the picture itself.
"""

import dataclasses
import hashlib
import json
import struct
import zlib
from itertools import pairwise
from typing import Any

import numpy as np

from nelbo.codecs.message import DamagedError
from nelbo.core import InputError

MAGIC = b"\x93NELBO\r\n"
PICTURES = 3  # number of the format
TILE = 1024
_START = struct.Struct("<8sHII")
_ENTRY = struct.Struct("<II8s")
_SUM = struct.Struct("<I")
_MAX_HEADER, _MOST_PIXELS = 2**12, 2**30
_DIGEST = 8


@dataclasses.dataclass(frozen=True)
class PictureHeader:
    """What is in a file beside the streams.

    Args:
        shape: height, width and channels of the picture.
        step: log2 of the step in grey levels, in eighths.
        grey: whether only lightness is coded.
        model: the first digits of the SHA-256 of the model, hex.
    """

    shape: tuple[int, int, int]
    step: int
    grey: bool
    model: str

    def text(self) -> bytes:
        """As JSON."""
        record = {
            "codec": "picture",
            "grey": int(self.grey),
            "model": self.model,
            "shape": self.shape,
            "step": self.step,
        }
        return json.dumps(record, separators=(",", ":")).encode()

    def tiles(self) -> list[tuple[slice, slice]]:
        """Where each tile lies, row after row."""
        height, width, _ = self.shape
        return [
            (slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width)))
            for top in range(0, height, TILE)
            for left in range(0, width, TILE)
        ]

    def digest(self, pixels: np.ndarray) -> bytes:
        """What the index keeps of a tile's pixels."""
        return hashlib.sha256(self.text() + np.ascontiguousarray(pixels).tobytes()).digest()[:_DIGEST]


@dataclasses.dataclass(frozen=True)
class PictureFile:
    """A file whose header and sizes have been checked.

    Args:
        header: of the picture.
        streams: of its tiles; their checksums have been checked.
        digests: of their pixels.
    """

    header: PictureHeader
    streams: tuple[bytes, ...]
    digests: tuple[bytes, ...]


def pack_picture(header: PictureHeader, tiles: list[tuple[bytes, bytes]]) -> bytes:
    """The file of a header and its tiles: the stream and the digest of each."""
    text = header.text()
    index = b"".join(_ENTRY.pack(len(data), zlib.crc32(data), told) for data, told in tiles)
    start = _START.pack(MAGIC, PICTURES, len(text), zlib.crc32(text))
    return b"".join([start, text, index, _SUM.pack(zlib.crc32(index)), *(data for data, _ in tiles)])


def is_picture(data: bytes | memoryview) -> bool:
    """Whether a file is a lossy picture, by its first bytes."""
    return len(data) >= _START.size and bytes(data[:10]) == MAGIC + struct.pack("<H", PICTURES)


def unpack_picture(data: bytes | memoryview) -> PictureFile:
    """Read a file.

    Raises:
        InputError: no file of a picture, or a damaged one.
    """
    if not is_picture(data):
        raise InputError("This is no .nlb file of a picture: give one that `nelbo compress` wrote.")
    _, _, size, checksum = _START.unpack(bytes(data[: _START.size]))
    text = bytes(data[_START.size : _START.size + size]) if size <= _MAX_HEADER else b""
    if len(text) != size or zlib.crc32(text) != checksum:
        raise DamagedError("The file is damaged: its header's checksum differs; use another copy.")
    try:
        header = _header(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedError(f"The file is damaged: its header makes no sense ({error}); use another copy.") from error
    low = _START.size + size
    high = low + len(header.tiles()) * _ENTRY.size
    index, sign = bytes(data[low:high]), bytes(data[high : high + _SUM.size])
    if len(sign) != _SUM.size or _SUM.unpack(sign)[0] != zlib.crc32(index):
        raise DamagedError("The file is damaged: its index's checksum differs; use another copy.")
    entries = list(_ENTRY.iter_unpack(index))
    ends = np.cumsum([high + _SUM.size, *(entry[0] for entry in entries)]).tolist()
    if ends[-1] != len(data):
        raise DamagedError("The file is damaged: its sizes do not fit together; use another copy.")
    streams = tuple(bytes(data[a:b]) for a, b in pairwise(ends))
    for number, (stream, entry) in enumerate(zip(streams, entries, strict=True)):
        if zlib.crc32(stream) != entry[1]:
            raise DamagedError(f"Tile {number} of the file is damaged: its checksum differs; use another copy.")
    return PictureFile(header, streams, tuple(entry[2] for entry in entries))


def _header(record: Any) -> PictureHeader:
    """The header of a record, each field of its type and within its bounds."""
    height, width, channels = (_whole(side, 1, 2**24) for side in record["shape"])
    if record["codec"] != "picture" or channels not in (1, 3) or height * width > _MOST_PIXELS:
        raise ValueError(f"{record['codec']!r}, {record['shape']!r} is out of range")
    model = record["model"]
    if not isinstance(model, str) or len(model) != 16:
        raise ValueError(f"{model!r} is out of range")
    return PictureHeader(
        (height, width, channels), _whole(record["step"], 0, 64), bool(_whole(record["grey"], 0, 1)), model
    )


def _whole(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{value!r} is out of range")
    return value
