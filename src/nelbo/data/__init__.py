"""Data: named sets and the user's files as host arrays with splits, binarization, masks, and sources to draw from.

The names below are imported when they are first used: a picture is coded without waiting for JAX.
"""

from typing import TYPE_CHECKING

from nelbo._lazy import lazy

# the module has the function's name: imported later than this, it would hide the function
from nelbo.data.catalogue import catalogue

if TYPE_CHECKING:
    from nelbo.data.answers import extended_table as extended_table
    from nelbo.data.answers import filled_frame as filled_frame
    from nelbo.data.answers import filled_table as filled_table
    from nelbo.data.answers import made_file as made_file
    from nelbo.data.answers import made_frame as made_frame
    from nelbo.data.binarization import BINARIZATIONS as BINARIZATIONS
    from nelbo.data.binarization import binarize as binarize
    from nelbo.data.catalogue import CatalogueEntry as CatalogueEntry
    from nelbo.data.columns import Column as Column
    from nelbo.data.columns import Dialect as Dialect
    from nelbo.data.covariates import context_of as context_of
    from nelbo.data.covariates import load_covariates as load_covariates
    from nelbo.data.covariates import named_covariates as named_covariates
    from nelbo.data.covariates_schema import Covariates as Covariates
    from nelbo.data.crops import Crops as Crops
    from nelbo.data.crops import LogSteps as LogSteps
    from nelbo.data.cuts import Cuts as Cuts
    from nelbo.data.cuts import TooFewRowsError as TooFewRowsError
    from nelbo.data.digests import row_digests as row_digests
    from nelbo.data.digests import split_by_digests as split_by_digests
    from nelbo.data.documents import CORPORA as CORPORA
    from nelbo.data.documents import VOCABULARY as VOCABULARY
    from nelbo.data.documents import Corpus as Corpus
    from nelbo.data.documents import bag_of_words as bag_of_words
    from nelbo.data.documents import documents_at_hand as documents_at_hand
    from nelbo.data.documents import documents_dataset as documents_dataset
    from nelbo.data.documents import tokens as tokens
    from nelbo.data.documents import vocabulary_of as vocabulary_of
    from nelbo.data.drawn import SPRITE_MOTIONS as SPRITE_MOTIONS
    from nelbo.data.drawn import SPRITE_PARTS as SPRITE_PARTS
    from nelbo.data.drawn import sprite_attributes as sprite_attributes
    from nelbo.data.events import EventRows as EventRows
    from nelbo.data.events import last_events as last_events
    from nelbo.data.events import load_events as load_events
    from nelbo.data.events import read_events as read_events
    from nelbo.data.events_schema import Events as Events
    from nelbo.data.fetch import FetchProgress as FetchProgress
    from nelbo.data.formats import read_npy as read_npy
    from nelbo.data.loading import load as load
    from nelbo.data.loading import load_array as load_array
    from nelbo.data.loading import load_frame as load_frame
    from nelbo.data.loading import load_rows as load_rows
    from nelbo.data.long import LongSeries as LongSeries
    from nelbo.data.made import MADE as MADE
    from nelbo.data.made import healing_truth as healing_truth
    from nelbo.data.made import load_made as load_made
    from nelbo.data.masks import missing_at_random as missing_at_random
    from nelbo.data.masks import missing_grid as missing_grid
    from nelbo.data.masks import missing_random_square as missing_random_square
    from nelbo.data.masks import missing_square as missing_square
    from nelbo.data.named import cache_folder as cache_folder
    from nelbo.data.pairs import Triples as Triples
    from nelbo.data.pairs import load_pairs as load_pairs
    from nelbo.data.pairs import pair_context as pair_context
    from nelbo.data.pairs import read_triples as read_triples
    from nelbo.data.photo_files import LOSING as LOSING
    from nelbo.data.photo_files import kind_of_name as kind_of_name
    from nelbo.data.photo_files import read_photo as read_photo
    from nelbo.data.photo_files import read_picture as read_picture
    from nelbo.data.photo_files import write_picture as write_picture
    from nelbo.data.photographs import crops_of as crops_of
    from nelbo.data.photographs import load_photographs as load_photographs
    from nelbo.data.pictures import picture_files as picture_files
    from nelbo.data.pictures import picture_names as picture_names
    from nelbo.data.prepare import known_targets as known_targets
    from nelbo.data.registered import NamedData as NamedData
    from nelbo.data.registered import added_sets as added_sets
    from nelbo.data.registered import data_from_arrays as data_from_arrays
    from nelbo.data.registered import names as names
    from nelbo.data.schema import Pairs as Pairs
    from nelbo.data.schema import Schema as Schema
    from nelbo.data.schema import as_images as as_images
    from nelbo.data.schema import check_values as check_values
    from nelbo.data.series import SPLITS_BY as SPLITS_BY
    from nelbo.data.series import Windows as Windows
    from nelbo.data.series import cut_windows as cut_windows
    from nelbo.data.series import load_series as load_series
    from nelbo.data.series import longest_series as longest_series
    from nelbo.data.series import read_like as read_like
    from nelbo.data.series import rows_by_split as rows_by_split
    from nelbo.data.series import series_data as series_data
    from nelbo.data.series import trailing_windows as trailing_windows
    from nelbo.data.series_files import holds_frames as holds_frames
    from nelbo.data.series_files import read_series as read_series
    from nelbo.data.series_schema import Series as Series
    from nelbo.data.sources import Source as Source
    from nelbo.data.sources import dynamic_draw as dynamic_draw
    from nelbo.data.sources import source as source
    from nelbo.data.splits import SPLITS as SPLITS
    from nelbo.data.splits import Data as Data
    from nelbo.data.splits import Split as Split
    from nelbo.data.splits import array_digest as array_digest
    from nelbo.data.splits import missing_fraction as missing_fraction
    from nelbo.data.tables import UserTable as UserTable
    from nelbo.data.user import TABLES as TABLES
    from nelbo.data.wide import LAYOUTS as LAYOUTS
    from nelbo.data.written import array_bytes as array_bytes
    from nelbo.data.written import frame_bytes as frame_bytes
    from nelbo.data.xarrays import filled_xarray as filled_xarray
    from nelbo.data.xarrays import future_xarray as future_xarray
    from nelbo.data.xarrays import is_xarray as is_xarray

