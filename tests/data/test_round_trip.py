"""Any table, in any dialect, comes back as it was, but for the cells that were missing."""

import csv
import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nelbo.data import filled_table, load_rows

NAMES = ["a", "b c", "größe", 'say "x"', "d,e", "f;g", "h"]
WORDS = ["red", "two words", "semi;colon", "com,ma", 'quo"te', "line\nbreak", "ü", ""]
CELLS = {
    "real": st.floats(-1e6, 1e6).map(lambda v: f"{v:.3f}"),
    "exponent": st.floats(-1e6, 1e6).map(lambda v: f"{v:.6e}"),
    "whole": st.integers(-(10**18), 10**18).map(str),
    "zero-padded": st.integers(0, 999).map(lambda v: f"{v:05d}"),
    "binary": st.sampled_from("01"),
    "truth": st.sampled_from(["True", "False"]),
    "text": st.sampled_from(WORDS),
}


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=5)) + ["real"]
    names = draw(st.permutations(NAMES))[: len(kinds)]
    size = draw(st.integers(2, 6))
    columns = []
    for kind in kinds:
        cells = draw(st.lists(CELLS[kind], min_size=size, max_size=size))
        if kind not in {"text", "truth"}:
            gaps = draw(st.lists(st.sampled_from(["", "NA", None, None, None]), min_size=size - 1, max_size=size - 1))
            cells[1:] = [cell if gap is None else gap for cell, gap in zip(cells[1:], gaps, strict=True)]
        columns.append(cells)
    return kinds, names, columns


@st.composite
def dialects(draw):
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    return {
        "delimiter": delimiter,
        "decimal": draw(st.sampled_from([".", ","])) if delimiter != "," else ".",
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])),
        "line_end": draw(st.sampled_from(["\n", "\r\n"])),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        "ended": draw(st.booleans()),
    }


def text_of(names, columns, kinds, dialect):
    stream = io.StringIO()
    writer = csv.writer(
        stream, delimiter=dialect["delimiter"], quoting=dialect["quoting"], lineterminator=dialect["line_end"]
    )
    writer.writerow(names)
    for row in zip(*columns, strict=True):
        writer.writerow(
            [c if k == "text" else c.replace(".", dialect["decimal"]) for c, k in zip(row, kinds, strict=True)]
        )
    text = stream.getvalue()
    return text if dialect["ended"] else text.removesuffix(dialect["line_end"])


def cells_of(text, delimiter):
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


@settings(max_examples=60, deadline=None)
@given(table=tables(), dialect=dialects())
def test_known_cells_come_back_character_for_character(tmp_path_factory, table, dialect):
    kinds, names, columns = table
    raw = text_of(names, columns, kinds, dialect).encode(dialect["encoding"])
    path = tmp_path_factory.mktemp("round") / "t.csv"
    path.write_bytes(raw)
    data = load_rows(path, header=True)
    split = data.only
    everything = np.ones(split.x.shape, bool)
    assert filled_table(data, split, split.x, everything) == raw
    observed = everything if split.observed is None else split.observed
    filled = filled_table(data, split, np.full(split.x.shape, 0.7, np.float32), observed).decode(dialect["encoding"])
    before, after = (cells_of(t, dialect["delimiter"]) for t in (raw.decode(dialect["encoding"]), filled))
    assert [len(row) for row in after] == [len(row) for row in before]
    gaps = 0
    for old_row, new_row in zip(before[1:], after[1:], strict=True):
        for column, old, new in zip(data.schema.columns, old_row, new_row, strict=True):
            if column.role != "feature" or old not in {"", "NA"}:
                assert new == old
                continue
            gaps += 1
            number = {"True": 1, "False": 0}.get(new) if column.kind == "truth" else float(new.replace(",", "."))
            assert np.isfinite(number)
            assert column.kind not in {"whole", "binary", "truth"} or number == int(number)
    assert gaps == (~observed).sum()
    assert after[0] == before[0]
