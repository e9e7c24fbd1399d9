"""Data: named sets and the user's files as host arrays with splits, binarization, masks, and sources to draw from."""

from nelbo.data.binarization import BINARIZATIONS, binarize
from nelbo.data.catalogue import Entry, catalogue, names
from nelbo.data.dataset import SPLITS, Dataset, Split, array_digest, missing_fraction
from nelbo.data.documents import (
    CORPORA,
    VOCABULARY,
    Corpus,
    bag_of_words,
    documents_at_hand,
    documents_dataset,
    tokens,
    vocabulary_of,
)
from nelbo.data.fetch import Progress
from nelbo.data.formats import read_npy
from nelbo.data.loading import load
from nelbo.data.masks import missing_at_random, missing_grid, missing_random_square, missing_square
from nelbo.data.named import cache_folder
from nelbo.data.sources import Source, dynamic_draw, source

__all__ = [
    "BINARIZATIONS",
    "CORPORA",
    "SPLITS",
    "VOCABULARY",
    "Corpus",
    "Dataset",
    "Entry",
    "Progress",
    "Source",
    "Split",
    "array_digest",
    "bag_of_words",
    "binarize",
    "cache_folder",
    "catalogue",
    "documents_at_hand",
    "documents_dataset",
    "dynamic_draw",
    "load",
    "missing_at_random",
    "missing_fraction",
    "missing_grid",
    "missing_random_square",
    "missing_square",
    "names",
    "read_npy",
    "source",
    "tokens",
    "vocabulary_of",
]
