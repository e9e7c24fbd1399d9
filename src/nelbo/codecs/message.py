"""The message: constriction's asymmetric numeral system (ANS) as a stack of symbols, driven by whole numbers only.

Sources: Duda (2009, 2013); Bamler (2022), constriction, whose `AnsCoder` has a state of 64 bits over words of 32.

A table gives every symbol an interval of [0, 2^16). To push a symbol, a number that is uniform over its interval is
popped from the message, and then pushed back as a number that is uniform over [0, 2^16): together the symbol takes
log2(2^16 / frequency) bits. To pop, the same is done backwards. Both models are constriction's `Uniform`, so that all
it ever sees of such a table are whole numbers. Many symbols go through at once (`lanes`): first everything is popped
for them, then everything is pushed. Tables of zeros and ones that are near certain would lose too much by the rounding
of `Uniform`; their frequency over 2^16, which a float holds exactly, goes to `Bernoulli`.

Bits back draws latents from the message, so what lies on it must look like coin flips. Two things see to that. A new
message begins on words of a fixed pseudo-random sequence; those that a sender draws on are part of the message and are
counted. And before latents are drawn, what they are drawn from is scrambled: on top lie the latents that were pushed
last, so that the next ones would be much like them, and where the latents of all examples together are not distributed
like the prior, the draws would drift away from q.
"""

from collections.abc import Callable

import numpy as np
from constriction import stream  # pyright: ignore[reportAttributeAccessIssue]

from nelbo.core import InputError

PRECISION = 16
TOTAL = 1 << PRECISION
MAX_LANES = 1 << 14
_FINE = 4  # numbers to a unit of frequency: constriction has no uniform model of one symbol
_AnsCoder = stream.stack.AnsCoder
_Uniform = stream.model.Uniform
_SLOTS = _Uniform(_FINE * TOTAL)
_UNIFORM = _Uniform()  # sizes come with the symbols
_BERNOULLI = stream.model.Bernoulli(perfect=False)
_SIGNIFICANT = 12  # bits of a frequency that the model of 24 bits is uniform over to 1 / 2000
_SHIFTS = np.array([max(0, value.bit_length() - _SIGNIFICANT) for value in range(TOTAL + 1)], np.int32)
_NO_SENDER = "The stream is damaged: it holds a number that no sender leaves."
_STATE = 2  # words that the coder keeps in its state
_MOST_BITS = 24  # that one symbol can take from the message
_SCRAMBLED_BITS = 23  # of a number that is scrambled
_SCRAMBLED_MASK = (1 << _SCRAMBLED_BITS) - 1
_SCRAMBLED = _Uniform(1 << _SCRAMBLED_BITS)
_SCRAMBLING = 0x4F1BBD  # odd, near 2^23 over the golden ratio: multiples of it lie far apart
_UNSCRAMBLING = pow(_SCRAMBLING, -1, 1 << _SCRAMBLED_BITS)

Interval = tuple[np.ndarray, np.ndarray]  # starts and frequencies, uint32
Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # symbols, starts, frequencies


class DamagedError(InputError):
    """A stream that no sender with this model can have written."""


