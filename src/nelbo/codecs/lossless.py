"""Lossless compression of arrays with any fitted model."""

import dataclasses
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from nelbo._version import __version__
from nelbo.codecs.block import BlockCoder, Coded
from nelbo.codecs.codings import CODINGS
from nelbo.codecs.container import (
    MAX_BATCH,
    MAX_BLOCK_SYMBOLS,
    BlockEntry,
    Container,
    Data,
    Header,
    digest,
    pack,
    unpack,
)
from nelbo.codecs.context import checked_context, context_digest
from nelbo.codecs.identity import check_finite, model_digest
from nelbo.codecs.message import MAX_LANES, PRECISION, DamagedError
from nelbo.codecs.networks import Networks, Node
from nelbo.codecs.stages import Codings
from nelbo.codecs.symbols import form_of, to_symbols, to_values
from nelbo.core import InputError
from nelbo.models import Model, load_model, save_model


@dataclasses.dataclass(frozen=True)
class Layout:
    """How examples are grouped.

    Args:
        block: examples that are coded together; each block can be decoded without the others. Large arrays of wide
            examples get smaller blocks.
        batch: examples that networks are applied to at once.
        lanes: largest number of symbols that are coded at once, a power of two.

    Raises:
        InputError: a number out of range.
    """

    block: int = 16384
    batch: int = 128
    lanes: int = 2048

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, most in (("block", 2**31), ("batch", MAX_BATCH), ("lanes", MAX_LANES)):
            value = dataclasses.asdict(self)[name]
            if not 1 <= value <= most:
                raise InputError(f"{name} must be a whole number from 1 to {most}, got {value}.")
        if self.lanes & (self.lanes - 1):
            raise InputError(f"lanes must be a power of two, got {self.lanes}.")


def compress(
    model: Model,
    x: np.ndarray,
    *,
    context: PyTree = None,
    layout: Layout = Layout(),
    verify: bool = True,
    self_contained: bool = False,
    progress: Callable[[int], None] | None = None,
    codings: Codings = CODINGS,
) -> bytes:
    """Compress an array without loss, to about the model's negative ELBO.

    Args:
        model: any model whose distributions have codecs.
        x: `(examples, *shape)`, values that the likelihood scores: 0 and 1 for a Bernoulli likelihood; whole numbers
            0 .. 255 of any type, or floats k / 255, for a likelihood of grey values.
        context: what the examples are conditioned on, an array (or a tree of arrays), examples first. It is not stored
            in the file: the receiver must have it.
        layout: blocks, batches and lanes.
        verify: decode every block, as a check, before it is kept.
        self_contained: store the model in the file.
        progress: called with the number of examples done.
        codings: how each class of distributions is coded; others are coded by their own log probabilities.

    Returns:
        A whole `.nlb` file.

    Raises:
        InputError: data that the model cannot have made, a model that has diverged or has a distribution without a
            codec, a context that does not belong to them; with `verify`, a block that does not come back.
    """
    if x.ndim < 2 and not x.shape:
        raise InputError("A single number cannot be compressed: give an array of examples.")
    check_finite(model)
    context = checked_context(model, context, len(x))
    networks = Networks(model, tuple(x.shape[1:]), layout.batch, context=context, codings=codings)
    node, inside = networks.nodes[0], _model_file(model) if self_contained else b""
    form, known = form_of(node, x), context_digest(context)
    header = Header(model_digest(model), tuple(x.shape), x.dtype.str, form, layout.batch, layout.lanes, networks.grids,
                    len(inside), __version__, known)  # fmt: skip
    rows = min(layout.block, max(1, MAX_BLOCK_SYMBOLS // max(1, node.units)))
    coder = BlockCoder(networks, layout.batch, layout.lanes)
    blocks: list[tuple[BlockEntry, bytes, bytes]] = []
    for low in range(0, len(x), rows):
        part, beside = x[low : low + rows], _rows(context, low, rows)
        coded = coder.encode(to_symbols(node, header.form, part), beside)
        if verify and not _comes_back(coder, node, header.form, coded, part, beside):
            raise InputError(f"Block {len(blocks)} does not come back as it was on this machine: please report this.")
        blocks.append((_entry(coded, part, header.bound(low)), coded.message, coded.roundings))
        if progress is not None:
            progress(low + len(part))
    return pack(header, blocks, inside)


def _entry(coded: Coded, part: np.ndarray, bound: bytes) -> BlockEntry:
    both = zlib.crc32(coded.roundings, zlib.crc32(coded.message))
    return BlockEntry(len(part), len(coded.message), len(coded.roundings), both, digest(part, bound))


def _comes_back(coder: BlockCoder, node: Node, form: str, coded: Coded, part: np.ndarray, context: PyTree) -> bool:
    return np.array_equal(to_values(node, form, coder.decode(coded, len(part), context), part), part)


def _rows(context: PyTree, low: int, count: int) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[low : low + count], context)


def _model_file(model: Model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save_model(path := Path(folder) / "model.safetensors", model)
        return path.read_bytes()


def model_inside(found: Container) -> Model:
    """The model that is stored in a file.

    Raises:
        InputError: it has none, or it is damaged.
    """
    if not (data := found.model_file):
        raise InputError("The file has no model inside: give the model that it was compressed with.")
    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder) / "model.safetensors").write_bytes(data)
        return load_model(path)


