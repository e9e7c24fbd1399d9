"""The message: an asymmetric numeral system (rANS) whose heads work side by side over one stack of 16-bit words.

Source: Duda (2009, 2013); the shared stack under many heads is that of Townsend et al., HiLLoC (2020). Every head is a
whole number in [2^32, 2^48), words have 16 bits, and every table's frequencies sum to 2^16. All arithmetic is on
integers, so a message is the same on every machine. (With heads in [2^16, 2^32) a symbol costs 0.1 % more, and what is
popped from them is visibly not uniform: the part of a head above its low 16 bits is then often a small number.)

Bits back draws latents from the message, so what lies on it must look like coin flips. Two things see to that. A new
message begins with one head and, below it, words of a fixed pseudo-random sequence; those that a sender draws on are
part of the message and are counted. And a table that latents are drawn from is `spread` over the numbers that select
its symbols: a head ends in the latent pushed last, so that the next one drawn would be much like it, and where the
latents of all examples together are not distributed like the prior, the draws would drift away from q.

Further heads are made of words that are already there (`widen`), which costs nothing: `narrow` gives them back.
"""

from collections.abc import Callable

import numpy as np

from nelbo.core import InputError

PRECISION = 16
TOTAL = 1 << PRECISION
_LOW = np.uint64(TOTAL - 1)
_BITS = np.uint64(PRECISION)
_LEAST = np.uint64(1 << 32)  # of a head
_HIGH = np.uint64(32)
_SPREAD = np.uint64(0x9E37)  # 2^16 over the golden ratio: multiples of it lie far apart
_GATHER = np.uint64(pow(0x9E37, -1, TOTAL))
_FIRST_HEAD = 0x9E3779B97F4A
_HEAD_BYTES = 6
_EXPONENT_FREQUENCY = TOTAL // PRECISION
MAX_HEADS = 1 << 14

Interval = tuple[np.ndarray, np.ndarray]  # starts and frequencies, uint32
Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # symbols, starts, frequencies


class DamagedError(InputError):
    """A stream that no sender with this model can have written."""


