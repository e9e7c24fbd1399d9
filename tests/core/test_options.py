"""Options are read from signatures and docstrings."""

from collections.abc import Sequence

import pytest

from nelbo.core import defaults, options_of, summary


def example(key: int, *, latents: int = 20, hidden: Sequence[int] = (5, 3), untold: str = "x", needed: float) -> None:
    """Make something.

    With a paragraph: that is no entry.

    Args:
        key: not an option.
        latents: how many: of
            them on two lines.
        hidden: widths.
        needed: has no default.

    Raises:
        untold: this is of another section.
    """


def test_types_defaults_and_texts():
    found = {option.name: option for option in options_of(example)}
    assert list(found) == ["latents", "hidden", "untold"]
    assert found["latents"].help == "how many: of them on two lines."
    assert (found["hidden"].default, found["hidden"].type) == ([5, 3], Sequence[int])
    assert found["untold"].help == ""
    assert defaults(example) == {"latents": 20, "hidden": [5, 3], "untold": "x"}
    assert summary(example) == "Make something."


@pytest.mark.parametrize("text", [None, "", "One line."])
def test_a_function_may_say_nothing(text):
    def silent(*, a: int = 1) -> None: ...

    silent.__doc__ = text
    assert [(option.name, option.help) for option in options_of(silent)] == [("a", "")]
    assert summary(silent) == (text or "")
