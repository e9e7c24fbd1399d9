"""A small file of addresses in the form of the data set sotu."""

import json
import lzma

import numpy as np

WORDS = ["senate", "treaty", "army", "navy", "tariff", "silver", "railroad", "bank", "peace", "union", "congress", "trade"]  # fmt: skip  # noqa: E501


def write_sotu(folder, addresses=20, *, own=True):
    """Addresses of three paragraphs, each of thirty `WORDS` and a word of its address if `own`, and a short one."""
    rng = np.random.default_rng(0)
    with lzma.open(folder / "sotu.jsonl.xz", "wt", encoding="utf-8") as stream:
        for i in range(addresses):
            year = [f"Year{chr(97 + i)}"] if own else []
            paragraphs = [" ".join([*year, *rng.choice(WORDS, 30)]) for _ in range(3)] + ["Too short."]
            stream.write(json.dumps({"id": str(i), "text": "\n\n".join(paragraphs)}) + "\n")
