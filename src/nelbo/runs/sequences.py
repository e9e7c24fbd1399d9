"""Single sequences of a run's data: a series by its name, a film by its row."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from nelbo.core import Example, InputError
from nelbo.data import FetchProgress, LongSeries
from nelbo.runs.folder import Run
from nelbo.runs.forecasts import last_windows, series_rows
from nelbo.tasks import rows_as_seen


def sequences_named(
    run: Run,
    which: Sequence[str],
    data: str | None = None,
    split: str | None = None,
    *,
    progress: FetchProgress | None = None,
) -> tuple[Example, LongSeries | None]:
    """Sequences as the run's model takes them: the last windows of series, or films.

    Args:
        run: on series or films.
        which: names of series; of films and other arrays the numbers of rows, from 0.
        data: like those of the run; None for its own.
        split: of films; None: see `Run.rows`.
        progress: told while data are fetched.

    Returns:
        As many examples as were named, and the series that they are windows of, if they are.

    Raises:
        InputError: no such series or row, or a run on other data.
    """
    schema = run.fitted_data.schema
    if schema is not None and schema.series is not None:
        rows = series_rows(run, data)
        names = [name for name, _ in rows.bounds()]
        windows = last_windows(rows, schema.series)
        known = {names[number]: place for place, number in enumerate(windows.series.tolist())}
        for name in which:
            if name not in known:
                shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
                raise InputError(f"{rows.where} has no series {name!r}: name two of {shown}.")
        places = [known[name] for name in which]
        context = None if schema.series.regular else jnp.asarray(windows.context(schema.series.step)[places])
        return Example(jnp.asarray(windows.x[places]), jnp.asarray(windows.observed[places]), context=context), rows
    found, source = run.rows(data, split, progress=progress)
    numbers = []
    for name in which:
        if not name.isdecimal() or int(name) >= len(source):
            raise InputError(f"{name!r} is no sequence of {found.name}: give the number of a row, from 0 to "
                             f"{len(source) - 1}.")  # fmt: skip
        numbers.append(int(name))
    return jax.tree.map(jnp.asarray, rows_as_seen(source, np.array(numbers))), None
