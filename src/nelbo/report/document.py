"""A page as a list of blocks, written as Markdown with pictures beside it and as one HTML file."""

import dataclasses
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nelbo.core import atomic_write
from nelbo.report.markup import code, document, figure
from nelbo.report.picture import Picture
from nelbo.report.style import LIGHT, save_png
from nelbo.report.tables import html_table, markdown_table


@dataclasses.dataclass(frozen=True)
class Heading:
    """Starts a section."""

    text: str


@dataclasses.dataclass(frozen=True)
class Text:
    """Plain paragraphs, or the points of a list."""

    lines: tuple[str, ...]
    points: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows, as `markdown_table` takes them."""

    rows: Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Code:
    """Text as it is; `language` is for Markdown."""

    text: str
    language: str = ""


Block = Heading | Text | Table | Code | Picture


def write_document(title: str, blocks: Sequence[Block], folder: Path | str) -> list[Path]:
    """Write `page.md`, its pictures in `figures/`, and `page.html`, which needs no other file.

    Args:
        title: plain text.
        blocks: the page, from the top.
        folder: where to.

    Returns:
        The files written.

    Raises:
        InputError: a picture cannot be drawn, or a file cannot be written.
    """
    folder = Path(folder)
    drawn = [item for item in blocks if isinstance(item, Picture)]
    written = [save_png(item.draw(LIGHT), folder / "figures" / f"{item.stem}.png") for item in drawn]
    body = "\n".join([f"<h1>{html.escape(title)}</h1>", *map(_html, blocks)])
    pages = {"page.md": "\n".join([f"# {title}\n", *map(_markdown, blocks)]), "page.html": document(title, body)}
    for name, text in pages.items():
        with atomic_write(folder / name) as stream:
            stream.write(text.encode("utf-8", "replace"))
    return [*written, *(folder / name for name in pages)]


def _markdown(block: Block) -> str:
    match block:
        case Heading():
            return f"## {block.text}\n"
        case Text():
            return "\n".join(f"- {line}" if block.points else f"{line}\n" for line in block.lines) + "\n"
        case Table():
            return markdown_table(block.rows)
        case Code():
            return f"```{block.language}\n{block.text}\n```\n"
        case Picture():
            return f"![{block.description}](figures/{block.stem}.png)\n\n{block.heading}. {block.caption}\n"


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f"<h2>{html.escape(block.text)}</h2>"
        case Text():
            tag = "li" if block.points else "p"
            inside = "\n".join(f"<{tag}>{html.escape(line)}</{tag}>" for line in block.lines)
            return f"<ul>{inside}</ul>" if block.points else inside
        case Table():
            return html_table(block.rows)
        case Code():
            return code(block.text)
        case Picture():
            return f"<h3>{html.escape(block.heading)}</h3>\n{figure(block)}"
