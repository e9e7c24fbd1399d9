"""What cannot be trusted in a filling, in sentences."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from nelbo.tasks.filled import Imputation
from nelbo.tasks.methods import METHODS, ImputationSettings

LEAST_TAKEN = 0.05  # share of a row's proposals; see docs/imputation.md for what lower ones did
LEAST_EFFECTIVE = 10.0  # proposals of a row
_ENOUGH = 10  # values of a column to judge a range by
_FAR = 3.0  # ranges of a column that an interval may reach beyond it
_BEYOND = 0.5  # ranges of a column that a filled mean may lie beyond it
_BEYOND_TWO = 0.05  # the same of a column with two values
_NAMED = 5  # columns that a sentence names


@dataclasses.dataclass(frozen=True)
class Columns:
    """What is known of the entries of a table's rows.

    Args:
        names: of the entries; None: they are numbered from 1.
        trained: for each entry whether any training row had it; None where that is not known.
        offset: of each entry, to be added to its numbers where a sentence shows them; None: nothing.
    """

    names: Sequence[str] | None = None
    trained: np.ndarray | None = None
    offset: np.ndarray | None = None

    def shift(self, place: int) -> float:
        """What is to be added to the numbers of the entry at this place."""
        return 0.0 if self.offset is None else float(self.offset[place])

    def listing(self, which: np.ndarray) -> str:
        """The entries at which `which` holds, as "column 3" or "columns 'a', 'b' and 4 more"."""
        places = np.flatnonzero(which)
        shown = [str(i + 1) if self.names is None else repr(self.names[i]) for i in places[:_NAMED]]
        more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
        return f"column{'s' if len(places) > 1 else ''} {', '.join(shown)}{more}"


def cautions(
    result: Imputation,
    given: np.ndarray,
    settings: ImputationSettings,
    columns: Columns,
    *,
    real: bool,
) -> tuple[str, ...]:
    """Sentences about what cannot be trusted, each with what to do.

    Args:
        result: the filling.
        given: which entries there was a value or a reading of.
        settings: with nothing left open.
        columns: what is known of the entries of a table.
        real: whether the likelihood is one of real numbers.
    """
    some, unknown = given.reshape(len(given), -1), ~result.observed.reshape(len(given), -1)
    found: list[str | None] = [_acceptance(result, np.asarray(some.any(1) & unknown.any(1)), settings)]
    if result.empty:
        rows = "row has" if result.empty == 1 else "rows have"
        found.append(f"{result.empty} {rows} no observed entry: what they got are draws from the prior.")
    if settings.draws == 1:
        found.append("One draw has no spread: std is 0 and the interval is the draw itself; use 19 draws for 90 %.")
    if given.ndim == 2:
        found.append(_never_given(given, columns))
        if real:
            found += [_far_out(result, given, columns), _means_out(result, given, columns)]
    return tuple(sentence for sentence in found if sentence is not None)


def _acceptance(result: Imputation, moving: np.ndarray, settings: ImputationSettings) -> str | None:
    method = METHODS[settings.method or ""]
    if method.accepted is None or result.row_accepted is None or not moving.any():
        return None
    accepted = np.nan_to_num(result.row_accepted[moving])
    if method.accepted == "share taken":
        low, told = accepted < LEAST_TAKEN, f"took fewer than {LEAST_TAKEN:.0%} of its proposals"
        better = "give it more steps, or use importance" if settings.method == "hmc" else "use hmc or importance"
    else:
        low = accepted * 2 * (settings.proposals or 1) < LEAST_EFFECTIVE
        told = f"rests on fewer than {LEAST_EFFECTIVE:.0f} effective proposals"
        better = "give it more proposals, or use hmc where the latents are real-valued"
    if not low.any():
        return None
    return (
        f"{settings.method} {told} in {int(low.sum())} of {len(low)} rows: their means may be off and their intervals "
        f"too narrow; {better}."
    )


def _never_given(given: np.ndarray, columns: Columns) -> str | None:
    if columns.trained is not None:
        unknown = np.asarray(~np.asarray(columns.trained, bool) & ~given.all(0))
        if not unknown.any():
            return None
        return (
            f"No training row had {columns.listing(unknown)}: the model knows nothing of it, and the numbers filled in "
            "are invented; leave it out, or fit to data that have it."
        )
    unknown = np.asarray(~given.any(0))
    if len(given) < 2 or not unknown.any():
        return None
    return (
        f"No row has {columns.listing(unknown)}: its numbers come from training alone, and are invented if it was "
        "missing there too."
    )


def _given_range(result: Imputation, given: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each column the least and the largest value given, and whether there are enough of them to judge by."""
    least = np.where(given, result.mean, np.inf).min(0, initial=np.inf)
    most = np.where(given, result.mean, -np.inf).max(0, initial=-np.inf)
    return least, most, given.sum(0) >= _ENOUGH


def _far_out(result: Imputation, given: np.ndarray, columns: Columns) -> str | None:
    """Columns whose intervals reach far beyond all values that were given."""
    least, most, judged = _given_range(result, given)
    with np.errstate(invalid="ignore"):
        room = _FAR * (most - least)
        out = (result.low < least - room) | (result.high > most + room)
    far = (out & ~given).any(0) & judged & (most > least)  # a constant's own noise is no spread
    if not far.any():
        return None
    worst = int(np.flatnonzero(far)[0])
    hidden, shift = ~given[:, worst], columns.shift(worst)
    return (
        f"Intervals of {columns.listing(np.asarray(far))} reach far beyond all values given (of the first, from "
        f"{result.low[hidden, worst].min() + shift:.4g} to {result.high[hidden, worst].max() + shift:.4g}, where "
        f"values go from {least[worst] + shift:.4g} to {most[worst] + shift:.4g}): the model's spread of it has run "
        "away; do not use its intervals or draws, and fit a likelihood that suits it."
    )


def _means_out(result: Imputation, given: np.ndarray, columns: Columns) -> str | None:
    """Columns with filled means that no value given is near, which the location of a normal does not rule out.

    Of a column with two values every mean lies between them; of others some lie a little beyond, where a row is unlike
    the rest.
    """
    least, most, judged = _given_range(result, given)
    both = ((result.mean == least) | (result.mean == most) | ~given).all(0)
    with np.errstate(invalid="ignore"):
        room = np.where(both, _BEYOND_TWO, _BEYOND) * (most - least)
        out = (result.mean < least - room) | (result.mean > most + room)
    far = (out & ~given).any(0) & judged & (most > least)
    if not far.any():
        return None
    worst = int(np.flatnonzero(far)[0])
    shift, filled = columns.shift(worst), result.mean[~given[:, worst], worst]
    return (
        f"Filled means of {columns.listing(np.asarray(far))} lie outside the range of all values given (of the first, "
        f"from {filled.min() + shift:.4g} to {filled.max() + shift:.4g}, where values go from "
        f"{least[worst] + shift:.4g} to {most[worst] + shift:.4g}): the model extrapolates; check these rows, or fit a "
        "likelihood that suits the column."
    )