def ground_words(start: int, count: int) -> np.ndarray:
    """Words `start` to `start + count` of the fixed sequence below every message, counted downwards (splitmix64)."""
    state = (np.arange(start + 1, start + count + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((state ^ (state >> np.uint64(31))) >> np.uint64(48)).astype(np.uint16)


class Message:
    """A stack of symbols. `push` and `pop` undo each other bit for bit; both change the message in place.

    Args:
        data: bytes of a message to read; None begins a new one, which may draw on the ground words.

    Raises:
        DamagedError: a length that no message has.
    """

    def __init__(self, data: bytes | None = None) -> None:
        self._own = data is None  # a sender's message may draw on the ground, a receiver's holds all it needs
        self._ground = 0  # how many ground words lie at the bottom of the words
        if data is None:
            self._heads = np.array([_FIRST_HEAD], np.uint64)
            self._words = np.zeros(1024, np.uint16)
            self._top = self._lowest = 0
            return
        if len(data) < _HEAD_BYTES or len(data) % 2:
            raise DamagedError("The stream is damaged: its length is none that a message has.")
        self._heads = np.array([int.from_bytes(data[:_HEAD_BYTES], "little")], np.uint64)
        if self._heads[0] < _LEAST:
            raise DamagedError("The stream is damaged: its head is out of range.")
        self._words = np.frombuffer(data[_HEAD_BYTES:], "<u2").astype(np.uint16)
        self._top = self._lowest = self._words.size

    @property
    def heads(self) -> int:
        """How many heads work side by side."""
        return self._heads.size

    @property
    def bits(self) -> int:
        """Length of the message, with the ground words that it has drawn on [bits]."""
        return 8 * _HEAD_BYTES * self._heads.size + 16 * (self._top - self._lowest)

    def to_bytes(self) -> bytes:
        """The message, to be read by `Message(data)`; it must have one head (`narrow`)."""
        if self._heads.size != 1:
            raise ValueError("A message with several heads has no bytes: narrow it first.")
        words = self._words[self._lowest : self._top].astype("<u2")
        return int(self._heads[0]).to_bytes(_HEAD_BYTES, "little") + words.tobytes()

    def is_spent(self) -> bool:
        """Whether a receiver's message is back at the ground that its sender began with."""
        return bool(
            self._heads.size == 1
            and self._heads[0] == _FIRST_HEAD
            and np.array_equal(self._words[: self._top], ground_words(0, self._top)[::-1])
        )

    def push(self, starts: np.ndarray, frequencies: np.ndarray, *, spread: bool = False) -> None:
        """Put symbols on the message, the last one first, so that `pop` gives them in order.

        Args:
            starts: of the symbols' intervals, uint32.
            frequencies: lengths of the intervals, 1 to 2^16, uint32.
            spread: the intervals are scattered over [0, 2^16), see `pop`.

        Raises:
            DamagedError: a frequency of zero.
        """
        if frequencies.size and not frequencies.all():
            raise DamagedError("The stream is damaged: it holds a symbol that its table rules out.")
        self._room(frequencies.size)
        size = self._heads.size
        for low in range((max(frequencies.size, 1) - 1) // size * size, -1, -size):
            self._push(starts[low : low + size], frequencies[low : low + size], spread=spread)

    def _push(self, start: np.ndarray, frequency: np.ndarray, *, spread: bool) -> None:
        count = frequency.size
        head = self._heads[:count]
        over = (head >> _HIGH) >= frequency
        words = head[over]
        if words.size:
            self._words[self._top : self._top + words.size] = words & _LOW
            self._top += words.size
            head = np.where(over, head >> _BITS, head)
        quotient = head // frequency
        if spread:
            slots = (((head - quotient * frequency) + start) * _GATHER) & _LOW
            self._heads[:count] = (quotient << _BITS) | slots
        else:  # quotient * 2^16 + rest + start
            self._heads[:count] = head + quotient * (np.uint64(TOTAL) - frequency) + start

    def pop(self, count: int, find: Callable[[np.ndarray, slice], Found], *, spread: bool = False) -> np.ndarray:
        """Take symbols from the message.

        Args:
            count: how many.
            find: from numbers in [0, 2^16) and the rows they are for to the symbols whose intervals hold them, with
                the starts and lengths of these intervals.
            spread: look up the head's number times an odd constant in place of the number itself.

        Raises:
            DamagedError: a receiver's message has no more words.
        """
        size = self._heads.size
        parts = [self._pop(find, low, min(size, count - low), spread=spread) for low in range(0, count, size)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _pop(self, find: Callable[[np.ndarray, slice], Found], low: int, count: int, *, spread: bool) -> np.ndarray:
        head = self._heads[:count]
        slots = ((head * _SPREAD if spread else head) & _LOW).astype(np.uint32)
        symbols, start, frequency = find(slots, slice(low, low + count))
        head = frequency * (head >> _BITS) + (slots - start)
        under = head < _LEAST
        wanted = int(np.count_nonzero(under))
        if wanted:
            if wanted > self._top:
                self._dig(wanted)
            self._top -= wanted
            self._lowest = min(self._lowest, self._top)
            words = self._words[self._top : self._top + wanted]
            head[under] = (head[under] << _BITS) | words
        self._heads[:count] = head
        return symbols

    def _dig(self, wanted: int) -> None:
        """Lay more ground words under the words."""
        if not self._own:
            raise DamagedError("The stream is damaged: it ends too early.")
        fresh = max(wanted, 256)
        self._words = np.concatenate([ground_words(self._ground, fresh)[::-1], self._words])
        self._ground, self._top, self._lowest = self._ground + fresh, self._top + fresh, self._lowest + fresh

    def _room(self, count: int) -> None:
        if self._top + count > self._words.size:
            self._words = np.concatenate([self._words, np.zeros(self._words.size + count, np.uint16)])

    def resize(self, heads: int) -> None:
        """Widen or narrow to a number of heads, a power of two.

        Raises:
            DamagedError: a receiver's message has no more words.
        """
        while self._heads.size < heads:
            self._widen()
        while self._heads.size > heads:
            self._narrow()

    def _widen(self) -> None:
        """Make as many new heads as there are, from the top of the message.

        A head is spread like 1 / head: its exponent is uniform, and so are its digits. `_narrow` is the inverse.
        """
        count = self._heads.size
        exponents = self.pop(count, _exponent)
        digits = self.pop(count, lambda slots, rows: _digits(slots, exponents[rows]))
        head = (np.uint64(1) << exponents.astype(np.uint64)) | digits.astype(np.uint64)
        for _ in range(2):
            head = (head << _BITS) | self.pop(count, _word).astype(np.uint64)
        self._heads = np.concatenate([self._heads, head])

    def _narrow(self) -> None:
        count = self._heads.size // 2
        extra, self._heads = self._heads[count:], self._heads[:count].copy()
        for shift in (np.uint64(0), _BITS):
            self.push(((extra >> shift) & _LOW).astype(np.uint32), np.ones(count, np.uint32))
        high = (extra >> _HIGH).astype(np.uint32)
        exponents = (np.frexp(high.astype(np.float64))[1] - 1).astype(np.uint32)
        shifts = np.uint32(PRECISION) - exponents
        self.push((high ^ (np.uint32(1) << exponents)) << shifts, np.uint32(1) << shifts)
        width = np.uint32(_EXPONENT_FREQUENCY)
        self.push(exponents * width, np.full(count, width))


def _exponent(slots: np.ndarray, rows: slice) -> Found:
    del rows
    symbols = slots // np.uint32(_EXPONENT_FREQUENCY)
    width = np.uint32(_EXPONENT_FREQUENCY)
    return symbols, symbols * width, np.full(slots.size, width)


def _digits(slots: np.ndarray, exponents: np.ndarray) -> Found:
    shift = np.uint32(PRECISION) - exponents.astype(np.uint32)
    symbols = slots >> shift
    return symbols, symbols << shift, np.uint32(1) << shift


def _word(slots: np.ndarray, rows: slice) -> Found:
    del rows
    return slots, slots, np.ones(slots.size, np.uint32)
