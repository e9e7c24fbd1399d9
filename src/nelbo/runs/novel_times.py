"""Anomalies in time series: which rows are unlike what their neighbours predict, and which series have them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, choice
from nelbo.data import LongSeries, Source, cut_windows, rows_by_split, series_data, trailing_windows
from nelbo.evaluation import RowTerms, row_terms
from nelbo.runs.folder import Run
from nelbo.runs.forecasts import most_central, series_of, series_rows
from nelbo.runs.novelty import NoveltyAnswer, NoveltyQuestion, too_few
from nelbo.tasks import SERIES_DRAWS, FramePrediction, Novelty, discoveries, follows_past, novelty, predict_frames

FOLDS = 4  # every fourth frame is predicted from the others of its window
GIVEN = ("others", "past")
_ROWS_AT_ONCE = 2048
_SPLITS = {"train", "valid", "test"}


@dataclasses.dataclass(frozen=True)
class NovelTimes:
    """Anomalies of series.

    Args:
        rows: of the series.
        answer: how novel each row is, as of the rows of a table.
        series: for each series its id, its p-value (Simes 1986, of those of its rows), whether it is flagged, and how
            many of its rows are.
    """

    rows: LongSeries
    answer: NoveltyAnswer
    series: tuple[dict[str, Any], ...]


def frame_terms(
    key: Key[Array, ""],
    run: Run,
    rows: LongSeries,
    *,
    given: str | None = None,
    draws: int = SERIES_DRAWS,
    progress: Callable[[int], None] | None = None,
) -> RowTerms:
    """Log density of the values of each row given others [nats].

    Given the other rows of its window: every fourth row is hidden and predicted from the rest, four times over, so that
    no row influences its own prediction. Given the past: each row is predicted one step ahead, log p(x_t | x_<t).
    Numbers are scored by the normal of their predictive mean and variance: if a value is far from all draws, a mean of
    densities over draws is dominated by one of them, and the score of an anomaly would be noise. For a flow over
    independent frames that normal is the density itself. A detector has no density; its score of the window in which
    the row is most central is taken.

    Args:
        key: for the draws.
        run: a run on series.
        rows: the series.
        given: "others" or "past"; None: the past for models that predict from it alone, else the others.
        draws: number of draws from the posterior.
        progress: called with the number of windows done.

    Raises:
        InputError: the past for a detector, or the others for a flow.
    """
    series, count = series_of(run), len(rows.ids)
    observed = np.logical_not(np.isnan(rows.values))
    if run.model.is_detector:
        if given is not None:
            raise InputError(f"{run.folder} is a detector, which scores windows and not rows given others: leave "
                             "--given out.")  # fmt: skip
        windows = cut_windows(rows, series, stride=1, every=True)
        found = row_terms(key, run.model, window_source(run, rows, 1), num_samples=1)
        scores = found.elbo[most_central(windows, count)[0]]
        return RowTerms(scores, scores, scores, np.zeros(count), None, observed)
    given = choice("what rows are predicted from", given or ("past" if follows_past(run.model) else "others"), GIVEN)
    by = _given_past if given == "past" else _given_others
    entries = np.where(observed, by(key, run, rows, draws, progress), 0.0)
    total = entries.sum(1)
    return RowTerms(total, total, total, np.zeros(count), entries, observed)


def _given_others(
    key: Key[Array, ""], run: Run, rows: LongSeries, draws: int, progress: Callable[[int], None] | None
) -> np.ndarray:
    """Log densities of all values given the rows of their windows that are not of the same fold."""
    series, count = series_of(run), len(rows.ids)
    whole = cut_windows(rows, series, stride=max(1, series.window // 2), every=True)
    context = None if series.regular else whole.context(series.step)
    where = most_central(whole, count)
    entries, normal = np.zeros(rows.values.shape), _uncut(run).values == "real"
    for fold in range(FOLDS):
        hidden = np.arange(count) % FOLDS == fold
        there = whole.observed & ~(hidden[whole.rows] & (whole.rows >= 0))[..., None]
        x = np.where(there, whole.x, np.float32(0.0))
        found = predict_frames(jr.fold_in(key, fold), run.model, x, there, context, truth=None if normal else whole.x,
                               draws=draws, progress=progress)  # fmt: skip
        entries[hidden] = _scores(found, whole.x)[where][hidden]
    return entries


def _given_past(
    key: Key[Array, ""], run: Run, rows: LongSeries, draws: int, progress: Callable[[int], None] | None
) -> np.ndarray:
    """Log densities of all values given as many frames before them as the model's window has."""
    series, count = series_of(run), len(rows.ids)
    back, normal = dataclasses.replace(series, window=series.window + 1), _uncut(run).values == "real"
    entries = []
    for start in range(0, count, _ROWS_AT_ONCE):
        whole = trailing_windows(rows, back, np.arange(start, min(start + _ROWS_AT_ONCE, count)))
        times = None if series.regular else whole.context(series.step)
        past, further = (None, None) if times is None else (times[:, :-1], times[:, -1:])
        found = predict_frames(
            jr.fold_in(key, start), run.model, whole.x[:, :-1], whole.observed[:, :-1], past, further=further,
            horizon=1, truth=None if normal else whole.x[:, -1:], draws=draws,
            progress=None if progress is None else lambda done, start=start: progress(start + done),
        )  # fmt: skip
        entries.append(_scores(found, whole.x[:, -1:])[:, 0])
    return np.concatenate(entries)


