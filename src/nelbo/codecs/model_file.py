"""Fitted models in few bits: `.nlb`, format 4.

The frame is that of `framing.py`, with two streams:

    0   zlib: a table of arrays (name, shape, type, whether it is quantized) in JSON behind its length u32; location and
        scale of each quantized array, float32; frequencies of the classes of each group, u16; all other arrays as they
        are
    1   the fractions of the quantized arrays, words of an ANS coder: for each group the classes, then more digits

Small arrays share one group's frequencies, each large one has its own. The digest of both is over the header and the
bytes of all decoded arrays.
"""

import dataclasses
import hashlib
import json
import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from constriction import stream  # pyright: ignore[reportAttributeAccessIssue]

from nelbo.codecs.framing import DIGEST, has_format, pack_frame, unpack_frame, whole
from nelbo.codecs.message import DamagedError
from nelbo.codecs.variational_quantization import (
    CLASSES,
    class_of,
    frequencies,
    index_of,
    level_of,
    points,
    quantized,
    raw_bits,
    values,
)
from nelbo.core import InputError

MODELS = 4  # number of the format
_MAX_HEADER, _MAX_TABLE, _MOST_NUMBERS = 2**20, 2**24, 2**28
_OWN_GROUP = 2048  # numbers from which an array has frequencies of its own
_TOTAL = 1 << 16
_LENGTH = struct.Struct("<I")
_KINDS = frozenset({"bool", "uint8", "int32", "uint32", "int64", "float16", "float32", "float64"})
_AnsCoder = stream.stack.AnsCoder
_Uniform = stream.model.Uniform


@dataclasses.dataclass(frozen=True)
class ModelHeader:
    """What is in a file beside the streams.

    Args:
        head: of the `.safetensors` file that it gives back.
        trade: nats of squared error in widths that a nat of code was worth.
    """

    head: Mapping[str, Any]
    trade: float

    def text(self) -> bytes:
        """As JSON."""
        record = {"codec": "model", "head": dict(self.head), "trade": self.trade}
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


