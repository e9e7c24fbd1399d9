"""A page's smoke budget, from nothing to the page."""

import json

import jax

from nelbo.cli.paper import show_page
from nelbo.papers import PAPERS


def smoke(key, folder):
    """The result of the page, once it is whole, and its text, which holds every claim's numbers."""
    # optax raises a float to an integer power; users have the standard setting
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        result = PAPERS[key].reproduce(folder, budget="smoke", say=lambda _: None)
        written = show_page(folder, result)
    assert result["finished"]
    assert all(path.stat().st_size > 0 for path in written)
    text = (folder / "page.md").read_text()
    assert all(claim["numbers"] in text for claim in result["claims"])
    json.dumps(result)
    return result, text
