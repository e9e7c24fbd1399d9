"""Tables that are sorted by a click on a heading: the one script of a page, allowed by its digest."""

import base64
import hashlib

SCRIPT = """
"use strict";
const number = text => text === "" ? NaN : Number(text.replace("\\u2212", "-"));
const compare = (a, b) => {
  const [x, y] = [number(a), number(b)];
  return isNaN(x) || isNaN(y) ? (isNaN(x) - isNaN(y)) || a.localeCompare(b) : x - y;
};
for (const table of document.querySelectorAll("table:not(.settings)")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  if (!body || body.rows.length < 2) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.ariaSort === "ascending";
      for (const other of heads) other.ariaSort = null;
      head.ariaSort = falling ? "descending" : "ascending";
      const text = row => row.cells[column].textContent.trim();
      const missing = row => text(row) === "\\u2013";
      const rows = [...body.rows].sort((a, b) =>
        (missing(a) - missing(b)) || compare(text(a), text(b)) * (falling ? -1 : 1));
      body.append(...rows);
    });
  });
}
"""
DIGEST = f"'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode('ascii')}'"
STYLE = """
thead button { all: unset; cursor: pointer; }
thead button:hover, thead button:focus-visible { text-decoration: underline; }
th[aria-sort] button::after { content: "\\2009\\25B4"; }
th[aria-sort="descending"] button::after { content: "\\2009\\25BE"; }
"""
