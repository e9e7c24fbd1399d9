"""Tables from rows: plain text, Markdown, HTML."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

MISSING = "–"
_MOST_ENTRIES = 24  # of a list in one cell


def cell_text(value: Any) -> str:
    """A JSON value as a person reads it: six digits of a float, yes and no, lists with commas."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {cell_text(entry)}" for key, entry in value.items()) or MISSING
    if isinstance(value, list | tuple):
        shown = ", ".join(map(cell_text, value[:_MOST_ENTRIES])) or MISSING
        return shown if len(value) <= _MOST_ENTRIES else f"{shown}, … ({len(value)} entries)"
    return str(value)


def text_table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """Rows as aligned plain text, numbers to the right.

    Args:
        rows: dictionaries from heading to value; a missing or None value is shown as a dash.
        columns: the headings in order; those of the rows, in order of appearance, if not given.
    """
    headings, body, right = _layout(rows, columns)
    body = [[_one_line(cell) for cell in line] for line in body]
    widths = [max(map(len, column)) for column in zip(headings, *body, strict=True)]

    def line(cells: Sequence[str]) -> str:
        placed = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(cells, widths, right, strict=True))
        return "  ".join(placed).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(headings), rule, *map(line, body)]) + "\n" if headings else ""


def markdown_table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """Rows as a Markdown table, numbers to the right; text in cells cannot break out of it.

    Args:
        rows: dictionaries from heading to value; a missing or None value is shown as a dash.
        columns: the headings in order; those of the rows, in order of appearance, if not given.
    """
    headings, body, right = _layout(rows, columns)
    if not headings:
        return ""
    lines = [headings, ["---:" if flag else "---" for flag in right], *body]
    escaped = [[_markdown(cell) for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def html_table(
    rows: Sequence[Row], columns: Sequence[str] | None = None, *, caption: str = "", kind: str = "numbers"
) -> str:
    """Rows as an HTML table, every cell escaped; the first cell of a row is its heading.

    Args:
        rows: dictionaries from heading to value; a missing or None value is shown as a dash.
        columns: the headings in order; those of the rows, in order of appearance, if not given.
        caption: a line that names the table.
        kind: "numbers" sets columns of numbers to the right and breaks no line; "texts" sets all to the left;
            "settings" is "texts" with headings for screen readers alone. Also the table's class.
    """
    headings, body, right = _layout(rows, columns)
    if not headings:
        return ""
    kinds = [' class="number"' if flag and kind == "numbers" else "" for flag in right]
    head = "".join(f'<th scope="col"{k}>{html.escape(h)}</th>' for h, k in zip(headings, kinds, strict=True))
    lines = []
    for cells in body:
        first = f'<th scope="row"{kinds[0]}>{html.escape(cells[0])}</th>'
        rest = (f"<td{k}>{html.escape(c)}</td>" for c, k in zip(cells[1:], kinds[1:], strict=True))
        lines.append(f"<tr>{first}{''.join(rest)}</tr>")
    top = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    table = f'<table class="{kind}">{top}<thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def fixed(value: Any, decimals: int) -> str:
    """A finite number with fixed decimals; other values as `cell_text` shows them."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return cell_text(value)
    return f"{value:.{decimals}f}"


def _layout(rows: Sequence[Row], columns: Sequence[str] | None) -> tuple[list[str], list[list[str]], list[bool]]:
    """Headings, texts of the cells, and whether each column holds numbers only."""
    headings = list(dict.fromkeys(key for row in rows for key in row)) if columns is None else list(columns)
    body = [[cell_text(row.get(heading)) for heading in headings] for row in rows]
    right = [bool(body) and all(_is_number(line[place]) for line in body) for place in range(len(headings))]
    return headings, body, right


def _is_number(text: str) -> bool:
    """Whether a cell is a number, a percentage or the dash for none."""
    if text == MISSING:
        return True
    try:
        float(text.removesuffix("%"))
    except ValueError:
        return False
    return True


def _one_line(text: str) -> str:
    """Text without line ends or other control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _markdown(text: str) -> str:
    """Text that means itself inside a cell."""
    for letter in "\\|`*_[]":
        text = text.replace(letter, f"\\{letter}")
    return html.escape(_one_line(text), quote=False)
