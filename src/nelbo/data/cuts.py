"""Splits that data do not bring themselves: rows cut out of their training rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nelbo.core import InputError
from nelbo.data.splits import SPLITS, Split
from nelbo.data.streams import Stream

DEFAULT_FRACTION = 0.1


class TooFewRowsError(InputError):
    """Fewer rows than splits. What leaves splits out is called otherwise at every door, which may add it."""


@dataclass(frozen=True)
class Cuts:
    """How to choose rows for the splits that data do not bring themselves.

    Args:
        seed: of the choice.
        valid: fraction for validation; None means 0.1.
        test: fraction for testing; the same.
    """

    seed: int = 0
    valid: float | None = None
    test: float | None = None

    @property
    def asked(self) -> bool:
        """Whether any fraction was given."""
        return self.valid is not None or self.test is not None


def complete(where: str, found: Mapping[str, Split], cuts: Cuts, *, shuffle: bool = True) -> dict[str, Split]:
    """Cut the splits that a file lacks out of its training rows, at random by `seed`, 80/10/10 unless told otherwise.

    A split whose fraction is zero is left out.

    Args:
        where: for messages.
        found: at least "train".
        cuts: the seed, and fractions of the training rows found.
        shuffle: choose rows at random; else the first rows train and the last ones test.

    Raises:
        InputError: fractions that leave no training rows, or given for splits that the file has.
        TooFewRowsError: fewer rows than splits.
    """
    asked = {"valid": cuts.valid, "test": cuts.test}
    for name, fraction in asked.items():
        if fraction is not None and name in found:
            raise InputError(f"{where} has its own {name} split: leave {name}_fraction out, or load the rows alone.")
    shares = {
        name: DEFAULT_FRACTION if fraction is None else fraction
        for name, fraction in asked.items()
        if name not in found
    }
    if any(not 0.0 <= share < 1.0 for share in shares.values()) or sum(shares.values()) >= 1.0:
        raise InputError(
            f"Fractions {shares} leave nothing to train on: give numbers from 0 to 1 whose sum is below 1."
        )
    whole = found["train"]
    sizes = {name: max(1, round(share * len(whole))) for name, share in shares.items() if share > 0}
    if len(whole) == 0 or len(whole) <= sum(sizes.values()):
        raise TooFewRowsError(
            f"{where} has {len(whole)} {'row' if len(whole) == 1 else 'rows'}: too few for "
            f"{', '.join(['train', *sizes])}; at least one in each was expected: give more rows."
        )
    order = Stream("split", cuts.seed).permutation(len(whole)) if shuffle and sizes else None
    splits = dict(found) | _cut(whole, sizes, order)
    return {name: splits[name] for name in SPLITS if name in splits}


def cut(split: Split, sizes: Mapping[str, int], seed: int) -> dict[str, Split]:
    """Cut `sizes["valid"]` and `sizes["test"]` random rows off; the rest is "train"."""
    splits = _cut(split, sizes, Stream("split", seed).permutation(len(split)))
    return {name: splits[name] for name in SPLITS}


def _cut(whole: Split, sizes: Mapping[str, int], order: np.ndarray | None) -> dict[str, Split]:
    cuts, stop = {}, len(whole)
    for name in ("test", "valid"):
        if name in sizes:
            start = stop - sizes[name]
            cuts[name] = slice(start, stop)
            stop = start
    cuts["train"] = slice(0, stop)
    # sorted: a split keeps the order of the file
    return {name: whole.rows(part if order is None else np.sort(order[part])) for name, part in cuts.items()}
