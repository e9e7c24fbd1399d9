"""Reports as a browser shows them: no error, no empty picture, no page wider than a phone, tables that sort."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess

import pytest

from nelbo.report import write_report
from nelbo.report.sorting import DIGEST

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: Debian's package chromium has one")

# what is refused or fails anywhere in the page, from its first line on
WATCH = """
window.faults = [];
window.addEventListener("error", event => window.faults.push(String(event.message || event.target.outerHTML)), true);
document.addEventListener("securitypolicyviolation", event => window.faults.push(event.violatedDirective));
"""
ASK = """
const ask = () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
  const pictures = [];
  for (const image of document.images) {
    if (image.naturalWidth === 0) {
      window.faults.push(`no picture: ${image.outerHTML.slice(0, 200)}`);
      continue;
    }
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const dots = new Uint32Array(pen.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    pictures.push({alt: image.alt, shown: image.clientWidth, colours: new Set(dots).size});
  }
  const sorted = [];
  for (const head of document.querySelectorAll("table:not(.settings) thead th")) {
    const rows = () => [...head.closest("table").tBodies[0].rows].map(row => row.cells[head.cellIndex].textContent);
    const button = head.querySelector("button");
    if (!button) continue;
    button.click();
    const rising = rows();
    button.click();
    sorted.push({head: head.textContent, rising, falling: rows()});
  }
  const width = [document.documentElement.scrollWidth, window.innerWidth];
  return {pictures, sorted, width};
};
// what was refused on the way is reported after the page is there
window.addEventListener("load", () => setTimeout(() => {
  document.title = JSON.stringify({faults: window.faults, ...ask()});
}, 500));
"""


def shown(page, folder, width):
    """What the browser finds in a page, opened in a window of this width [CSS pixels]."""
    digests = [f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in (WATCH, ASK)]
    text = page.read_text(encoding="utf-8").replace(DIGEST, " ".join([DIGEST, *digests]))
    watched = text.replace("<title>", f"<script>{WATCH}</script>\n<script>{ASK}</script>\n<title>", 1)
    copy = folder / f"watched-{width}.html"
    copy.write_text(watched, encoding="utf-8")
    assert CHROMIUM is not None
    words = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-extensions", "--virtual-time-budget=100000")
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [CHROMIUM, *words, profile, f"--window-size={width},900", "--dump-dom", copy.as_uri()]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    title = re.search(r"<title>(.*?)</title>", found.stdout, re.DOTALL)
    assert title is not None, found.stderr
    assert title[1].startswith("{"), found.stderr
    return json.loads(html.unescape(title[1]))


@needs_browser
@pytest.mark.parametrize("width", [pytest.param(1200, marks=pytest.mark.slow), 500])
def test_a_page_is_whole_in_a_browser(make_run, tmp_path, width):
    page = write_report([make_run(), make_run("other", final=-90.0)] if width == 1200 else [make_run()])
    found = shown(page, tmp_path, width)
    assert found["faults"] == []
    assert found["pictures"]
    assert all(one["colours"] > 1 and one["shown"] > 0 for one in found["pictures"]), found["pictures"]
    assert found["width"][0] <= found["width"][1]
    assert found["sorted"]
    for column in found["sorted"]:
        values = [text for text in column["rising"] if text != "–"]
        numbers = numbers_of(values)
        assert (numbers or values) == sorted(numbers or values, key=None if numbers else str.casefold), column
        if values:
            assert column["falling"][0] == values[-1]
        gaps = [text == "–" for text in column["rising"]]
        assert gaps == sorted(gaps)


def numbers_of(texts):
    try:
        return [float(text) for text in texts]
    except ValueError:
        return []


@needs_browser
def test_what_is_looked_for_is_found(tmp_path):
    """A page with an empty picture, a broken one, a wide table and a script of its own."""
    blank = base64.b64encode(bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f00010501012718e366"
        "0000000049454e44ae426082"
    )).decode()  # fmt: skip
    page = tmp_path / "page.html"
    page.write_text(
        f'<!DOCTYPE html><html><head><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"img-src data:; script-src {DIGEST}\"><title>x</title></head><body><img alt='a' "
        f"src='data:image/png;base64,{blank}'><img alt='b' src='data:image/png;base64,AAAA'>"
        "<script>window.own = 1</script><pre>" + "x" * 500 + "</pre></body></html>",
        encoding="utf-8",
    )
    found = shown(page, tmp_path, 500)
    assert [one["colours"] for one in found["pictures"]] == [1]
    assert any("script-src" in fault for fault in found["faults"])
    assert any("no picture" in fault for fault in found["faults"])
    assert found["width"][0] > found["width"][1]
