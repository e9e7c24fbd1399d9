"""The checker of the tests' own types: one check for one signature, and none the less a check."""

import pytest
from beartype.roar import BeartypeCallHintViolation
from typecheck import checked


def inner(kind):
    def f(x: kind) -> kind:
        return x

    return f


def test_a_signature_is_checked_once_and_another_one_anew():
    assert checked(inner(int)) is checked(inner(int))
    assert checked(inner(str))("a") == "a"
    for kind, wrong in ((int, "a"), (str, 1)):
        with pytest.raises(BeartypeCallHintViolation):
            checked(inner(kind))(wrong)
