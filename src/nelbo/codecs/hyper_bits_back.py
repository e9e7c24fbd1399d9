"""Bits back for hyper-latents of pictures: they cost what their marginal does, in real bytes.

The sender rounds the latents y of a tile, draws the hyper-latents z from q(z | y) out of the message so far, and pushes
y by p(y | z) and z by p(z). The receiver, who has y, gives the bits that drew z back to the message, where the tile
before lies: the message grows by log q(z | y) - log p(y, z), and z alone costs a negative ELBO. q(z | y) is a network
on whole latents in whole numbers, so the receiver repeats it. (Yang, Bamler and Mandt 2020 fitted q to the latents of
each picture, and estimated the rate.)
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from nelbo.codecs.band_networks import lowered
from nelbo.codecs.codec import Codec, bits_back, tabled
from nelbo.codecs.factorized_tables import Factorized
from nelbo.codecs.hyper_networks import Hyper
from nelbo.codecs.message import DamagedError, Message
from nelbo.codecs.tables import MAX_SCALE, STEPS, Bins, LocationScale, Rows, Uniform, from_weights, scales
from nelbo.codecs.whole_convolutions import ACTIVATION, MOST, SUM

LANES = 16
_BINS = 512
_HALF = 16  # bits of a raw symbol
_DEVIATION, _LESS = 1, 3  # log2 of deviations is the net's output times 2^-_LESS, less _DEVIATION
_WIDEST = 6 * STEPS  # log2 of deviations lies in -6 .. 6
_TAIL = 1e-5
_WEIGHT = 24  # weights of bins are multiples of 2^-_WEIGHT


def hyper_bins(density: Factorized) -> Bins:
    """Bins of one width, a power of two, that hold all but the tails of every channel."""
    reach = float(np.abs(density.quantiles(np.array([_TAIL, 1.0 - _TAIL]))).max())
    width = 2.0 ** np.clip(np.ceil(np.log2(2 * reach / _BINS)), -4, 0)
    edges = width * (np.arange(_BINS + 1) - _BINS // 2)
    centres = edges[:-1] + 0.5 * width
    edges[0], edges[-1] = -np.inf, np.inf
    return Bins(edges, centres)


@dataclasses.dataclass(frozen=True)
class HyperCoder:
    """Codecs of latents with bits back for their hyper-latents.

    Args:
        hyper: the networks between them.
        bins: of each hyper-latent.
        prior: starts of the bins' intervals, `(channels, bins)`.
    """

    hyper: Hyper
    bins: Bins
    prior: np.ndarray

    @classmethod
    def of(cls, hyper: Hyper, density: Factorized) -> "HyperCoder":
        """From a model's networks and the density of its hyper-latents, with uniform noise of width one added."""
        bins = hyper_bins(density)
        points = np.broadcast_to(bins.centres, (density.channels, _BINS))
        weights = np.floor(density.masses(points) * (1 << _WEIGHT)) + 1.0
        return cls(hyper, bins, from_weights(weights))

    def posterior(self, y: np.ndarray) -> LocationScale:
        """Tables of q(z | y) of whole latents `(rows, columns, latents)`."""
        whole = np.clip(y * float(1 << ACTIVATION), -MOST, MOST)
        sums = self.hyper.analysis(whole if self.hyper.means else np.abs(whole))
        count = sums.shape[-1] // 2
        fine = STEPS.bit_length() - 1  # deviations are in multiples of 2^-fine
        scale = lowered(sums[..., count:], SUM + _LESS - fine).astype(np.int64) - _DEVIATION * STEPS
        scale = np.clip(scale, -_WIDEST, _WIDEST).ravel()
        # a product of two floats, rounded once, and a floor: the same everywhere
        units = sums[..., :count].ravel() * (scales()[MAX_SCALE - scale] * (STEPS * 2.0**-SUM))
        loc = np.floor(np.clip(units, -(2.0**40), 2.0**40) + 0.5)
        return LocationScale("normal", self.bins, scale, loc, floor=False)

    def codec(
        self,
        extent: tuple[int, int],
        write: Callable[[np.ndarray, np.ndarray], bytes],
        read: Callable[[bytes, np.ndarray], np.ndarray],
    ) -> Codec:
        """The codec of a tile's latents.

        Args:
            extent: rows and columns of the hyper-latents.
            write: from hyper-latents, in multiples of 2^-ACTIVATION, and latents to the stream of these.
            read: from the stream and the hyper-latents to the latents.
        """
        shape = (*extent, len(self.prior))
        count = int(np.prod(shape))
        rows = np.tile(np.arange(len(self.prior)), extent[0] * extent[1])

        def seen(symbols: np.ndarray) -> np.ndarray:
            return self.bins.centres[symbols].reshape(shape) * float(1 << ACTIVATION)

        def likelihood(symbols: np.ndarray) -> Codec:
            def push(message: Message, y: np.ndarray) -> Message:
                return push_bytes(message, write(seen(symbols), y))

            def pop(message: Message) -> tuple[Message, np.ndarray]:
                message, data = pop_bytes(message)
                return message, read(data, seen(symbols))

            return Codec(push, pop)

        prior = tabled(Rows(self.prior, rows), count)
        return bits_back(prior, likelihood, lambda y: tabled(self.posterior(y), count, drawn=True))


def push_bytes(message: Message, data: bytes) -> Message:
    """Put words of 32 bits and their number on a message, which has as many bits more."""
    symbols = np.frombuffer(data, "<u2").astype(np.int64)
    message = tabled(Uniform(_HALF), symbols.size).push(message, symbols)
    return tabled(Uniform(_HALF), 2).push(message, np.array(divmod(symbols.size, 1 << _HALF)))


def pop_bytes(message: Message) -> tuple[Message, bytes]:
    """Undo `push_bytes`.

    Raises:
        DamagedError: more than the message has.
    """
    message, (high, low) = tabled(Uniform(_HALF), 2).pop(message)
    count = (int(high) << _HALF) | int(low)
    if count % 2 or count * _HALF > message.bits:
        raise DamagedError("The stream is damaged: it ends too early.")
    message, symbols = tabled(Uniform(_HALF), count).pop(message)
    return message, symbols.astype("<u2").tobytes()