def ground_words(start: int, count: int) -> np.ndarray:
    """Words `start` to `start + count` of the fixed sequence below every message, counted downwards (splitmix64)."""
    state = (np.arange(start + 1, start + count + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((state ^ (state >> np.uint64(31))) >> np.uint64(32)).astype(np.uint32)


class Message:
    """A stack of symbols. `push` and `pop` undo each other bit for bit; both change the message in place.

    Args:
        data: bytes of a message to read; None begins a new one, which may draw on the ground words.
        lanes: how many symbols go through at once. More are faster, and take so many symbols' bits from the message
            before they give any. A receiver needs the same numbers at the same places.

    Raises:
        DamagedError: bytes that are no message.
    """

    def __init__(self, data: bytes | None = None, *, lanes: int = 1) -> None:
        self.lanes = lanes
        self._own = data is None  # a sender's message may draw on the ground, a receiver's holds all it needs
        self._ground = _STATE if data is None else 0  # how many ground words lie at the bottom
        self._lowest = 0  # words below this one were never read
        if data is not None and (len(data) < 4 * _STATE or len(data) % 4):
            raise DamagedError("The stream is damaged: its length is none that a message has.")
        words = ground_words(0, _STATE)[::-1] if data is None else np.frombuffer(data, "<u4").astype(np.uint32)
        if not words[-1]:
            raise DamagedError("The stream is damaged: its last word is out of range.")
        self._coder = _AnsCoder(np.ascontiguousarray(words))

    @property
    def bits(self) -> int:
        """Length of the message, with the ground words that it has drawn on [bits]."""
        return 32 * (self._coder.num_words() - self._lowest)

    @property
    def borrowed(self) -> int:
        """How many of the bits are ground words that it has drawn on, beyond those that it began with [bits]."""
        return 32 * (self._ground - _STATE - self._lowest) if self._own else 0

    def to_bytes(self) -> bytes:
        """The message, to be read by `Message(data)`."""
        return self._coder.get_compressed()[self._lowest :].astype("<u4").tobytes()

    def is_spent(self) -> bool:
        """Whether a receiver's message is back at the ground that its sender began with."""
        words = self._coder.get_compressed()
        return words.size >= _STATE and np.array_equal(words, ground_words(0, words.size)[::-1])

    def push(self, starts: np.ndarray, frequencies: np.ndarray, *, drawn: bool = False) -> None:
        """Put symbols on the message, the last one first, so that `pop` gives them in order.

        Args:
            starts: of the symbols' intervals, uint32.
            frequencies: lengths of the intervals, 1 to 2^16, uint32.
            drawn: the receiver gives back what a sender drew.

        Raises:
            DamagedError: a frequency of zero, or a number that no sender leaves.
        """
        if frequencies.size and not frequencies.all():
            raise DamagedError("The stream is damaged: it holds a symbol that its table rules out.")
        starts, frequencies = starts.astype(np.int32), frequencies.astype(np.int32)
        for low in range((max(frequencies.size, 1) - 1) // self.lanes * self.lanes, -1, -self.lanes):
            rows = slice(low, low + self.lanes)
            rest = self._take_rest(frequencies[rows], drawn=drawn)
            self._coder.encode_reverse(_FINE * starts[rows] + rest, _SLOTS)

    def pop(self, count: int, find: Callable[[np.ndarray, slice], Found], *, drawn: bool = False) -> np.ndarray:
        """Take symbols from the message.

        Args:
            count: how many.
            find: from numbers in [0, 2^16) and the rows they are for to the symbols whose intervals hold them, with
                the starts and lengths of these intervals.
            drawn: the sender draws them from what lies there.

        Raises:
            DamagedError: no sender wrote what lies there.
        """
        parts = []
        for low in range(0, count, self.lanes):
            rows = slice(low, min(low + self.lanes, count))
            slots = self._decode(_SLOTS, rows.stop - low)
            symbols, starts, frequencies = find((slots // _FINE).astype(np.uint32), rows)
            self._give_rest(slots - _FINE * starts.astype(np.int32), frequencies.astype(np.int32), drawn=drawn)
            parts.append(symbols)
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def push_bits(self, bits: np.ndarray, ones: np.ndarray) -> None:
        """Put zeros and ones on the message.

        Args:
            bits: zeros and ones.
            ones: frequencies of a one, 1 to 2^16 - 1.
        """
        self._coder.encode_reverse(bits.astype(np.int32), _BERNOULLI, ones * (1.0 / TOTAL))

    def pop_bits(self, ones: np.ndarray) -> np.ndarray:
        """Take zeros and ones from the message, int64.

        Args:
            ones: frequencies of a one, 1 to 2^16 - 1.

        Raises:
            DamagedError: a receiver's message has no more words.
        """
        return self._decode(_BERNOULLI, ones * (1.0 / TOTAL)).astype(np.int64)

    def scramble(self, bits: int) -> None:
        """Make the top of the message, about so many bits, unlike what was pushed last; `unscramble` undoes it."""
        self._multiply_top(bits, _SCRAMBLING)

    def unscramble(self, bits: int) -> None:
        """Undo `scramble` with the same number."""
        self._multiply_top(bits, _UNSCRAMBLING)

    def _multiply_top(self, bits: int, factor: int) -> None:
        """Numbers of the top: each times an odd one, its upper half on its lower, times the odd one again."""
        numbers = self._decode(_SCRAMBLED, -(-bits // _SCRAMBLED_BITS)).astype(np.int64)
        numbers = numbers * factor & _SCRAMBLED_MASK
        numbers = (numbers ^ (numbers >> (_SCRAMBLED_BITS // 2 + 1))) * factor & _SCRAMBLED_MASK
        self._coder.encode_reverse(numbers.astype(np.int32), _SCRAMBLED)

    def _take_rest(self, frequencies: np.ndarray, *, drawn: bool) -> np.ndarray:
        """A number that is uniform over each interval."""
        shifts = _SHIFTS[frequencies]
        if not shifts.any():
            return self._decode(_UNIFORM, _FINE * frequencies)
        high = self._decode(_UNIFORM, _high_parts(frequencies, shifts, drawn=drawn))
        rest = (high << (shifts + 1)) | self._decode(_UNIFORM, np.int32(2) << shifts)
        if drawn and (rest >= _FINE * frequencies).any():
            raise DamagedError(_NO_SENDER)
        return rest

    def _give_rest(self, rest: np.ndarray, frequencies: np.ndarray, *, drawn: bool) -> None:
        """Undo `_take_rest`."""
        shifts = _SHIFTS[frequencies]
        if not shifts.any():
            self._coder.encode_reverse(rest, _UNIFORM, _FINE * frequencies)
            return
        high, parts, size = rest >> (shifts + 1), _high_parts(frequencies, shifts, drawn=drawn), np.int32(2) << shifts
        if (high >= parts).any():
            raise DamagedError(_NO_SENDER)
        self._coder.encode_reverse(rest & (size - 1), _UNIFORM, size)
        self._coder.encode_reverse(high, _UNIFORM, parts)

    def _decode(self, model: object, given: np.ndarray | int) -> np.ndarray:
        """Take numbers: so many of one model, or one for each of a family's parameters."""
        count = given if isinstance(given, int) else given.size
        needed = _STATE + 1 + -(-count * _MOST_BITS // 32)
        if self._own and self._coder.num_words() < needed:
            self._dig(needed)
        found = self._coder.decode(model, given)
        left = self._coder.num_words() - _STATE
        if left < 0:
            raise DamagedError("The stream is damaged: it ends too early.")
        self._lowest = min(self._lowest, left)
        return found

    def _dig(self, needed: int) -> None:
        """Lay more ground words under the words."""
        fresh = max(needed, 256)
        words = np.concatenate([ground_words(self._ground, fresh)[::-1], self._coder.get_compressed()])
        self._coder = _AnsCoder(words)
        self._ground, self._lowest = self._ground + fresh, self._lowest + fresh


def _high_parts(frequencies: np.ndarray, shifts: np.ndarray, *, drawn: bool) -> np.ndarray:
    """Into how many parts an interval is divided, each of `2 << shift` numbers.

    What a sender pushes must lie inside, so that a last, smaller part is left out. What a sender draws can lie
    anywhere, so that there it counts as a whole one. Either way less than one number in 2048 is wasted.
    """
    doubled = 2 * frequencies
    return -(-doubled >> shifts) if drawn else doubled >> shifts
