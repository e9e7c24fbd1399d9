"""The entries of an example that a column of a table is: a number, or a 0 or 1 for each word that it can hold."""

from collections.abc import Sequence

import numpy as np

from nelbo.data.columns import Column, Content


def read_entries(
    where: str, columns: Sequence[Column], contents: Sequence[Content], *, modelled: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The rows of a table as examples.

    A word that a column of words did not have when its levels were found is none of them: all its entries are 0, or
    missing where the column itself is modelled.

    Args:
        where: for what is said.
        columns: that are features.
        contents: their cells, in the same order.
        modelled: a word that is none of the levels is missing: it has no probability, and no other word may have its
            own.

    Returns:
        `(rows, entries)` float64, NaN where a cell is missing; and what is to be said.
    """
    found, notes = [], []
    for column, content in zip(columns, contents, strict=True):
        if column.levels is None:
            found.append(content.numbers[:, None])
            continue
        place = {level: i for i, level in enumerate(column.levels)}
        known = np.array([place.get(text, -1) for text in content.texts] or [-1])
        codes = content.codes
        places = np.where(codes >= 0, known[codes], -1)
        entries = np.where(codes[:, None] < 0, np.nan, places[:, None] == np.arange(len(column.levels)))
        strange = (codes >= 0) & (places < 0)
        found.append(np.where(strange[:, None], np.nan, entries) if modelled else entries)
        if strange.any():
            words = sorted({content.texts[code] for code in np.unique(codes[strange])})
            shown = ", ".join(map(repr, words[:8])) + (", ..." if len(words) > 8 else "")
            counts = "missing, and stays as it is" if modelled else "none of those that it knows"
            notes.append(
                f"{where}: in {_rows(int(strange.sum()))} column {column.name!r} holds a word that the model "
                f"was not fitted to ({shown}): it counts as {counts}."
            )
    return np.concatenate(found, axis=1), tuple(notes)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
