"""What codes the tiles of pictures: a model in whole numbers."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from nelbo.codecs.codec import Codec


@runtime_checkable
class Coder(Protocol):
    """A model of pictures in whole numbers: the interface that `BandCoder` and `LatentCoder` share."""

    thrift: ClassVar[float]  # weight of bits beside squared error

    @property
    def has_chain(self) -> bool:
        """Whether tiles can be coded with bits back, one after another."""
        ...

    def chained(self, sides: tuple[int, int], step: int) -> Codec:
        """The codec of a tile's numbers in a chain."""
        ...

    @property
    def sure(self) -> "Coder":
        """The coder that codes every number, where this one takes those of very small scales for zero."""
        ...

    def misses(self, x: np.ndarray, y: Any, step: int) -> bool:
        """Whether numbers that were taken for zero, uncoded, make up much of a picture's error."""
        ...

    @property
    def unit(self) -> int:
        """Number of pixels of which both sides of a coded picture must be multiples."""
        ...

    def encode(
        self, x: np.ndarray, step: int, *, grey: bool = False, numbers: Sequence[np.ndarray] | None = None
    ) -> tuple[bytes, Any]:
        """The stream of a picture, and its numbers as the receiver decodes them."""
        ...

    def choice(self, y: Any) -> list[np.ndarray] | None:
        """The numbers of `encode`, as it takes them, if it chose them by rate and distortion; None if it rounded."""
        ...

    def decode(self, data: bytes, sides: tuple[int, int], step: int, *, grey: bool = False) -> Any:
        """The numbers of a stream."""
        ...

    def picture(self, y: Any, step: int, /) -> np.ndarray:
        """The decoded picture of these numbers, uint8, the same on every machine."""
        ...
