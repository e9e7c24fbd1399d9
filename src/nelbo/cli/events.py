"""`nelbo forecast` and `nelbo embed` of events: the next event of each user, and what a user is like."""

import argparse
from pathlib import Path

import jax.random as jr
import numpy as np

from nelbo.cli.output import note, print_json
from nelbo.cli.writing import check_form, tell
from nelbo.core import InputError, atomic_write
from nelbo.data import TABLES, Events, array_bytes, frame_bytes
from nelbo.runs import NextEvents, Run, next_events, user_codes

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
                             "each user is predicted: leave it out.")  # fmt: skip
    path = Path(options.output or run.folder / "forecast.csv")
    check_form(path, _FORMS)
    if not 0.0 < options.interval < 1.0:
        raise InputError(f"The interval's probability is inside (0, 1), got {options.interval}.")
    found = next_events(jr.key(options.seed), run, options.data, draws=options.draws)
    for text in found.notes:
        note(options, text)
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


def embed_events(options: argparse.Namespace, run: Run) -> None:
    """Write the posterior means of the latents of users, a row for each.

    Raises:
        InputError: an option about rows, another form of file, or a model without latents.
    """
    for name in ("split", "refine"):
        if vars(options)[name] is not None:
            raise InputError(f"--{name} is about rows, and {run.folder} is a run on events, whose users are embedded: "
                             "leave it out.")  # fmt: skip
    path = Path(options.output or run.folder / "embedding.csv")
    check_form(path, (*_FORMS, ".npy", ".npz"))
    users, codes = user_codes(jr.key(options.seed), run, options.data)
    if path.suffix in _FORMS:
        import pandas as pd

        schema = run.fitted_data.schema
        assert schema is not None  # user_codes has asked
        assert schema.events is not None
        columns = {schema.events.names[0]: list(users)} | {f"z{i + 1}": column for i, column in enumerate(codes.T)}
        content = frame_bytes(pd.DataFrame(columns), path.suffix)
    else:
        content = array_bytes(codes, path.suffix, ids=np.array(users))
    with atomic_write(path) as file:
        file.write(content)
    tell(options, path, codes.shape)
