"""Pictures without loss: what they have more than a decoded lossy picture, grid after grid (`residual_networks.py`)."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from nelbo.codecs.band_tables import STEP, Plan, Reader, Writer, plan
from nelbo.codecs.message import DamagedError
from nelbo.codecs.residual_networks import GRIDS, MARGIN, ORDER, ResidualNetwork, coarser, inputs, names
from nelbo.codecs.tables import Shape
from nelbo.core import read_arrays

RESIDUALS = Path(__file__).parent / "residual.safetensors"
LOSSLESS_STEP = 9 << (STEP - 1)  # log2 of the base's step, 22.6 grey levels: measured, docs/codecs.md
SHAPE: Shape = "normal"  # of the densities of mixtures
_STRIP = 1 << 16  # pixels of a tile whose inputs are made at once, about
_GREATEST = 255
_Numbers = Callable[[int, tuple[slice, slice], Plan], np.ndarray]  # of a plane's pixels, in the order of a plan


@dataclasses.dataclass(frozen=True)
class ResidualCoder:
    """The networks of all colours and grids.

    Args:
        networks: by colour and grid.
        digest: the first digits of the SHA-256 of their arrays, hex.
    """

    networks: Mapping[tuple[int, int], ResidualNetwork] = dataclasses.field(repr=False)
    digest: str

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "ResidualCoder":
        """From arrays of whole numbers, by their names in a file."""
        found = hashlib.sha256()
        for name in sorted(arrays):
            found.update(name.encode() + np.ascontiguousarray(arrays[name]).astype("<i4").tobytes())
        networks = {(colour, grid): ResidualNetwork.of(arrays, name) for colour, grid, name in names()}
        return cls(networks, found.hexdigest()[:16])

    def encode(self, x: np.ndarray, base: np.ndarray, *, grey: bool = False) -> bytes:
        """The stream of a picture.

        Args:
            x: `(height, width, 3)` uint8, or one channel.
            base: the decoded lossy picture, uint8, at least as large, its sides multiples of MARGIN.
            grey: whether all colours are equal, so that one is coded.
        """
        writer = Writer()
        more = np.zeros(base.shape, np.int64)
        more[: x.shape[0], : x.shape[1]] = x.astype(np.int64) - base[: x.shape[0], : x.shape[1]]

        def write(plane: int, places: tuple[slice, slice], found: Plan) -> np.ndarray:
            own = more[*places, plane].ravel()[found.order]
            writer.numbers(SHAPE, found, own)
            return own

        self._walk(x.shape[:2], base, write, grey=grey)
        return writer.to_bytes()

    def decode(self, data: bytes, size: tuple[int, int], base: np.ndarray, *, grey: bool = False) -> np.ndarray:
        """The picture of a stream, `(height, width, 3)` uint8.

        Args:
            data: what `encode` wrote.
            size: height and width.
            base: as for `encode`.
            grey: as for `encode`.

        Raises:
            DamagedError: no sender with these networks wrote it.
        """
        reader = Reader(data)
        more = self._walk(size, base, lambda plane, places, found: reader.numbers(SHAPE, found), grey=grey)  # noqa: ARG005
        reader.finish()
        whole = (base + more)[: size[0], : size[1]].astype(np.uint8)
        return np.repeat(whole[..., ORDER[0]][..., None], len(ORDER), axis=2) if grey else whole

    def _walk(self, size: tuple[int, int], base: np.ndarray, numbers: _Numbers, *, grey: bool) -> np.ndarray:
        """The residual of every pixel, colour after colour and grid after grid, from what comes before and `numbers`.

        Raises:
            DamagedError: a pixel would be out of range.
        """
        rows, columns, _ = base.shape
        edges = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
        below = np.pad(base.astype(np.int64).transpose(2, 0, 1), edges, mode="edge")
        residual = np.zeros_like(below)
        inner = residual[:, MARGIN:-MARGIN, MARGIN:-MARGIN].transpose(1, 2, 0)
        inside = np.zeros((rows, columns), bool)
        inside[: size[0], : size[1]] = True
        for colour in range(1 if grey else len(ORDER)):
            plane = ORDER[colour]
            for grid, (row, column, stride) in enumerate(GRIDS):
                places = (slice(row, None, stride), slice(column, None, stride))
                found = self._plan(residual, below, colour, grid, inside[places].ravel())
                own = np.zeros(inside[places].shape, np.int64)
                own.ravel()[found.order] = numbers(plane, places, found)
                inner[*places, plane] = own
                whole = base[*places, plane] + own
                if whole.min() < 0 or whole.max() > _GREATEST:
                    raise DamagedError("a pixel is out of range")
        return inner

    def _plan(self, residual: np.ndarray, below: np.ndarray, colour: int, grid: int, coded: np.ndarray) -> Plan:
        """How the pixels of a grid are coded, by strips."""
        rows, columns = residual.shape[1] - 2 * MARGIN, residual.shape[2] - 2 * MARGIN
        strip, network, parts = max(1, _STRIP // columns // MARGIN) * MARGIN, self.networks[colour, grid], []
        for top in range(0, rows, strip):
            part = slice(top, min(top + strip, rows) + 2 * MARGIN)
            seen, _ = inputs(residual[:, part], below[:, part], colour, grid)
            parts.append(network(seen))
        location, scale, tail = (np.concatenate(part) for part in zip(*parts, strict=True))
        return plan(SHAPE, coarser(location, scale), scale, coded, tail)


@functools.cache
def residual_coder() -> ResidualCoder:
    """The networks that come with nelbo."""
    return ResidualCoder.of(read_arrays(RESIDUALS, "model")[0])
