"""Data whose examples are no rows: values of pairs, windows of series, events. Data settings of a run say which."""

from collections.abc import Mapping
from typing import Any

from nelbo.core import InputError, Option, options_of
from nelbo.data import Data, Schema
from nelbo.runs.covariates import read_covariate_data
from nelbo.runs.events import event_arguments, read_event_data
from nelbo.runs.pairs import pair_arguments, prior_settings, read_pairs
from nelbo.runs.photographs import photograph_settings, read_photographs
from nelbo.runs.series import read_series_data, series_arguments, series_settings

KIND_OPTIONS: tuple[Option, ...] = (
    *options_of(prior_settings),
    *options_of(series_settings),
    *options_of(photograph_settings),
)
_ONLY = {
    ("pairs",): (("prior_run", "inflate"), "models of the values of pairs alone (factorization)"),
    ("series",): (("split_by", "layout"), "models of series alone (gp-vae, state-space, dsae, sequence-flow)"),
    ("series", "events"): (
        ("window",),
        "models of series and events alone (gp-vae, state-space, dsae, sequence-flow, events, point-process)",
    ),
}


def check_kind(settings: Mapping[str, Any]) -> None:
    """Refuse settings of another kind of data.

    Raises:
        InputError: there is one.
    """
    for kinds, (names, whose) in _ONLY.items():
        odd = [name for name in names if settings.get(name) is not None]
        if odd and not any(settings.get(kind) for kind in kinds):
            raise InputError(f"{odd[0]} goes with {whose}: leave it out.")


def read_of_kind(settings: Mapping[str, Any], schema: Schema | None, *, whole: bool = False) -> Data | None:
    """The data of pairs, series, events, photographs or rows with covariates; None where settings are of others.

    Raises:
        InputError: see `read_pairs` and `read_series_data`.
    """
    if settings.get("pairs"):
        return read_pairs(settings, schema, whole=whole)
    if settings.get("series"):
        return read_series_data(settings, schema, whole=whole)
    if settings.get("events"):
        return read_event_data(settings, schema, whole=whole)
    if settings.get("covariates"):
        return read_covariate_data(settings, schema, whole=whole)
    if settings.get("photographs"):
        return read_photographs(settings)
    return None


def arguments_of_kind(
    name: str, settings: Mapping[str, Any], data: Data, arguments: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What data of pairs, series or events decide about a model; None of others."""
    if data.schema.pairs is not None:
        return pair_arguments(settings, data, arguments)
    if data.schema.series is not None:
        return series_arguments(name, data, arguments)
    if data.schema.events is not None:
        return event_arguments(data)
    return None
