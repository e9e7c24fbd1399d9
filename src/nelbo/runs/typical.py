"""The most and the least typical of a run's test rows, for its report; worked out once and kept in its folder."""

from typing import Any

import jax.random as jr
import numpy as np

from nelbo.core import InputError, write_arrays, write_json
from nelbo.data import Data
from nelbo.evaluation import row_terms
from nelbo.models import boltzmann_machine
from nelbo.runs.folder import TYPICAL, TYPICAL_ARRAYS, Run
from nelbo.runs.novelty import NoveltyAnswer, bits_by_column
from nelbo.tasks import novelty

_ROWS, _SAMPLES, _SHOWN, _CELLS = 500, 20, 8, 10  # looked at, draws for each, shown of either kind, columns of a table


def keep_typical(run: Run) -> bool:
    """Write which of the first test rows are the most and the least typical, unless that was done before.

    A row is typical whose code by the bound is as long as those of the others; one that is shorter is no more usual
    than one that is longer (Nalisnick et al. 2019).

    Args:
        run: finished; nothing is written of models without latents, of Boltzmann machines, whose log Z would be
            annealed first, and of data that are no rows or not there any more.

    Returns:
        Whether the folder holds them.
    """
    if (run.folder / TYPICAL).is_file():
        return True
    model, schema = run.model, run.fitted_data.schema
    if not model.depth or schema is None or not schema.has_rows or boltzmann_machine(model) is not None:
        return False
    try:
        data, source = run.rows(None, "test")
    except InputError:  # the data are gone: a report does not depend on them
        return False
    terms = row_terms(jr.key(run.experiment.seed), model, source.head(_ROWS), num_samples=_SAMPLES)
    found = novelty(terms, terms)
    order = np.argsort(np.abs(found.excess), kind="stable")
    count = min(_SHOWN, len(order) // 2)
    chosen = {"most": order[:count], "least": order[::-1][:count]}
    answer = NoveltyAnswer(data, found, *bits_by_column(schema, found.entries), ())
    rows = [_row(answer, place, which) for which, places in chosen.items() for place in places.tolist()]
    if schema.is_image:
        top = 255.0 if data.values == "uint8" else 1.0
        arrays = {
            f"{which}_typical": np.asarray(data.only.x[places], np.float32) / top for which, places in chosen.items()
        }
        write_arrays(run.folder / TYPICAL_ARRAYS, arrays, {"kind": "figure data"})
    write_json(run.folder / TYPICAL, {"rows": rows, "of": len(order)})
    return True


def _row(answer: NoveltyAnswer, place: int, which: str) -> dict[str, Any]:
    """One row for the report: where it stands, how far its code is from the mean, and its first cells."""
    data, split = answer.data, answer.data.only
    number = place if split.index is None else int(split.index[place])
    row: dict[str, Any] = {"typical": which, "row": number if split.ids is None else str(split.ids[place])}
    row["bits beyond the mean"] = round(float(answer.found.excess[place]), 2)
    if data.table is not None:
        if answer.by_column is not None:
            row["unusual columns"] = answer.causes([place])[0]
        row |= _cells(data, number)
    return row


def _cells(data: Data, number: int) -> dict[str, str]:
    table = data.table
    assert table is not None  # asked before
    return {name or f"column {i + 1}": table.cells(i)[number] for i, name in enumerate(table.names[:_CELLS])}