def decompress(
    data: Data,
    model: Model | None = None,
    *,
    context: PyTree = None,
    blocks: Sequence[int] | None = None,
    codings: Codings = CODINGS,
) -> np.ndarray:
    """Restore the array of a `.nlb` file exactly.

    Args:
        data: the whole file.
        model: the model that it was compressed with; None takes the one stored in the file.
        context: the context of all examples that it was compressed with.
        blocks: decode only these blocks, in this order; None decodes all.
        codings: the codings that it was compressed with.

    Raises:
        InputError: a damaged file, another model or context, or none.
    """
    found = unpack(data)
    if blocks is None:
        found.check()
    parts = list(decoded(found, model, context=context, blocks=blocks, codings=codings))
    header = found.header
    whole = np.concatenate(parts) if parts else np.zeros((0, *header.shape[1:]))
    return whole.astype(header.dtype)  # NumPy joins arrays in the machine's own order of bytes


def decoded(
    found: Container,
    model: Model | None = None,
    *,
    context: PyTree = None,
    blocks: Sequence[int] | None = None,
    codings: Codings = CODINGS,
) -> Iterator[np.ndarray]:
    """The arrays of a file's blocks, one after another, with the memory of one block.

    Args:
        found: the file.
        model: see `decompress`.
        context: see `decompress`.
        blocks: see `decompress`.
        codings: see `decompress`.

    Raises:
        InputError: a damaged block, another model or context, or none, or a block that decodes to other values on this
            machine.
    """
    header = found.header
    model = model_inside(found) if model is None else model
    if (own := model_digest(model, header.format)) != header.model:
        raise InputError(
            f"The file was compressed with another model (SHA-256 {header.model[:12]}, this one has {own[:12]}): give "
            "the model it was compressed with."
        )
    context = _context_of(header, model, context)
    networks = Networks(model, header.shape[1:], header.batch, header.grids, context, codings)
    coder = BlockCoder(networks, header.batch, header.lanes)
    firsts = np.cumsum([0, *(entry.examples for entry in found.entries)])
    for number in range(len(found.entries)) if blocks is None else blocks:
        if not 0 <= number < len(found.entries):
            raise InputError(f"There is no block {number}: the file has {len(found.entries)}, counted from 0.")
        yield _block(found, number, int(firsts[number]), coder, networks.nodes[0], context)


def _context_of(header: Header, model: Model, context: PyTree) -> PyTree:
    """The receiver's context, checked to be the sender's.

    Raises:
        InputError: it is not.
    """
    if header.context is None and context is not None:
        raise InputError("The file was compressed without a context: leave it out.")
    if header.context is not None and context is None:
        raise InputError(
            "The file was compressed beside a context, which is not inside: give the one that it was compressed with."
        )
    context = checked_context(model, context, header.shape[0])
    if (own := context_digest(context)) != header.context:
        raise InputError(
            f"The file was compressed beside another context (SHA-256 {str(header.context)[:12]}, this one has "
            f"{str(own)[:12]}): give the one that it was compressed with."
        )
    return context


def _block(found: Container, number: int, first: int, coder: BlockCoder, node: Node, context: PyTree) -> np.ndarray:
    entry, header = found.entries[number], found.header
    try:
        symbols = coder.decode(Coded(*found.block(number)), entry.examples, _rows(context, first, entry.examples))
    except DamagedError as error:
        raise _other(number, str(error)) from error
    shape = (entry.examples, *header.shape[1:])
    values = to_values(node, header.form, symbols, np.broadcast_to(np.zeros((), header.dtype), shape))
    if digest(values, header.bound(first)) != entry.digest:
        raise _other(number, "its values, or what the header says of them, differ from what was compressed")
    return values


def _other(number: int, why: str) -> DamagedError:
    if why.startswith(f"Block {number}"):
        return DamagedError(why)
    return DamagedError(
        f"Block {number} cannot be decoded ({why}): the file was altered, or this machine's networks differ from the "
        "sender's by more than is allowed for."
    )


def describe(data: Data) -> dict[str, Any]:
    """A description of a `.nlb` file, as JSON values.

    Raises:
        InputError: no such file, or damaged.
    """
    found = unpack(data)
    found.check()
    header = found.header
    raw = int(np.prod(header.shape, dtype=object)) * np.dtype(header.dtype).itemsize
    dimensions = int(np.prod(header.shape, dtype=object))
    return {
        "format": header.format,
        "version": header.version,
        "shape": list(header.shape),
        "dtype": header.dtype,
        "form": header.form,
        "model_sha256": header.model,
        "model_inside": bool(header.model_bytes),
        "context_sha256": header.context,
        "bytes": len(data),
        "array_bytes": raw,
        "bits_per_dim": 8 * len(data) / dimensions if dimensions else None,
        "batch": header.batch,
        "lanes": header.lanes,
        "precision": PRECISION,
        "blocks": [{"examples": one.examples, "bytes": one.message + one.roundings} for one in found.entries],
    }
