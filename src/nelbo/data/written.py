"""Arrays and data frames as the bytes of a file, in every form that nelbo reads."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from nelbo.data.columns import Dialect


def frame_bytes(frame: Any, suffix: str, dialect: Dialect | None = None) -> bytes:
    """A data frame as a file, without its index where the form allows it; numbers as text have eight digits.

    Args:
        frame: the columns, a pandas data frame.
        suffix: one of `TABLES`.
        dialect: of text; commas (tabs in .tsv), points and UTF-8 where there is none.
    """
    if suffix in {".csv", ".tsv"}:
        form = dialect or Dialect(delimiter="\t" if suffix == ".tsv" else ",")
        text = frame.to_csv(index=False, float_format="%.8g", sep=form.delimiter, decimal=form.decimal,
                            lineterminator=form.line_end)  # fmt: skip
        return text.encode(form.encoding, errors="replace")
    stream = io.BytesIO()
    if suffix == ".feather":
        frame.reset_index(drop=True).to_feather(stream)
    elif suffix == ".xlsx":
        frame.to_excel(stream, index=False)
    else:
        frame.to_parquet(stream)
    return stream.getvalue()


def array_bytes(
    values: np.ndarray, suffix: str, *, ids: np.ndarray | None = None, names: Sequence[str] | None = None
) -> bytes:
    """An array with a row for each example as a file that nelbo reads again.

    `.npz` holds it as `x`, beside `ids`. Text without ids and names has no header; in other tables columns without a
    name are x1, x2, ...

    Args:
        values: `(rows, ...)`; `(rows, columns)` for tables.
        suffix: `.npy`, `.npz` or one of `TABLES`.
        ids: `(rows,)`, what tells the rows apart, such as names of pictures; not in `.npy`.
        names: of the columns of a table.
    """
    stream = io.BytesIO()
    if suffix == ".npy":
        np.save(stream, values, allow_pickle=False)
    elif suffix == ".npz":
        beside = {} if ids is None else {"ids": np.asarray(ids, str)}
        np.savez_compressed(stream, allow_pickle=False, x=values, **beside)
    elif suffix in {".csv", ".tsv"} and ids is None and names is None:
        # sixteen digits where small differences may stand on a large offset
        form = "%.16g" if values.dtype == np.float64 else "%.8g"
        np.savetxt(stream, values, delimiter="\t" if suffix == ".tsv" else ",", fmt=form)
    else:
        import pandas as pd

        names = [f"x{i + 1}" for i in range(values.shape[1])] if names is None else list(names)
        columns = dict(zip(names, values.T, strict=True))
        return frame_bytes(pd.DataFrame(columns if ids is None else {"file": ids, **columns}), suffix)
    return stream.getvalue()