_HOMES = {
    "BINARIZATIONS": "binarization",
    "CORPORA": "documents",
    "CatalogueEntry": "catalogue",
    "Column": "columns",
    "Corpus": "documents",
    "Covariates": "covariates_schema",
    "Crops": "crops",
    "Cuts": "cuts",
    "Data": "splits",
    "Dialect": "columns",
    "EventRows": "events",
    "Events": "events_schema",
    "FetchProgress": "fetch",
    "LAYOUTS": "wide",
    "LOSING": "photo_files",
    "LogSteps": "crops",
    "LongSeries": "long",
    "MADE": "made",
    "NamedData": "registered",
    "Pairs": "schema",
    "SPLITS": "splits",
    "SPLITS_BY": "series",
    "SPRITE_MOTIONS": "drawn",
    "SPRITE_PARTS": "drawn",
    "Schema": "schema",
    "Series": "series_schema",
    "Source": "sources",
    "Split": "splits",
    "TABLES": "user",
    "TooFewRowsError": "cuts",
    "Triples": "pairs",
    "UserTable": "tables",
    "VOCABULARY": "documents",
    "Windows": "series",
    "added_sets": "registered",
    "array_bytes": "written",
    "array_digest": "splits",
    "as_images": "schema",
    "bag_of_words": "documents",
    "binarize": "binarization",
    "cache_folder": "named",
    "check_values": "schema",
    "context_of": "covariates",
    "crops_of": "photographs",
    "cut_windows": "series",
    "trailing_windows": "series",
    "data_from_arrays": "registered",
    "documents_at_hand": "documents",
    "documents_dataset": "documents",
    "dynamic_draw": "sources",
    "extended_table": "answers",
    "filled_frame": "answers",
    "filled_table": "answers",
    "filled_xarray": "xarrays",
    "frame_bytes": "written",
    "future_xarray": "xarrays",
    "healing_truth": "made",
    "holds_frames": "series_files",
    "is_xarray": "xarrays",
    "kind_of_name": "photo_files",
    "known_targets": "prepare",
    "last_events": "events",
    "load": "loading",
    "load_array": "loading",
    "load_covariates": "covariates",
    "load_events": "events",
    "load_frame": "loading",
    "load_made": "made",
    "load_pairs": "pairs",
    "load_photographs": "photographs",
    "load_rows": "loading",
    "load_series": "series",
    "longest_series": "series",
    "made_file": "answers",
    "made_frame": "answers",
    "missing_at_random": "masks",
    "missing_fraction": "splits",
    "missing_grid": "masks",
    "missing_random_square": "masks",
    "missing_square": "masks",
    "named_covariates": "covariates",
    "names": "registered",
    "pair_context": "pairs",
    "picture_files": "pictures",
    "picture_names": "pictures",
    "read_events": "events",
    "read_like": "series",
    "read_npy": "formats",
    "read_photo": "photo_files",
    "read_picture": "photo_files",
    "read_series": "series_files",
    "read_triples": "pairs",
    "row_digests": "digests",
    "rows_by_split": "series",
    "series_data": "series",
    "source": "sources",
    "split_by_digests": "digests",
    "sprite_attributes": "drawn",
    "tokens": "documents",
    "vocabulary_of": "documents",
    "write_picture": "photo_files",
}

__all__ = [*_HOMES, "catalogue"]  # noqa: PLE0604 (all are strings)

__getattr__, __dir__ = lazy(__name__, _HOMES)
