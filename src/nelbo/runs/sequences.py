"""Single sequences of a run's data: a series by its name, a film by its row."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import Example, InputError
from nelbo.data import FetchProgress, LongSeries, cut_windows
from nelbo.runs.folder import Run
from nelbo.runs.forecasts import last_windows, most_central, series_of, series_rows
from nelbo.runs.novel_times import window_source
from nelbo.tasks import embed, rows_as_seen, sequence_codes


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


def codes_of_rows(key: Key[Array, ""], run: Run, rows: LongSeries) -> dict[str, Float[np.ndarray, " rows"]]:
    """Posterior means of the codes of each row, by name: z1, z2, ... of its frame, and f1, f2, ... of its window where
    the model has a static code. A row is taken from the window in which it is most central.

    Args:
        key: for models that draw.
        run: on series.
        rows: the series.
    """
    series = series_of(run)
    stride = max(1, series.window // 2)
    window, frame = most_central(cut_windows(rows, series, stride=stride, every=True), len(rows.ids))
    source = window_source(run, rows, stride)
    found: dict[str, np.ndarray] = {}
    if run.model.has_static_code:
        static, dynamic = sequence_codes(run.model, source)
        found |= {f"f{i + 1}": column for i, column in enumerate(static[window].T)}
    else:
        whole = embed(key, run.model, source)
        dynamic = whole.reshape(len(whole), series.window, math.prod(whole.shape[1:]) // series.window)
    return found | {f"z{i + 1}": column for i, column in enumerate(dynamic[window, frame].T)}
