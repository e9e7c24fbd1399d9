"""Pieces of HTML that need nothing from outside the page. Text from files is escaped here and nowhere else."""

import base64
import html

import numpy as np
from matplotlib.figure import Figure

from nelbo.report import sorting
from nelbo.report.picture import Picture
from nelbo.report.style import DARK, LIGHT, png_bytes

# the browser itself then refuses all other scripts and anything that is not inside the page
_POLICY = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {sorting.DIGEST}"

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --back: #f6f7f8; --ink: #1f2328; --soft: #5b6370; --line: #e3e5e8;
  --accent: #0072b2; --shade: rgb(31 35 40 / .13); }
@media (prefers-color-scheme: dark) {
  :root { --paper: #181b20; --back: #111317; --ink: #e6e8eb; --soft: #9aa2ad; --line: #2b3038; --accent: #56b4e9;
    --shade: rgb(0 0 0 / .5); }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 55rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.8rem; line-height: 1.25; letter-spacing: -.01em; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.75rem 0 .75rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .4rem; color: var(--soft); font-weight: 600; overflow-wrap: anywhere; }
section, section > div { min-width: 0; }
.lead, .note { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
.note { font-size: .875rem; margin: 0 0 .75rem; max-width: 44rem; }
.headline, figure, .scroll, pre { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
.headline { border-left: 4px solid var(--accent); padding: 1.1rem 1.25rem; margin: 1.5rem 0; }
.headline p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
.headline .value { font-size: 2.1rem; line-height: 1.35; color: var(--ink); font-weight: 600;
  font-variant-numeric: tabular-nums; }
.headline .value small { font-size: 1rem; font-weight: 400; color: var(--soft); }
.headline dl { display: flex; flex-wrap: wrap; gap: .6rem 2rem; margin: .8rem 0 0; padding: .8rem 0 0;
  border-top: 1px solid var(--line); }
.headline dl > div { min-width: 0; }
dt { color: var(--soft); font-size: .8rem; line-height: 1.4; }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figure { padding: 1rem; margin: 0 0 1rem; min-width: 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figure img.pixels { image-rendering: pixelated; }
figure img.plot { width: 100%; }
figcaption { color: var(--soft); font-size: .875rem; line-height: 1.5; margin-top: .9rem; }
.cards { columns: 2 20rem; column-gap: 1rem; }
.cards > section { break-inside: avoid; overflow: hidden; }
.cards > section > h3 { margin-top: .2rem; }
.rows { display: grid; gap: 0 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
.scroll { overflow-x: auto; margin: 0 0 1rem; background:
  linear-gradient(to right, var(--paper) 1.5rem, transparent) 0 0 / 3rem 100% no-repeat local,
  linear-gradient(to left, var(--paper) 1.5rem, transparent) 100% 0 / 3rem 100% no-repeat local,
  linear-gradient(to right, var(--shade), transparent) 0 0 / .7rem 100% no-repeat,
  linear-gradient(to left, var(--shade), transparent) 100% 0 / .7rem 100% no-repeat, var(--paper); }
table { border-collapse: collapse; width: 100%; font-size: .85rem; line-height: 1.45; }
caption { text-align: left; padding: .7rem .6rem .2rem; color: var(--soft); }
th, td { text-align: left; padding: .45rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word; max-width: 30rem; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--soft); font-weight: 600; font-size: .8rem; vertical-align: bottom; }
tbody th { font-weight: 500; }
table.settings thead { position: absolute; clip-path: inset(50%); }
table.settings th:first-child { width: 45%; min-width: 9rem; }
table.settings td { overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
table.numbers tbody > tr > * { white-space: nowrap; }
pre { padding: .9rem 1rem; margin: 0 0 1rem; overflow-x: auto; font-size: .875rem; }
details { margin: 0 0 1rem; }
summary { cursor: pointer; font-weight: 600; padding: .4rem 0; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: .8rem; margin-top: 3rem; }
@media print { body { background: none; } figure, .scroll { break-inside: avoid; } }
"""


def document(title: str, body: str) -> str:
    """A whole page.

    Args:
        title: plain text.
        body: HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}{sorting.STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n<script>{sorting.SCRIPT}</script>\n</body>\n</html>\n"
    )


def section(heading: str, *parts: str, level: int = 2) -> str:
    """A section with a heading; empty text if none of its parts (HTML) holds anything.

    Args:
        heading: plain text.
        parts: HTML.
        level: of the heading, 2 to 6.
    """
    inside = "\n".join(part for part in parts if part)
    return f"<section>\n<h{level}>{html.escape(heading)}</h{level}>\n{inside}\n</section>" if inside else ""


def figure(picture: Picture) -> str:
    """A picture inside the page, with alternative text and a caption; plots come for light and for dark pages."""
    light = _data_uri(picture.draw(LIGHT))
    kind = "plot" if picture.themed else "pixels"
    image = f'<img class="{kind}" src="{light}" alt="{html.escape(picture.description)}">'
    if picture.themed:
        dark = _data_uri(picture.draw(DARK))
        image = f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">{image}</picture>'
    return f"<figure>{image}<figcaption>{html.escape(picture.caption)}</figcaption></figure>"


def paragraph(text: str, style: str = "note") -> str:
    """A paragraph of plain text; empty if there is none."""
    return f'<p class="{style}">{html.escape(text)}</p>' if text else ""


def folded(summary: str, *parts: str) -> str:
    """Parts (HTML) that are shown on demand; empty text if none of them holds anything."""
    inside = "\n".join(part for part in parts if part)
    return f"<details><summary>{html.escape(summary)}</summary>\n{inside}\n</details>" if inside else ""


def columns(*parts: str, style: str = "rows") -> str:
    """Parts (HTML) side by side where the page is wide enough, as "rows" or as "cards" that fill two columns."""
    inside = "\n".join(part for part in parts if part)
    return f'<div class="{style}">{inside}</div>' if inside else ""


def page(title: str, lead: str, *parts: str) -> str:
    """A whole page with its title and a line under it (plain text), then its parts (HTML)."""
    header = f"<header>\n<h1>{html.escape(title)}</h1>\n{paragraph(lead, 'lead')}\n</header>"
    footer = "<footer>Made by nelbo from the records of runs.</footer>"
    return document(title, "\n".join(part for part in (header, *parts, footer) if part))


def code(text: str) -> str:
    """A block of code; empty if there is none."""
    return f"<pre><code>{html.escape(text)}</code></pre>" if text else ""


def _data_uri(picture: Figure | np.ndarray) -> str:
    """A PNG as a URI that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png_bytes(picture)).decode('ascii')}"
