"""Data: named sets and the user's files as host arrays with splits, binarization, masks, and sources to draw from."""

from nelbo.data.answers import extended_table, filled_frame, filled_table, made_frame, made_table
from nelbo.data.binarization import BINARIZATIONS, binarize
from nelbo.data.catalogue import CatalogueEntry, catalogue
from nelbo.data.columns import Column, Dialect
from nelbo.data.cuts import Cuts
from nelbo.data.digests import row_digests, split_by_digests
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
from nelbo.data.fetch import FetchProgress
from nelbo.data.formats import read_npy
from nelbo.data.loading import load, load_array, load_frame, load_rows
from nelbo.data.masks import missing_at_random, missing_grid, missing_random_square, missing_square
from nelbo.data.named import cache_folder
from nelbo.data.pairs import Triples, load_pairs, pair_context, read_triples
from nelbo.data.prepare import known_targets
from nelbo.data.registered import NamedData, added_sets, data_from_arrays, names
from nelbo.data.schema import Pairs, Schema, as_images, check_values
from nelbo.data.sources import Source, dynamic_draw, source
from nelbo.data.splits import SPLITS, Data, Split, array_digest, missing_fraction
from nelbo.data.tables import UserTable
from nelbo.data.user import TABLES

__all__ = [
    "BINARIZATIONS",
    "CORPORA",
    "SPLITS",
    "TABLES",
    "VOCABULARY",
    "CatalogueEntry",
    "Column",
    "Corpus",
    "Cuts",
    "Data",
    "Dialect",
    "FetchProgress",
    "NamedData",
    "Pairs",
    "Schema",
    "Source",
    "Split",
    "Triples",
    "UserTable",
    "added_sets",
    "array_digest",
    "as_images",
    "bag_of_words",
    "binarize",
    "cache_folder",
    "catalogue",
    "check_values",
    "data_from_arrays",
    "documents_at_hand",
    "documents_dataset",
    "dynamic_draw",
    "extended_table",
    "filled_frame",
    "filled_table",
    "known_targets",
    "load",
    "load_array",
    "load_frame",
    "load_pairs",
    "load_rows",
    "made_frame",
    "made_table",
    "missing_at_random",
    "missing_fraction",
    "missing_grid",
    "missing_random_square",
    "missing_square",
    "names",
    "pair_context",
    "read_npy",
    "read_triples",
    "row_digests",
    "source",
    "split_by_digests",
    "tokens",
    "vocabulary_of",
]
