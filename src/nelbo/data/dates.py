"""Columns of dates: read as days since 1970, and written back in their own form."""

import datetime as dt
from collections.abc import Sequence

import numpy as np

_DAY = "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"
_TIME = "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S", "T%H:%M:%S.%f", "T%H:%M:%SZ", "T%H:%M:%S.%fZ"
FORMS = tuple(day + time for day in _DAY for time in _TIME)
_START = dt.datetime(1970, 1, 1)
_SECONDS = 86400.0
_SAMPLE = 30


def form_of_dates(texts: Sequence[str]) -> str | None:
    """The one form in which all texts are dates; None where there is none, or where day and month cannot be told.

    Args:
        texts: distinct, not empty.
    """
    if not texts or not all(text[:1].isdigit() and 8 <= len(text) <= 32 for text in texts):
        return None
    able = [form for form in FORMS if all(days_of(text, form) is not None for text in texts[:_SAMPLE])]
    able = [form for form in able if all(days_of(text, form) is not None for text in texts[_SAMPLE:])]
    return able[0] if len(able) == 1 else None


def days_of(text: str, form: str) -> float | None:
    """Days since 1970; None of what is no date of this form."""
    try:
        return (dt.datetime.strptime(text, form) - _START).total_seconds() / _SECONDS
    except ValueError:
        return None


def date_text(days: float, form: str, places: int | None = None) -> str:
    """A date in the form of its column.

    Args:
        days: since 1970; a form without a time rounds them to whole ones.
        form: of the column.
        places: decimal places of the seconds; None: six.
    """
    has_time = "%H" in form
    unit = 1.0 if not has_time else 1.0 / 1440.0 if "%S" not in form else 1.0 / _SECONDS
    if "%f" not in form:
        days = float(np.rint(days / unit)) * unit
    last = (dt.datetime.max - _START).days - 1
    moment = _START + dt.timedelta(days=float(np.clip(days, -719000.0, last)))
    text = moment.strftime(form)
    if "%f" in form and places is not None:
        digits = moment.strftime("%f")
        text = text.replace(f".{digits}", f".{digits[:places]}" if places else "")
    return text