@dataclasses.dataclass(frozen=True)
class _Array:
    """One array in the table."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantized: bool

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def _groups(arrays: list[_Array]) -> list[list[_Array]]:
    """Quantized arrays that share frequencies: all small ones together, first."""
    own = [one for one in arrays if one.quantized]
    small = [one for one in own if one.size < _OWN_GROUP]
    return [*([small] if small else []), *([one] for one in own if one.size >= _OWN_GROUP)]


@dataclasses.dataclass(frozen=True)
class QuantizedArrays:
    """Arrays whose numbers are fractions of their priors.

    Args:
        arrays: as they come back, by name.
        index: fractions of those that are quantized, by name, flat.
        priors: location and scale of those, by name.
        bits: that all fractions take together, by their frequencies.
        excess: sum of squared errors over twice the squared widths [nats]: what a normal posterior says that the data
            set's bound loses.
    """

    arrays: Mapping[str, np.ndarray]
    index: Mapping[str, np.ndarray]
    priors: Mapping[str, tuple[np.float32, np.float32]]
    bits: float
    excess: float

    @property
    def count(self) -> int:
        """How many numbers are quantized."""
        return sum(one.size for one in self.index.values())


def quantize_arrays(
    arrays: Mapping[str, np.ndarray], widths: Mapping[str, np.ndarray], trade: float
) -> QuantizedArrays:
    """Arrays of float32 in few digits, by the widths of their posterior.

    The prior of an array is a normal with its mean and deviation, or a wider one where it has far outliers.

    Args:
        arrays: by name.
        widths: posterior standard deviations of those that are to be quantized, by name.
        trade: nats of squared error in widths that a nat of code is worth, above zero: at 1 the code of the array and
            the loss that a normal posterior predicts are least together.

    Raises:
        InputError: numbers or widths that are not finite.
    """
    table = _table(arrays, widths)
    back, index, priors, bits, excess = dict(arrays), {}, {}, 0.0, 0.0
    for group in _groups(table):
        means, spans = [], []
        for one in group:
            x, width = arrays[one.name].astype(float).ravel(), widths[one.name].astype(float).ravel()
            if not np.isfinite(x).all() or not np.isfinite(width).all() or not (width > 0).all():
                raise InputError(f"The model's array {one.name.lstrip('.')} or its posterior is not finite: it has "
                                 "diverged, so fit it again.")  # fmt: skip
            priors[one.name] = location, scale = _prior(x)
            means.append((x - float(location)) / float(scale))
            spans.append(width / float(scale))
        found = quantized(np.concatenate(means), np.concatenate(spans), trade)
        bits += float(found.bits.sum())
        for one, part in zip(group, np.split(found.index, np.cumsum([m.size for m in means])[:-1]), strict=True):
            own = values(part, *priors[one.name])
            error = (own.astype(float) - arrays[one.name].ravel()) / widths[one.name].ravel()
            index[one.name], excess = part, excess + 0.5 * float((error**2).sum())
            back[one.name] = own.reshape(one.shape)
    return QuantizedArrays(back, index, priors, bits, excess)


def _prior(x: np.ndarray) -> tuple[np.float32, np.float32]:
    if not x.size:
        return np.float32(0.0), np.float32(1.0)
    location = np.float32(x.mean())
    away = np.abs(x - float(location))
    scale = np.float32(max(math.sqrt(float((away**2).mean())), float(away.max()) / float(points()[-2])))
    return location, scale if scale > 0 else np.float32(1.0)


def _table(arrays: Mapping[str, np.ndarray], widths: Mapping[str, np.ndarray]) -> list[_Array]:
    found = []
    for name in sorted(arrays):
        own = arrays[name]
        if own.dtype.name not in _KINDS or (name in widths and own.dtype != np.float32):
            raise InputError(f"The model's array {name.lstrip('.')} is of type {own.dtype}, which is not quantized.")
        found.append(_Array(name, tuple(own.shape), own.dtype.name, name in widths))
    return found


def pack_model(head: Mapping[str, Any], found: QuantizedArrays, trade: float) -> bytes:
    """The file of a model.

    Args:
        head: of its `.safetensors` file, JSON.
        found: its arrays.
        trade: that they were quantized with.
    """
    header = ModelHeader(head, float(trade))
    table = _table(found.arrays, found.index)
    told = json.dumps([[one.name, one.shape, one.dtype, int(one.quantized)] for one in table]).encode()
    side, coder = [_LENGTH.pack(len(told)), told], _AnsCoder()
    side += [np.array(found.priors[one.name], "<f4").tobytes() for one in table if one.quantized]
    groups = [np.concatenate([found.index[one.name] for one in group]) for group in _groups(table)]
    masses = [_masses(frequencies(index)) for index in groups]
    side += [(own - 1).astype("<u2").tobytes() for own in masses]
    side += [_little(found.arrays[one.name]).tobytes() for one in table if not one.quantized]
    for index, own in reversed(list(zip(groups, masses, strict=True))):
        classes = class_of(index)
        digits = raw_bits(classes)
        long = digits > 0
        rest = (index >> (12 - level_of(index)))[long]
        coder.encode_reverse(rest.astype(np.int32), _Uniform(), (1 << digits[long]).astype(np.int32))
        coder.encode_reverse(classes.astype(np.int32), _model(own))
    streams = [zlib.compress(b"".join(side), 9), coder.get_compressed().astype("<u4").tobytes()]
    sign = _digest(header, found.arrays)
    return pack_frame(MODELS, header.text(), [(one, sign) for one in streams])


def unpack_model(data: bytes | memoryview) -> tuple[dict[str, np.ndarray], Mapping[str, Any]]:
    """The arrays of a model by name, and the head of its `.safetensors` file.

    Raises:
        InputError: no such file, or a damaged one.
    """
    header, streams, digests = _unpacked(data)
    try:
        arrays = _decoded(*streams)
    except DamagedError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AssertionError, zlib.error, struct.error) as error:
        raise DamagedError(f"The file is damaged: it cannot be decoded ({error}); use another copy.") from error
    if any(_digest(header, arrays) != own for own in digests):
        raise DamagedError("The file is damaged: it decodes to other numbers than were coded; use another copy.")
    return arrays, header.head


def is_model(data: bytes | memoryview) -> bool:
    """Whether a file is a model in few bits, by its first bytes."""
    return has_format(data, MODELS)


def describe_model(data: bytes | memoryview) -> dict[str, Any]:
    """What a `.nlb` file of a model says about itself: JSON-able.

    Raises:
        InputError: no such file, or damaged.
    """
    header, streams, _ = _unpacked(data)
    table, _ = _read_table(_inflated(streams[0]))
    count = sum(one.size for one in table if one.quantized)
    spec = header.head.get("spec")
    return {
        "format": MODELS,
        "codec": "model",
        "model": spec.get("name") if isinstance(spec, dict) else None,
        "arrays": len(table),
        "quantized_numbers": count,
        "other_numbers": sum(one.size for one in table) - count,
        "trade": header.trade,
        "bytes": len(data),
        "bits_per_weight": 8 * len(data) / max(count, 1),
    }


def _unpacked(data: bytes | memoryview) -> tuple[ModelHeader, tuple[bytes, ...], tuple[bytes, ...]]:
    return unpack_frame(data, MODELS, "model", _header, most_header=_MAX_HEADER, name="Stream")


def _header(record: Any) -> tuple[ModelHeader, int]:
    if record["codec"] != "model" or not isinstance(record["head"], dict) or not 0 < float(record["trade"]) < math.inf:
        raise ValueError(f"{record['codec']!r}, {record['trade']!r} is out of range")
    return ModelHeader(record["head"], float(record["trade"])), 2


def _inflated(data: bytes) -> bytes:
    """What zlib wrote, if it is not too long."""
    most = 4 * _MOST_NUMBERS
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(data, most)
    except zlib.error as error:
        raise DamagedError(f"The file is damaged: it cannot be decoded ({error}); use another copy.") from error
    if reader.unconsumed_tail or not reader.eof:
        raise DamagedError("The file is damaged: a stream of it is too long or cut off; use another copy.")
    return found


def _read_table(side: bytes) -> tuple[list[_Array], int]:
    """The arrays, and where the table ends."""
    try:
        (size,) = _LENGTH.unpack(side[: _LENGTH.size])
        if size > _MAX_TABLE:
            raise ValueError("its table is too long")
        rows = json.loads(side[_LENGTH.size : _LENGTH.size + size])
        table = [_row(*row) for row in rows]
    except (ValueError, TypeError, RecursionError, struct.error) as error:
        raise DamagedError(f"The file is damaged: its table makes no sense ({error}); use another copy.") from error
    if sum(one.size for one in table) > _MOST_NUMBERS:
        raise DamagedError("The file is damaged: its arrays are too large; use another copy.")
    return table, _LENGTH.size + size


def _row(name: Any, shape: Any, dtype: Any, chosen: Any) -> _Array:
    if not isinstance(name, str) or dtype not in _KINDS:
        raise ValueError(f"{name!r}, {dtype!r} is out of range")
    return _Array(name, tuple(whole(side, 0, _MOST_NUMBERS) for side in shape), dtype, bool(whole(chosen, 0, 1)))


def _decoded(side: bytes, words: bytes) -> dict[str, np.ndarray]:
    side = _inflated(side)
    table, low = _read_table(side)
    chosen, groups, arrays = [one for one in table if one.quantized], _groups(table), {}

    def take(count: int, dtype: str) -> np.ndarray:
        nonlocal low
        size = count * np.dtype(dtype).itemsize
        part, low = side[low : low + size], low + size
        return np.frombuffer(part, dtype)

    priors = dict(zip([one.name for one in chosen], take(2 * len(chosen), "<f4").reshape(-1, 2), strict=True))
    masses = take(CLASSES * len(groups), "<u2").astype(np.int64).reshape(-1, CLASSES) + 1
    if len(words) % 4 or not all(np.isfinite(prior).all() for prior in priors.values()):
        raise DamagedError("The file is damaged: a stream of it is of no possible length; use another copy.")
    for one in table:
        if not one.quantized:
            arrays[one.name] = (
                take(one.size, np.dtype(one.dtype).newbyteorder("<").str).reshape(one.shape).astype(one.dtype)
            )
    coder = _AnsCoder(np.frombuffer(words, "<u4").astype(np.uint32))
    for group, own in zip(groups, masses, strict=True):
        count = sum(one.size for one in group)
        classes = coder.decode(_model(own), count).astype(np.int64)
        digits, rest = raw_bits(classes), np.zeros(count, np.int64)
        rest[digits > 0] = coder.decode(_Uniform(), (1 << digits[digits > 0]).astype(np.int32))
        index = index_of(classes, rest)
        for one, part in zip(group, np.split(index, np.cumsum([o.size for o in group])[:-1]), strict=True):
            arrays[one.name] = values(part, *priors[one.name]).reshape(one.shape)
    if low != len(side) or not coder.is_empty():
        raise DamagedError("The file is damaged: something is left of it; use another copy.")
    return arrays


def _masses(counts: np.ndarray) -> np.ndarray:
    """Frequencies of classes from 1 to 2^16, as whole numbers."""
    return np.maximum(np.floor(counts * ((_TOTAL - 1) / max(int(counts.sum()), 1))).astype(np.int64), 1)


def _model(masses: np.ndarray) -> object:
    # whole numbers, so that the coder's own sums of them are exact
    return stream.model.Categorical(masses.astype(np.float64), perfect=False)


def _little(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).astype(x.dtype.newbyteorder("<"))


def _digest(header: ModelHeader, arrays: Mapping[str, np.ndarray]) -> bytes:
    found = hashlib.sha256(header.text())
    for name in sorted(arrays):
        found.update(f"{name}|{arrays[name].dtype.name}|{arrays[name].shape}|".encode())
        found.update(_little(arrays[name]).tobytes())
    return found.digest()[:DIGEST]
