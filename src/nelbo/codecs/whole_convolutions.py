"""Convolutions and divisive normalization in whole numbers, so that every machine has the same latents and pixels.

Activations are multiples of 2^-ACTIVATION, weights of 2^-WEIGHT, in float64 arrays. Sums of products stay below 2^53,
so they are exact in any order (see `band_networks`); a root, a product and a quotient of two floats are single IEEE
operations, which every machine rounds alike.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from nelbo.codecs.band_networks import _convolved as convolved
from nelbo.codecs.band_networks import _whole as whole
from nelbo.codecs.band_networks import lowered
from nelbo.core import InputError

WEIGHT, ACTIVATION = 16, 10
SUM = WEIGHT + ACTIVATION  # sums of products are multiples of 2^-SUM
MOST = float(1 << 22)  # activations stay below, which is 4096
_ENERGY = 12  # bits by which squares are lowered: they are multiples of 2^-8 and stay below 2^32
_EXACT = float(1 << 53)
_LEAST_NORM = 1e-6


def _checked(greatest: float) -> None:
    if not greatest < _EXACT:
        raise InputError("The model's weights are so large that no whole numbers hold them exactly: fit it again.")


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution of `nelbo.nets`: `Conv`, `Down` or `Up`.

    Args:
        weight: as for stride one, `(3, 3, in, out)`.
        bias: in multiples of 2^-SUM.
        how: "same", "down" or "up".
    """

    weight: np.ndarray
    bias: np.ndarray
    how: str

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], name: str, how: str) -> "Convolution":
        """From the arrays of a model, by their names.

        Raises:
            InputError: weights so large that sums would not be exact.
        """
        weight, bias = whole(arrays[f"{name}.weight"], WEIGHT), whole(arrays[f"{name}.bias"], SUM)
        _checked(float(np.abs(weight).sum((0, 1, 2)).max() * MOST + np.abs(bias).max()))
        return cls(_laid(weight, how), bias, how)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Sums in multiples of 2^-SUM, of activations `(rows, columns, in)`."""
        if self.how == "same":
            return convolved(x, self.weight) + self.bias
        if self.how == "up":
            return _shuffled(convolved(x, self.weight)) + self.bias
        rows, columns, channels = x.shape
        blocks = x.reshape(rows // 2, 2, columns // 2, 2, channels).transpose(0, 2, 1, 3, 4)
        return convolved(blocks.reshape(rows // 2, columns // 2, 4 * channels), self.weight) + self.bias


def _laid(weight: np.ndarray, how: str) -> np.ndarray:
    """As `nelbo.nets.strided` lays weights of 5 x 5 out for convolutions of stride one."""
    if how == "same":
        return weight
    before, after = weight.shape[2:]
    table = np.pad(weight, ((0, 1), (0, 1), (0, 0), (0, 0))).reshape(3, 2, 3, 2, before, after)
    if how == "down":
        return np.ascontiguousarray(table.transpose(0, 2, 1, 3, 4, 5)).reshape(3, 3, 4 * before, after)
    return np.ascontiguousarray(table[::-1, :, ::-1].transpose(0, 2, 4, 1, 3, 5)).reshape(3, 3, before, 4 * after)


def _shuffled(x: np.ndarray) -> np.ndarray:
    rows, columns, channels = x.shape
    blocks = x.reshape(rows, columns, 2, 2, channels // 4).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(2 * rows, 2 * columns, channels // 4)


@dataclasses.dataclass(frozen=True)
class Norm:
    """Divisive normalization, or its inverse; see `nelbo.nets.DivisiveNorm`.

    Args:
        beta: in multiples of 2^-(WEIGHT + 8).
        gamma: in multiples of 2^-WEIGHT, `(summed, channels)`.
        inverse: multiply in place of dividing.
    """

    beta: np.ndarray
    gamma: np.ndarray
    inverse: bool

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], name: str, *, inverse: bool) -> "Norm":
        """From the arrays of a model, by their names.

        Raises:
            InputError: weights so large that sums would not be exact.
        """
        beta = np.asarray(arrays[f"{name}.root_beta"], float) ** 2 + _LEAST_NORM
        gamma = whole(np.asarray(arrays[f"{name}.root_gamma"], float) ** 2, WEIGHT)
        rest = 2 * ACTIVATION - _ENERGY
        beta = np.maximum(whole(beta, WEIGHT + rest), 1.0)
        _checked(float(gamma.sum(0).max() * MOST**2 / (1 << _ENERGY) + beta.max()))
        return cls(beta, gamma, inverse)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Activations from activations."""
        energy = lowered(x * x, _ENERGY) @ self.gamma + self.beta
        root = np.sqrt(energy * 2.0 ** -(WEIGHT + 2 * ACTIVATION - _ENERGY))
        return np.clip(np.floor((x * root if self.inverse else x / root) + 0.5), -MOST, MOST)


def activations(sums: np.ndarray, *, least: float = -MOST) -> np.ndarray:
    """Sums as activations, clipped; `least` 0 for a rectifier."""
    return np.clip(lowered(sums, WEIGHT), least, MOST)


@dataclasses.dataclass(frozen=True)
class Chain:
    """Convolutions with normalizations or rectifiers between.

    Args:
        convolutions: in order.
        norms: one between each two of them, or none: rectifiers.
    """

    convolutions: tuple[Convolution, ...]
    norms: tuple[Norm, ...] = ()

    @classmethod
    def of(
        cls, arrays: Mapping[str, np.ndarray], name: str, parts: Sequence[tuple[str, str]], norms: int = 0
    ) -> "Chain":
        """From the arrays of a model.

        Args:
            arrays: by their names.
            name: of the network.
            parts: name and kind of each convolution.
            norms: how many normalizations; they are inverse where the convolutions go up.
        """
        convolutions = tuple(Convolution.of(arrays, f"{name}.{part}", how) for part, how in parts)
        inverse = parts[0][1] == "up"
        found = tuple(Norm.of(arrays, f"{name}.norms[{i}]", inverse=inverse) for i in range(norms))
        return cls(convolutions, found)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Sums of the last convolution, in multiples of 2^-SUM, of activations."""
        for i, convolution in enumerate(self.convolutions[:-1]):
            sums = convolution(x)
            x = self.norms[i](activations(sums)) if self.norms else activations(sums, least=0.0)
        return self.convolutions[-1](x)
