"""`nelbo forecast` of events: the next event of each user."""

import argparse
from pathlib import Path

import jax.random as jr
import numpy as np

from nelbo.cli.output import note, print_json
from nelbo.core import InputError, atomic_write
from nelbo.data import TABLES, Events, frame_bytes
from nelbo.runs import NextEvents, Run, next_events

_FORMS = TABLES


def check_rows(run: Run, task: str) -> None:
    """Refuse a task that is about rows.

    Raises:
        InputError: the run is on events.
    """
    schema = run.fitted_data.schema
    if schema is not None and schema.events is not None:
        raise InputError(f"{run.folder} is a run on events, which `nelbo {task}` is not for: see `nelbo forecast` and "
                         "`nelbo evaluate`.")  # fmt: skip


def forecast_events(options: argparse.Namespace, run: Run) -> None:
    """Write for each user when the next event comes, and the probability of each mark.

    Raises:
        InputError: an option of series, or another form of file.
    """
    for name in ("horizon", "history", "chart"):
        if vars(options)[name] is not None:
            raise InputError(f"--{name} is about series, and {run.folder} is a run on events, of which the next one of "
                             "each user is foretold: leave it out.")  # fmt: skip
    path = Path(options.output or run.folder / "forecast.csv")
    if path.suffix not in _FORMS or path.is_dir():
        raise InputError(f"Cannot write {path}: choose the name of a file that ends in {' or '.join(_FORMS)}.")
    if not 0.0 < options.interval < 1.0:
        raise InputError(f"The interval's probability is inside (0, 1), got {options.interval}.")
    found = next_events(jr.key(options.seed), run, options.data, draws=options.draws)
    events = run.fitted_data.schema.events if run.fitted_data.schema is not None else None
    assert events is not None  # next_events has asked
    frame = _columns(found, events, options.interval)
    import pandas as pd

    table = pd.DataFrame(frame)
    content = frame_bytes(table, path.suffix)
    with atomic_write(path) as file:
        file.write(content)
    if options.json:
        shown = {name: [None if isinstance(v, float) and not np.isfinite(v) else v for v in column]
                 for name, column in frame.items()}  # fmt: skip
        print_json({"file": str(path), "users": len(found.users), "draws": options.draws, "columns": shown})
        return
    note(options, f"Wrote {path}: the next event of {len(found.users)} users")


def _columns(found: NextEvents, events: Events, level: float) -> dict[str, list]:
    """The quantiles of the time of the next event, whether one comes at all, and of which kind it is."""
    user, time, mark = events.names[:3]
    ends = np.quantile(found.gaps, [0.5 - 0.5 * level, 0.5, 0.5 + 0.5 * level], axis=1, method="inverted_cdf")
    columns: dict[str, list] = {user: list(found.users), f"{time}_last": found.since.tolist()}
    for name, gap in zip(("low", "median", "high"), ends, strict=True):
        columns[f"{time}_{name}"] = (found.since + gap).tolist()
    columns["comes"] = np.isfinite(found.gaps).mean(1).tolist()
    for i, name in enumerate(events.marks):
        columns[f"{mark} = {name}"] = found.marks[:, i].tolist()
    return columns
