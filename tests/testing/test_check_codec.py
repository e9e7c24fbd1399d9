"""`check_codec` accepts codecs that undo themselves and finds those that do not."""

import numpy as np
import pytest

from nelbo.codecs import Codec, Uniform, tabled
from nelbo.testing import check_codec

GOOD = tabled(Uniform(4), 3)
SYMBOLS = [np.array([1, 2, 3]), np.array([15, 0, 7])]


def test_a_good_codec_passes():
    assert check_codec(GOOD, SYMBOLS, lanes=1) == pytest.approx(24, abs=32)


@pytest.mark.parametrize(
    ("codec", "words"),
    [
        (Codec(GOOD.push, lambda message: (message, GOOD.pop(message)[1][::-1])), "came back as"),
        (Codec(lambda message, symbol: GOOD.push(GOOD.push(message, symbol), symbol), GOOD.pop), "came back as"),
        (Codec(lambda message, symbol: GOOD.push(message, symbol * 0), GOOD.pop), "came back as"),
    ],
)
def test_a_bad_codec_is_found(codec, words):
    with pytest.raises(AssertionError, match=words):
        check_codec(codec, SYMBOLS)


def test_bits_left_over_are_found():
    first = [True]

    def push(message, symbol):
        if first[0]:
            GOOD.push(message, symbol)
            first[0] = False
        return GOOD.push(message, symbol)

    with pytest.raises(AssertionError, match="did not leave the message"):
        check_codec(Codec(push, GOOD.pop), SYMBOLS)
