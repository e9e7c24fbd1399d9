"""Arrays to bytes and back, with any fitted model."""

import hashlib
import math
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nelbo._version import __version__
from nelbo.codecs.block import BlockCoder, Coded
from nelbo.codecs.container import MAX_BATCH, MAX_BLOCK_SYMBOLS, Container, Data, Entry, Header, digest, pack, unpack
from nelbo.codecs.message import MAX_LANES, DamagedError
from nelbo.codecs.networks import Networks, Node, is_grey
from nelbo.core import InputError
from nelbo.models import Model, format1, load_model, named_arrays, save_model

BLOCK, BATCH, LANES = 16384, 128, 2048
Progress = Callable[[int], None]


def model_digest(model: Model) -> str:
    """SHA-256 of a model's options and of every array's name, type, shape and bytes, as format 1 has them, hex."""
    arrays = named_arrays(model)
    found = hashlib.sha256(b"" if model.spec is None else format1.digest_text(model.spec).encode())
    if model.spec is not None:
        arrays = format1.written(arrays, model.spec)
    for name in sorted(arrays):
        value = arrays[name]
        little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"))
        found.update(f"{name}|{little.dtype.str}|{value.shape}|".encode())
        found.update(little.tobytes())
    return found.hexdigest()


def compress(
    model: Model,
    x: np.ndarray,
    *,
    block: int = BLOCK,
    batch: int = BATCH,
    lanes: int = LANES,
    verify: bool = True,
    self_contained: bool = False,
    progress: Progress | None = None,
) -> bytes:
    """Code an array without loss, at a length near the model's negative ELBO.

    Args:
        model: any whose distributions have codecs.
        x: `(examples, *shape)`: 0 and 1 for a Bernoulli likelihood, else whole numbers 0 .. 255, of any type; or floats
            k / 255.
        block: examples that are coded together; each block can be read without the others. Large arrays of wide
            examples get smaller ones.
        batch: examples at once through the networks.
        lanes: symbols that go through the coder at once, at most, a power of two.
        verify: decode every block before it is kept.
        self_contained: put the model into the file too.
        progress: told how many examples are done.

    Returns:
        A whole `.nlb` file.

    Raises:
        InputError: data that the model cannot have made, or a model with a distribution that has no codec; with
            `verify`, a block that does not come back.
    """
    _check_sizes(block, batch, lanes)
    if x.ndim < 2 and not x.shape:
        raise InputError("A single number cannot be compressed: give an array of examples.")
    networks = Networks(model, _example_shape(model, tuple(x.shape[1:])), batch)
    coder, form = BlockCoder(networks, batch, lanes), _form(networks.nodes[0], x)
    rows = min(block, max(1, MAX_BLOCK_SYMBOLS // max(1, networks.nodes[0].units)))
    blocks: list[tuple[Entry, bytes, bytes]] = []
    for low in range(0, len(x), rows):
        part = x[low : low + rows]
        coded = coder.encode(_symbols(networks.nodes[0], form, part))
        if verify and not np.array_equal(_values(form, coder.decode(coded, len(part)), part), part):
            raise InputError(f"Block {len(blocks)} does not come back as it was on this machine: please report this.")
        blocks.append((_entry(coded, part), coded.message, coded.roundings))
        if progress is not None:
            progress(low + len(part))
    inside = _model_file(model) if self_contained else b""
    header = Header(model_digest(model), tuple(x.shape), x.dtype.str, form, batch, lanes, networks.grids, len(inside),
                    __version__)  # fmt: skip
    return pack(header, blocks, inside)


def _example_shape(model: Model, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that the model gives its examples, which may differ from the array's (28 x 28 x 1 for 28 x 28).

    Raises:
        InputError: examples of another size.
    """
    if model.spec is None:
        return shape
    own = model.spec.shape
    if math.prod(own) != math.prod(shape):
        raise InputError(
            f"The array has examples of shape {list(shape)}, but the model was fitted to {list(own)}: give data of "
            "that shape."
        )
    return own


def _check_sizes(block: int, batch: int, lanes: int) -> None:
    for name, value, most in (("block", block, 2**31), ("batch", batch, MAX_BATCH), ("lanes", lanes, MAX_LANES)):
        if not 1 <= value <= most:
            raise InputError(f"{name} must be a whole number from 1 to {most}, got {value}.")
    if lanes & (lanes - 1):
        raise InputError(f"lanes must be a power of two, got {lanes}.")


def _entry(coded: Coded, part: np.ndarray) -> Entry:
    both = zlib.crc32(coded.roundings, zlib.crc32(coded.message))
    return Entry(len(part), len(coded.message), len(coded.roundings), both, digest(part))


def _form(node: Node, x: np.ndarray) -> str:
    """How the array holds the symbols.

    Raises:
        InputError: it does not hold symbols of the model.
    """
    wanted = "0 and 1" if node.levels == 2 else f"whole numbers 0 .. {node.levels - 1}"
    if x.dtype.kind not in "buif" or x.dtype.itemsize > 8:
        raise InputError(f"An array of type {x.dtype} cannot be compressed: give {wanted}.")
    forms = ("whole", "unit") if node.levels == 256 else ("whole",)
    if x.dtype.kind == "f" and is_grey(node):
        forms = ("unit", "whole")  # zeros and ones alone are grey values to such a model
    for form in forms if x.dtype.kind == "f" else ("whole",):
        if all(_fits(node, form, part) for part in _pieces(x)):
            return form
    ways = f"{wanted}, or floats k / 255" if len(forms) > 1 and x.dtype.kind == "f" else wanted
    raise InputError(f"This model codes {ways}, but the array holds other values: give such data.")


def _pieces(x: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, 2**22 // max(1, x[:1].size))
    return (x[low : low + step] for low in range(0, len(x), step))


def _fits(node: Node, form: str, part: np.ndarray) -> bool:
    if not part.size:
        return True
    if part.dtype.kind == "f" and not np.isfinite(part).all():
        return False
    top = 1 if form == "unit" else node.levels - 1
    if part.min() < 0 or part.max() > top:
        return False
    back = _values(form, _symbols(node, form, part), part)
    return back.tobytes() == np.ascontiguousarray(part).tobytes()


def _symbols(node: Node, form: str, part: np.ndarray) -> np.ndarray:
    flat = part.reshape(len(part), node.units)
    return np.round(flat.astype(float) * 255.0).astype(np.int64) if form == "unit" else flat.astype(np.int64)


def _values(form: str, symbols: np.ndarray, like: Any) -> np.ndarray:
    """Symbols as an array of the shape and type of another."""
    flat = symbols / 255.0 if form == "unit" else symbols
    return flat.astype(like.dtype).reshape(like.shape)


def _model_file(model: Model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save_model(path := Path(folder) / "model.safetensors", model)
        return path.read_bytes()


def _model_inside(data: bytes) -> Model:
    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder) / "model.safetensors").write_bytes(data)
        return load_model(path)


def decompress(data: Data, model: Model | None = None, *, blocks: Sequence[int] | None = None) -> np.ndarray:
    """The array of a `.nlb` file, as it was.

    Args:
        data: the whole file.
        model: the one it was compressed with; None takes the one inside.
        blocks: only these blocks, one after another; None means all.

    Raises:
        InputError: a damaged file, another model, or no model.
    """
    found = unpack(data)
    if blocks is None:
        found.check()
    parts = list(decoded(found, model, blocks))
    header = found.header
    whole = np.concatenate(parts) if parts else np.zeros((0, *header.shape[1:]))
    return whole.astype(header.dtype)  # NumPy joins arrays in the machine's own order of bytes


def decoded(found: Container, model: Model | None = None, blocks: Sequence[int] | None = None) -> Iterator[np.ndarray]:
    """The arrays of a file's blocks, one after another, in memory for one block.

    Args:
        found: the file.
        model: see `decompress`.
        blocks: see `decompress`.

    Raises:
        InputError: a damaged block, another model, no model, or a block that decodes to other values on this machine.
    """
    header = found.header
    if model is None:
        if not header.model_bytes:
            raise InputError("The file has no model inside: give the model that it was compressed with.")
        model = _model_inside(found.model_file or b"")
    if (own := model_digest(model)) != header.model:
        raise InputError(
            f"The file was compressed with another model (SHA-256 {header.model[:12]}, this one has {own[:12]}): give "
            "the model it was compressed with."
        )
    networks = Networks(model, _example_shape(model, header.shape[1:]), header.batch, header.grids)
    coder = BlockCoder(networks, header.batch, header.lanes)
    for number in range(len(found.entries)) if blocks is None else blocks:
        if not 0 <= number < len(found.entries):
            raise InputError(f"There is no block {number}: the file has {len(found.entries)}, counted from 0.")
        yield _block(found, number, coder)


def _block(found: Container, number: int, coder: BlockCoder) -> np.ndarray:
    entry, header = found.entries[number], found.header
    try:
        symbols = coder.decode(Coded(*found.block(number)), entry.examples)
    except DamagedError as error:
        raise _other(number, str(error)) from error
    shape = (entry.examples, *header.shape[1:])
    values = _values(header.form, symbols, np.broadcast_to(np.zeros((), header.dtype), shape))
    if digest(values) != entry.digest:
        raise _other(number, "its values differ from those that were compressed")
    return values


def _other(number: int, why: str) -> DamagedError:
    if why.startswith(f"Block {number}"):
        return DamagedError(why)
    return DamagedError(
        f"Block {number} cannot be decoded ({why}): the file was altered, or this machine's networks differ from the "
        "sender's by more than is allowed for."
    )


def describe(data: Data) -> dict[str, Any]:
    """What a `.nlb` file says about itself: JSON-able.

    Raises:
        InputError: no such file, or damaged.
    """
    found = unpack(data)
    found.check()
    header = found.header
    raw = int(np.prod(header.shape, dtype=object)) * np.dtype(header.dtype).itemsize
    dimensions = int(np.prod(header.shape, dtype=object))
    return {
        "format": 1,
        "version": header.version,
        "shape": list(header.shape),
        "dtype": header.dtype,
        "form": header.form,
        "model_sha256": header.model,
        "model_inside": bool(header.model_bytes),
        "bytes": len(data),
        "array_bytes": raw,
        "bits_per_dim": 8 * len(data) / dimensions if dimensions else None,
        "batch": header.batch,
        "lanes": header.lanes,
        "precision": 16,
        "blocks": [{"examples": one.examples, "bytes": one.message + one.roundings} for one in found.entries],
    }
