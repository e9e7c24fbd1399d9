"""Events of users (purchases, diagnoses, messages) as sequences of gaps and marks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError, choice
from nelbo.data.cuts import DEFAULT_FRACTION, Cuts
from nelbo.data.events_schema import Events
from nelbo.data.formats import read_npz
from nelbo.data.long import table_times
from nelbo.data.reading import ReadTable, read_csv, read_parquet
from nelbo.data.roles import shown_names
from nelbo.data.schema import Schema
from nelbo.data.splits import Data, Split
from nelbo.data.streams import Stream
from nelbo.data.tables import UserTable

MOST_MARKS = 1000
USUAL_EVENTS = 64  # events in one example at most


@dataclass(frozen=True)
class EventRows:
    """Events, sorted by user and time.

    Args:
        where: the file.
        names: of the columns of user, time and mark, and maybe of what tells the sequences of a user apart.
        users: `(n,)` text.
        times: `(n,)` float64, seconds since 1970 where times are dates.
        marks: `(n,)` text.
        dated: whether times are dates.
        notes: what was left out.
        table: the user's table; None of arrays.
        sequences: `(n,)` numbers that tell the sequences of a user apart, in the order of their ends.
    """

    where: str
    names: tuple[str, ...]
    users: np.ndarray
    times: np.ndarray
    marks: np.ndarray
    dated: bool
    notes: tuple[str, ...] = ()
    table: UserTable | None = None
    sequences: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    def parts(self, rows: slice) -> list[slice]:
        """The sequences of a user, in the order of their ends."""
        cuts = np.flatnonzero(np.diff(self.sequences[rows])) + rows.start + 1
        return [slice(int(a), int(b)) for a, b in zip([rows.start, *cuts], [*cuts, rows.stop], strict=True)]

    def bounds(self) -> list[tuple[str, slice]]:
        """Each user with the events."""
        starts = np.flatnonzero(np.append(True, self.users[1:] != self.users[:-1]))
        ends = [*starts[1:], len(self.users)]
        return [(str(self.users[a]), slice(int(a), int(b))) for a, b in zip(starts, ends, strict=True)]


def read_events(path: Path | str, names: Sequence[str], *, header: bool | None = None) -> EventRows:
    """Read events; rows with a blank are left out, and it is said.

    Args:
        path: a table (.csv, .tsv, .parquet), or a `.npz` file of equally long arrays.
        names: of the columns of user, time and mark; a fourth one tells the sequences of a user apart.
        header: whether the first line of a CSV file names its columns; None finds out.

    Raises:
        InputError: no such file or column, times that are none, or no event at all.
    """
    path = Path(path)
    if len(names) not in {3, 4} or len(set(names)) != len(names):
        raise InputError("Say which columns hold user, time and mark of each event: --columns USER,TIME,MARK, and "
                         "maybe a fourth that tells the sequences of a user apart.")  # fmt: skip
    if not path.exists():
        raise InputError(f"There is no file {path}: correct the path; a table of events was expected.")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _from_arrays(path, names)
    if suffix not in {".csv", ".tsv", ".parquet"}:
        raise InputError(f"{path} is no table of events: a .csv, .tsv, .parquet or .npz file was expected.")
    return _from_table(read_parquet(path) if suffix == ".parquet" else read_csv(path, header=header, known=list(names)), names)  # fmt: skip  # noqa: E501


def _from_table(reading: ReadTable, names: Sequence[str]) -> EventRows:
    table = reading.table
    shown = shown_names(table.names)
    for name in names:
        choice("column", name, shown)
    contents = dict(zip(shown, reading.contents, strict=True))
    notes = list(reading.notes)
    user, mark, *session = (contents[names[i]] for i in (0, 2, 3)[: len(names) - 1])
    times, dated, _ = table_times(table.where, {"time": names[1]}, contents, len(table), notes)
    texts = [np.array([*one.texts, ""], object)[one.codes] for one in (user, mark, *session)]
    keep = (user.codes >= 0) & (mark.codes >= 0) & ~np.isnan(times)
    for one in session:
        keep &= one.codes >= 0
    return replace(_sorted(table.where, names, texts, times, keep, notes), dated=dated, table=table)


def _from_arrays(path: Path, names: Sequence[str]) -> EventRows:
    arrays = read_npz(path)
    for name in names:
        choice("array", name, arrays)
    found = [arrays[name] for name in names]
    if len({one.shape for one in found}) != 1 or found[0].ndim != 1 or found[1].dtype.kind not in "buif":
        raise InputError(f"{path}: {', '.join(names)} must be vectors of one length, the times numbers.")
    users, marks, *session = (np.array([str(v) for v in one.tolist()], object) for one in (found[0], *found[2:]))
    named = arrays.get(f"{names[2]}_names")
    if named is not None and found[2].dtype.kind in "ui":
        marks = np.array([str(one) for one in named], object)[found[2]]
    times = found[1].astype(float)
    return _sorted(str(path), names, [users, marks, *session], times, ~np.isnan(times), [])


def _sorted(
    where: str, names: Sequence[str], texts: Sequence[np.ndarray], times: np.ndarray, keep: np.ndarray, notes: list[str]
) -> EventRows:
    if np.isinf(times).any():
        raise InputError(f"{where}: the time in row {int(np.argmax(np.isinf(times)))} is infinite: give a number.")
    if not keep.any():
        raise InputError(f"{where}: no row has a user, a time and a mark; at least one event was expected.")
    if not keep.all():
        notes.append(f"{where}: {int((~keep).sum())} rows with a blank among {', '.join(names)} were left out.")
    times, (users, marks, *session) = times[keep], [one[keep] for one in texts]
    _, codes = np.unique(users.astype(str), return_inverse=True)
    rank = np.zeros(len(times), int)
    if session:
        _, both = np.unique([f"{c} {s}" for c, s in zip(codes, session[0], strict=True)], return_inverse=True)
        ends = np.full(int(both.max()) + 1, -np.inf)
        np.maximum.at(ends, both, times)
        rank = np.argsort(np.lexsort((np.arange(len(ends)), ends)))[both]
    order = np.lexsort((times, rank, codes))
    return EventRows(where, tuple(map(str, names)), users[order], times[order], marks[order], dated=False,
                     notes=tuple(notes), sequences=rank[order])  # fmt: skip


def load_events(
    path: Path,
    names: Sequence[str],
    *,
    cuts: Cuts,
    window: int | None = None,
    others: int = 0,
    header: bool | None = None,
    like: Schema | None = None,
) -> Data:
    """Sequences of events in splits, by user: an example is `(events, 2)`, gap and mark, see `PointProcess`.

    Nobody knows how long a user was watched before the first event and after the last one: the time of the first event
    and the silence after the last one are not scored. A long sequence is cut into windows, each of which begins with
    the gap from the event before it.

    Args:
        path: see `read_events`.
        names: see `read_events`.
        cuts: how many users to hold out.
        window: events in an example at most; None: as many as the longest sequence has, up to 64.
        others: how many other sequences of the user are the context of each, `(others, events, 4)`: gap, mark, and
            which of the two are there. The nearest in their order are taken; the sequence itself is not among them.
        header: whether the first line of a CSV file names its columns; None finds out.
        like: the schema of data that a model was fitted to: its names, marks, unit and held-out users are used.

    Raises:
        InputError: see `read_events`; too few users, or a mark that the model was not fitted to.
    """
    known = None if like is None else like.events
    found = read_events(path, names if known is None else known.names, header=header)
    events = _described(found, window, cuts) if known is None else known
    check_marks(found, events)
    place = {user: i for i, ids in enumerate(events.held, 1) for user in ids}
    parts: dict[str, list[tuple[np.ndarray, ...]]] = {"train": [], "valid": [], "test": []}
    for user, rows in found.bounds():
        own = _sequences(found, rows, events)
        parts[("train", "valid", "test")[place.get(user, 0)]] += [
            (*one, _beside(own, i, others)) for i, one in enumerate(own)
        ]
    splits = {}
    for name, part in parts.items():
        if part:
            x, observed, context = (np.stack(arrays) for arrays in zip(*part, strict=True))
            splits[name] = Split(x, observed=observed, context=context if others else None)
    schema = like or Schema((events.window, 2), "real", events=events)
    count, users = len(found.users), len(found.bounds())
    said = f"{path}: {count} events of {len(events.marks)} kinds of {users} users, split by user; the unit of time is their mean gap, {events.unit:g}."  # fmt: skip  # noqa: E501
    return Data(Path(path).stem, splits, schema, source=str(path), table=found.table, notes=(*found.notes, said))


def check_marks(found: EventRows, events: Events) -> None:
    """Refuse marks that a model was not fitted to.

    Raises:
        InputError: there are some.
    """
    unknown = sorted(set(found.marks.tolist()) - set(events.marks))
    if unknown:
        raise InputError(
            f"{found.where} has marks that the model was not fitted to ({', '.join(unknown[:5])}): leave them out."
        )


def _described(found: EventRows, window: int | None, cuts: Cuts) -> Events:
    marks = tuple(sorted(set(found.marks.tolist())))
    if len(marks) > MOST_MARKS:
        raise InputError(f"{found.where} has {len(marks)} kinds of events in {found.names[2]!r}, more than "
                         f"{MOST_MARKS}: is it the column of marks?")  # fmt: skip
    users = [user for user, _ in found.bounds()]
    shares = [DEFAULT_FRACTION if part is None else part for part in (cuts.valid, cuts.test)]
    if any(not 0.0 <= share < 1.0 for share in shares) or sum(shares) >= 1.0:
        raise InputError(
            f"Fractions {shares} leave nothing to train on: give numbers from 0 to 1 whose sum is below 1."
        )
    counts = [max(1, round(share * len(users))) if share > 0 else 0 for share in shares]
    if len(users) <= sum(counts):
        raise InputError(f"{found.where} has {len(users)} users, too few to hold {sum(counts)} out: hold out less.")
    chosen = [users[i] for i in Stream("split", cuts.seed).permutation(len(users))]
    held = (tuple(chosen[: counts[0]]), tuple(chosen[counts[0] : sum(counts)]))
    out = {user for ids in held for user in ids}
    parts = [(user, part) for user, rows in found.bounds() for part in found.parts(rows)]
    gaps = np.concatenate([np.diff(found.times[part]) for user, part in parts if user not in out])
    mean = float(gaps.mean()) if len(gaps) else 0.0
    longest = max(part.stop - part.start for _, part in parts)
    size = min(longest, USUAL_EVENTS) if window is None else window
    if size < 1 or size > longest:
        raise InputError(f"A window has 1 to {longest} events, as many as the longest sequence of {found.where} has, "
                         f"got {size}.")  # fmt: skip
    return Events(found.names, marks, mean if mean > 0 else 1.0, found.dated, size, held)


def _sequences(found: EventRows, rows: slice, events: Events) -> list[tuple[np.ndarray, np.ndarray]]:
    """The windows of one user, or of one sequence: values and what is observed of them."""
    whole = found.parts(rows)
    if len(whole) > 1:
        return [window for part in whole for window in _sequences(found, part, events)]
    number = {mark: i for i, mark in enumerate(events.marks)}
    times = found.times[rows]
    whole = np.stack([np.append(0.0, np.diff(times)) / events.unit, [number[m] for m in found.marks[rows].tolist()]], 1)
    seen = np.ones(whole.shape, bool)
    seen[0, 0] = False
    parts = []
    for start in range(0, len(whole), events.window):
        value = np.zeros((events.window, 2), np.float32)
        observed = np.zeros(value.shape, bool)
        part = whole[start : start + events.window]
        value[: len(part)], observed[: len(part)] = part, seen[start : start + events.window]
        parts.append((value, observed))
    return parts


def _beside(own: Sequence[tuple[np.ndarray, np.ndarray]], place: int, count: int) -> np.ndarray:
    """The sequences of a user that are nearest to one of them, without that one."""
    found = np.zeros((count, len(own[0][0]), 4), np.float32)
    others = sorted((abs(i - place), i) for i in range(len(own)) if i != place)[:count]
    for row, (_, i) in enumerate(others):
        value, there = own[i]
        found[row] = np.concatenate([np.where(there, value, 0.0), there], 1)
    return found


def last_events(
    found: EventRows, events: Events, *, others: int = 0
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray | None]:
    """The last window of each user: ids, values, what is observed, and the context (see `load_events`).

    Args:
        found: the events.
        events: what they are.
        others: sequences of the context; 0: there is none.
    """
    check_marks(found, events)
    users: list[str] = []
    rows: list[Any] = []
    context = []
    for user, whole in found.bounds():
        part = found.parts(whole)[-1]
        users.append(user)
        cut = max(part.start, part.stop - events.window)
        rows.append(_sequences(found, slice(cut, part.stop), events)[-1])
        before = _sequences(found, slice(whole.start, cut), events) if cut > whole.start and others else []
        context.append(_beside([*before, rows[-1]], len(before), others))
    stacked = np.stack(context) if others else None
    return users, np.stack([x for x, _ in rows]), np.stack([o for _, o in rows]), stacked
