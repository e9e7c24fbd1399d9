"""Where convolutional transforms of pictures begin: wavelet packets, which are orthonormal and code well untrained.

Each halving replaces squares of 2 x 2 numbers by their sums and differences (Haar), in every channel, and keeps the
channels that are strongest in photographs. They are numbered by colour and by how often they change sign downwards and
along.
"""

import numpy as np

from nelbo.nets.lapped import colour_matrix

_FALL, _LESS = 1.25, (0.0, 1.7, 2.4)  # log2 of spread: how it falls with log2 of frequency; less in colours
_SPREAD, _LOWEST = 6.3, 9.5  # at frequency one, and of the mean of a square of 16 x 16 pixels [log2 of grey levels]
Channel = tuple[int, int, int]  # colour, vertical and horizontal frequency


def spread(channel: Channel, level: int) -> float:
    """About log2 of the deviation of a channel after so many halvings, in photographs [log2 of grey levels]."""
    colour, down, along = channel
    radius = (down + along) * 16 / (1 << level)
    return (_SPREAD - _FALL * np.log2(radius) if radius else _LOWEST) - _LESS[colour]


def packets(counts: tuple[int, ...]) -> tuple[list[np.ndarray], list[list[Channel]]]:
    """The taps of each halving `(5, 5, in, out)`, whose transposes go back, and the channels that come out of it.

    Args:
        counts: of channels after each halving; those that there are no packets for have no taps.
    """
    channels: list[Channel] = [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    taps, every = [], []
    before = 3
    for level, count in enumerate(counts, 1):
        found = {}
        for place, (colour, down, along) in enumerate(channels):
            for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
                square = 0.5 * np.outer((1.0, (-1.0) ** i), (1.0, (-1.0) ** j))
                found[(colour, 2 * down + (i ^ (down & 1)), 2 * along + (j ^ (along & 1)))] = (place, square)
        kept = sorted(found, key=lambda channel, level=level: -spread(channel, level))[:count]
        own = np.zeros((5, 5, before, count), np.float32)
        for number, channel in enumerate(kept):
            place, square = found[channel]
            # the first one turns colours into lightness and two differences too
            rows = colour_matrix()[place] if level == 1 else np.eye(before)[place]
            own[2:4, 2:4, :, number] = square[:, :, None] * rows[None, None, :]
        taps.append(own)
        every.append(kept)
        channels, before = kept, count
    return taps, every