def _scores(found: FramePrediction, truth: np.ndarray) -> np.ndarray:
    """Log densities: by draws if the prediction has their scores, else by the normal of mean and variance."""
    if found.log_score is not None:
        return found.log_score
    return -0.5 * ((truth - found.mean) / found.std) ** 2 - np.log(found.std) - 0.5 * np.log(2.0 * np.pi)


def window_source(run: Run, rows: LongSeries, stride: int) -> Source:
    """All windows of series as a run's model takes them.

    Args:
        run: a run on series.
        rows: the series.
        stride: frames from one window to the next.
    """
    whole = series_data(rows, _uncut(run), stride=stride, every=True)
    return run.scored(dataclasses.replace(whole, splits={"rows": whole.train}))[1]


def _uncut(run: Run) -> Any:
    """The schema of a run's series without its cuts."""
    schema = run.fitted_data.schema
    assert schema is not None  # of series
    return dataclasses.replace(schema, series=dataclasses.replace(series_of(run), until=(), held=((), ())))


def novel_times(run: Run, question: NoveltyQuestion, *, progress: Callable[[int], None] | None = None) -> NovelTimes:
    """Compare the rows of series with those of a run that its model was not fitted to.

    P-values are computed as for rows of tables (`nelbo.tasks.conformal_p_values`). They would be exact if rows were
    exchangeable; rows of a series depend on each other, so p-values are only as good as the held-out time is typical.

    Args:
        run: a run on series.
        question: which series to score, and how.
        progress: called with the number of windows done.

    Raises:
        InputError: a score or an option that is about rows of tables, or no held-out rows.
    """
    for given, name in ((question.score != "elbo", f"--by {question.score}"), (question.split, "--split"),
                        (question.background, "--background")):  # fmt: skip
        if given:
            raise InputError(f"Rows of series are scored by their log density given the other rows of their window, so "
                             f"{name} says nothing here: leave it out.")  # fmt: skip
    rows = series_rows(run, question.data)
    key = jr.key(question.seed)
    own = rows if run.is_own(question.data) else series_rows(run)
    said = {"given": question.given, "draws": question.samples, "progress": progress}
    terms = frame_terms(key, run, rows, **said)
    notes, copies = rows.notes, None
    named = set(question.held_out.split(","))
    if named <= _SPLITS:
        parts = rows_by_split(own, series_of(run))
        held = np.any([parts[name] for name in named if name in parts] or [np.zeros(len(own.ids), bool)], axis=0)
        against = terms if own is rows else frame_terms(jr.clone(key), run, own, **said)
        if own is rows:
            copies = held.astype(int)
            notes = (*notes, f"{int((~held).sum())} of the rows were trained on: their p-values are too large.")
    else:
        other = series_rows(run, question.held_out)
        held, against = np.ones(len(other.ids), bool), frame_terms(jr.clone(key), run, other, **said)
    held = held & against.observed.any(1)
    if not held.any():
        raise InputError(f"{run.folder} has no rows of the splits {question.held_out}: name others with --held-out, or "
                         "a file of series that hold no anomalies.")  # fmt: skip
    found = novelty(terms, _taken(against, held), rate=question.rate, copies=copies)
    notes += too_few(found)
    blank = np.logical_not(terms.observed.any(1))
    if blank.any():
        notes = (*notes, f"{int(blank.sum())} rows have no observed value: their p-value is 1.")
        found = dataclasses.replace(
            found, p_values=np.where(blank, 1.0, found.p_values), flagged=found.flagged & ~blank
        )
    names = tuple(column.name for column in rows.channels)
    by_channel = None if found.entries is None or len(names) < 2 else found.entries
    data = dataclasses.replace(series_data(rows, _uncut(run), every=True), table=rows.table)
    unit = "score" if run.model.is_detector else "bits"
    answer = NoveltyAnswer(data, found, by_channel, names, notes, unit)
    return NovelTimes(rows, answer, _by_series(rows, found, question.rate))


def _taken(terms: RowTerms, keep: np.ndarray) -> RowTerms:
    """Some of the rows."""
    made: dict[str, Any] = {}
    for field in dataclasses.fields(RowTerms):
        value = vars(terms)[field.name]
        made[field.name] = None if value is None else value[keep]
    return RowTerms(**made)


def simes(p_values: Float[np.ndarray, " n"]) -> float:
    """One p-value of several hypotheses, min_i n p_(i) / i (Simes 1986): valid for independent and for many positively
    dependent ones.
    """
    ordered = np.sort(p_values)
    return float((len(ordered) * ordered / np.arange(1, len(ordered) + 1)).min())


def _by_series(rows: LongSeries, found: Novelty, rate: float | int) -> tuple[dict[str, Any], ...]:
    parts = rows.bounds()
    p_values = np.array([simes(found.p_values[part]) for _, part in parts])
    flagged = discoveries(p_values, rate)
    return tuple(
        {"series": name, "p_value": float(p), "novel": bool(flag), "novel_rows": int(found.flagged[part].sum())}
        for (name, part), p, flag in zip(parts, p_values, flagged, strict=True)
    )
