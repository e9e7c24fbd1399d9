"""Pictures in `.nlb`, format 3: a small header, since a picture may take less than a thousand bytes.

The frame is that of `framing.py`, with a stream for each tile; the digest of a tile is over header and decoded pixels.
Tiles are squares of `TILE` pixels, row after row, coded apart, so that memory is that of one tile beside the picture
itself.
"""

import dataclasses
import hashlib
import json
import struct
from typing import Any

import numpy as np

from nelbo.codecs.framing import DIGEST, has_format, pack_frame, unpack_frame, whole
from nelbo.codecs.message import DamagedError

PICTURES = 3  # number of the format
TILE = 1024
_MAX_HEADER, _MOST_PIXELS = 2**12, 2**30
_NAME = 16  # digits of a digest in a header
_LENGTH = struct.Struct("<I")


@dataclasses.dataclass(frozen=True)
class PictureHeader:
    """What is in a file beside the streams.

    Args:
        shape: height, width and channels of the picture.
        step: log2 of the step in grey levels, in eighths.
        grey: whether only lightness is coded.
        model: the first digits of the SHA-256 of the model, hex.
        chained: whether all tiles are one message, which is the first one's stream; the others have none.
        residual: the first digits of the SHA-256 of the networks that code what a picture has more than its lossy code,
            hex; "" of lossy files. Each stream then begins with the length of its lossy part.
        sure: whether numbers of very small scales are coded too.
    """

    shape: tuple[int, int, int]
    step: int
    grey: bool
    model: str
    chained: bool = False
    residual: str = ""
    sure: bool = False

    def text(self) -> bytes:
        """As JSON."""
        record = {
            "codec": "picture",
            "grey": int(self.grey),
            "model": self.model,
            "shape": self.shape,
            "step": self.step,
            **({"chain": 1} if self.chained else {}),
            **({"residual": self.residual} if self.residual else {}),
            **({"sure": 1} if self.sure else {}),
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
        return hashlib.sha256(self.text() + np.ascontiguousarray(pixels).tobytes()).digest()[:DIGEST]


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
    return pack_frame(PICTURES, header.text(), tiles)


def joined(lossy: bytes, more: bytes) -> bytes:
    """The stream of a tile without loss."""
    return _LENGTH.pack(len(lossy)) + lossy + more


def parted(stream: bytes) -> tuple[bytes, bytes]:
    """The lossy part of a stream without loss, and what is more.

    Raises:
        DamagedError: no such stream.
    """
    (size,) = _LENGTH.unpack(stream[: _LENGTH.size].ljust(_LENGTH.size, b"\xff"))
    if size > len(stream) - _LENGTH.size:
        raise DamagedError("its parts do not fit together")
    return stream[_LENGTH.size : _LENGTH.size + size], stream[_LENGTH.size + size :]


def is_picture(data: bytes | memoryview) -> bool:
    """Whether a file is a picture, by its first bytes."""
    return has_format(data, PICTURES)


def unpack_picture(data: bytes | memoryview) -> PictureFile:
    """Read a file.

    Raises:
        InputError: no file of a picture, or a damaged one.
    """
    return PictureFile(*unpack_frame(data, PICTURES, "picture", _header, most_header=_MAX_HEADER, name="Tile"))


def _header(record: Any) -> tuple[PictureHeader, int]:
    """The header of a record, each field of its type and within its bounds, and how many tiles there are."""
    height, width, channels = (whole(side, 1, 2**24) for side in record["shape"])
    if record["codec"] != "picture" or channels not in (1, 3) or height * width > _MOST_PIXELS:
        raise ValueError(f"{record['codec']!r}, {record['shape']!r} is out of range")
    model, residual = record["model"], record.get("residual", "")
    if not isinstance(model, str) or len(model) != _NAME:
        raise ValueError(f"{model!r} is out of range")
    if not isinstance(residual, str) or len(residual) not in (0, _NAME):
        raise ValueError(f"{residual!r} is out of range")
    shape = (height, width, channels)
    grey, chained = bool(whole(record["grey"], 0, 1)), bool(whole(record.get("chain", 0), 0, 1))
    sure = bool(whole(record.get("sure", 0), 0, 1))
    header = PictureHeader(shape, whole(record["step"], 0, 64), grey, model, chained, residual, sure)
    return header, len(header.tiles())
