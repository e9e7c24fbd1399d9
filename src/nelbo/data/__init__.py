"""Data: named sets and the user's files as host arrays with splits, binarization, masks, and sources to draw from."""

from nelbo.data.answers import extended_table, filled_table, made_table
from nelbo.data.binarization import BINARIZATIONS, binarize
from nelbo.data.catalogue import CatalogueEntry, catalogue
from nelbo.data.columns import Column, Dialect
from nelbo.data.crops import Crops, LogSteps
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
from nelbo.data.loading import load, load_rows
from nelbo.data.masks import missing_at_random, missing_grid, missing_random_square, missing_square
from nelbo.data.named import cache_folder
from nelbo.data.pairs import Triples, load_pairs, pair_context, read_triples
from nelbo.data.photo_files import read_photo, read_picture, write_picture
from nelbo.data.photographs import crops_of, load_photographs
from nelbo.data.pictures import picture_files, picture_names
from nelbo.data.prepare import known_targets
from nelbo.data.registered import NamedData, added_sets, data_from_arrays, names
from nelbo.data.schema import Pairs, Schema, as_images, check_values
from nelbo.data.sources import Source, dynamic_draw, source
from nelbo.data.splits import SPLITS, Data, Split, array_digest, missing_fraction
from nelbo.data.tables import UserTable

__all__ = [
    "BINARIZATIONS",
    "CORPORA",
    "SPLITS",
    "VOCABULARY",
    "CatalogueEntry",
    "Column",
    "Corpus",
    "Crops",
    "Cuts",
    "Data",
    "Dialect",
    "FetchProgress",
    "LogSteps",
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
    "crops_of",
    "data_from_arrays",
    "documents_at_hand",
    "documents_dataset",
    "dynamic_draw",
    "extended_table",
    "filled_table",
    "known_targets",
    "load",
    "load_pairs",
    "load_photographs",
    "load_rows",
    "made_table",
    "missing_at_random",
    "missing_fraction",
    "missing_grid",
    "missing_random_square",
    "missing_square",
    "names",
    "pair_context",
    "picture_files",
    "picture_names",
    "read_npy",
    "read_photo",
    "read_picture",
    "read_triples",
    "row_digests",
    "source",
    "split_by_digests",
    "tokens",
    "vocabulary_of",
    "write_picture",
]
