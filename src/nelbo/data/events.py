"""Events of users (purchases, diagnoses, messages) as sequences of gaps and marks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
        names: of the columns of user, time and mark.
        users: `(n,)` text.
        times: `(n,)` float64, seconds since 1970 where times are dates.
        marks: `(n,)` text.
        dated: whether times are dates.
        notes: what was left out.
        table: the user's table; None of arrays.
    """

    where: str
    names: tuple[str, str, str]
    users: np.ndarray
    times: np.ndarray
    marks: np.ndarray
    dated: bool
    notes: tuple[str, ...] = ()
    table: UserTable | None = None

    def bounds(self) -> list[tuple[str, slice]]:
        """Each user with the events."""
        starts = np.flatnonzero(np.append(True, self.users[1:] != self.users[:-1]))
        ends = [*starts[1:], len(self.users)]
        return [(str(self.users[a]), slice(int(a), int(b))) for a, b in zip(starts, ends, strict=True)]


def read_events(path: Path | str, names: Sequence[str], *, header: bool | None = None) -> EventRows:
    """Read events; rows with a blank are left out, and it is said.

    Args:
        path: a table (.csv, .tsv, .parquet), or a `.npz` file of equally long arrays.
        names: of the columns of user, time and mark.
        header: whether the first line of a CSV file names its columns; None finds out.

    Raises:
        InputError: no such file or column, times that are none, or no event at all.
    """
    path = Path(path)
    if len(names) != 3 or len(set(names)) != 3:
        raise InputError("Say which columns hold user, time and mark of each event: --columns USER,TIME,MARK.")
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
    user, mark = (contents[names[i]] for i in (0, 2))
    times, dated, _ = table_times(table.where, {"time": names[1]}, contents, len(table), notes)
    texts = [np.array([*one.texts, ""], object)[one.codes] for one in (user, mark)]
    keep = (user.codes >= 0) & (mark.codes >= 0) & ~np.isnan(times)
    return replace(_sorted(table.where, names, texts[0], times, texts[1], keep, notes), dated=dated, table=table)


def _from_arrays(path: Path, names: Sequence[str]) -> EventRows:
    arrays = read_npz(path)
    for name in names:
        choice("array", name, arrays)
    found = [arrays[name] for name in names]
    if len({one.shape for one in found}) != 1 or found[0].ndim != 1 or found[1].dtype.kind not in "buif":
        raise InputError(f"{path}: {', '.join(names)} must be vectors of one length, the times numbers.")
    users, marks = (np.array([str(one) for one in found[i].tolist()], object) for i in (0, 2))
    named = arrays.get(f"{names[2]}_names")
    if named is not None and found[2].dtype.kind in "ui":
        marks = np.array([str(one) for one in named], object)[found[2]]
    times = found[1].astype(float)
    return _sorted(str(path), names, users, times, marks, ~np.isnan(times), [])


def _sorted(
    where: str, names: Sequence[str], users: np.ndarray, times: np.ndarray, marks: np.ndarray, keep: np.ndarray,
    notes: list[str],
) -> EventRows:  # fmt: skip
    if np.isinf(times).any():
        raise InputError(f"{where}: the time in row {int(np.argmax(np.isinf(times)))} is infinite: give a number.")
    if not keep.any():
        raise InputError(f"{where}: no row has a user, a time and a mark; at least one event was expected.")
    if not keep.all():
        notes.append(f"{where}: {int((~keep).sum())} rows with a blank among {', '.join(names)} were left out.")
    users, times, marks = users[keep], times[keep], marks[keep]
    _, codes = np.unique(users.astype(str), return_inverse=True)
    order = np.lexsort((times, codes))
    triple = (str(names[0]), str(names[1]), str(names[2]))
    return EventRows(where, triple, users[order], times[order], marks[order], dated=False, notes=tuple(notes))


def load_events(
    path: Path,
    names: Sequence[str],
    *,
    cuts: Cuts,
    window: int | None = None,
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
        window: events in an example at most; None: as many as the longest user has, up to 64.
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
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"train": [], "valid": [], "test": []}
    for user, rows in found.bounds():
        parts[("train", "valid", "test")[place.get(user, 0)]] += _sequences(found, rows, events)
    splits = {name: Split(np.stack([x for x, _ in part]), observed=np.stack([o for _, o in part]))
              for name, part in parts.items() if part}  # fmt: skip
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
    gaps = np.concatenate([np.diff(found.times[rows]) for user, rows in found.bounds() if user not in out])
    mean = float(gaps.mean()) if len(gaps) else 0.0
    longest = max(rows.stop - rows.start for _, rows in found.bounds())
    size = min(longest, USUAL_EVENTS) if window is None else window
    return Events(found.names, marks, mean if mean > 0 else 1.0, found.dated, size, held)


def _sequences(found: EventRows, rows: slice, events: Events) -> list[tuple[np.ndarray, np.ndarray]]:
    """The windows of one user: values and what is observed of them."""
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


def last_events(found: EventRows, events: Events) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The last window of each user: ids, values and what is observed."""
    check_marks(found, events)
    users: list[str] = []
    rows: list[Any] = []
    for user, part in found.bounds():
        users.append(user)
        rows.append(_sequences(found, slice(max(part.start, part.stop - events.window), part.stop), events)[-1])
    return users, np.stack([x for x, _ in rows]), np.stack([o for _, o in rows])
