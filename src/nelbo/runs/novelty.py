"""Novel rows of a user's data: the rows that they are compared with, and the answer in the user's columns."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax.random as jr
import numpy as np
from jaxtyping import Bool, Int

from nelbo.core import NATS_PER_BIT, InputError
from nelbo.data import Data, Schema, Source, row_digests
from nelbo.evaluation import RowTerms, row_terms
from nelbo.runs.folder import Run
from nelbo.tasks import FALSE_DISCOVERIES, Novelty, compressed_bits, novelty

HELD_OUT = "valid,test"
_CAUSES = 3  # columns named for a row
_LEAST_CAUSE = 0.5  # bits


@dataclasses.dataclass(frozen=True)
class NoveltyQuestion:
    """Which rows are scored for novelty, and how.

    Args:
        data: a named set or a path; None for the run's own data.
        split: of the data, see `Run.rows`.
        data_dir: a folder that holds named sets.
        held_out: the rows to compare with: splits of the run's own data ("valid,test"), a named set or a path.
        score: see `nelbo.tasks.novelty`.
        rate: false-discovery rate of the flags.
        samples: draws of z for each row.
        background: a run on the same data whose model describes what is common to all rows.
        refined: turns a model into one whose posteriors are refined.
        seed: seed of the draws.
        given: for series, what rows are predicted from, see `nelbo.runs.novel_times.frame_terms`.
    """

    data: str | None = None
    split: str | None = None
    data_dir: str | None = None
    held_out: str = HELD_OUT
    score: str = "elbo"
    rate: float | int = FALSE_DISCOVERIES
    samples: int = 100
    background: Run | None = None
    refined: Callable[[Any], Any] = lambda model: model
    seed: int = 0
    given: str | None = None


@dataclasses.dataclass(frozen=True)
class NoveltyAnswer:
    """Novel rows.

    Args:
        data: the scored rows.
        found: how novel each row is.
        by_column: `(rows, columns)` bits of each modelled column minus their mean; None for images, and if the
            likelihood scores whole rows.
        names: of these columns.
        notes: sentences for the user.
        unit: of the excess: "bits" of a code, or "score" of a detector, which has none.
    """

    data: Data
    found: Novelty
    by_column: np.ndarray | None
    names: tuple[str, ...]
    notes: tuple[str, ...]
    unit: Literal["bits", "score"] = "bits"

    def columns(self, *, everything: bool = False) -> dict[str, np.ndarray]:
        """New columns of the user's table, by name: numbers in bits, p-values, 1 where a row is flagged, and causes.

        Args:
            everything: the bits of each column too.
        """
        found = self.found
        columns: dict[str, np.ndarray] = {
            f"excess {self.unit}": found.excess,
            "p-value": found.p_values,
            "novel": found.flagged.astype(int),
        }
        if self.unit == "bits":
            columns["latent bits"] = found.kl
        if self.by_column is not None:
            columns["unusual columns"] = np.array(self.causes(), object)
            if everything:
                columns |= {f"{name} bits": bits for name, bits in zip(self.names, self.by_column.T, strict=True)}
        return columns

    def causes(self, rows: Sequence[int] | None = None) -> list[str]:
        """The columns with the highest bits minus their mean, for each row."""
        if self.by_column is None:
            return []
        chosen = self.by_column if rows is None else self.by_column[list(rows)]
        return [self._cause(bits) for bits in chosen]

    def _cause(self, bits: np.ndarray) -> str:
        order = np.argsort(-bits, kind="stable")[:_CAUSES]
        return "; ".join(f"{self.names[j]} {bits[j]:+.1f}" for j in order if bits[j] >= _LEAST_CAUSE)


def novel_rows(
    run: Run, question: NoveltyQuestion, *, progress: Callable[[str, int, int], None] | None = None
) -> NoveltyAnswer:
    """Compare rows with rows that the run's model was not fitted to.

    Args:
        run: of any model that is not supervised.
        question: which rows to score, and how.
        progress: called with what is scored, the number of rows done, and the number of all rows.

    Raises:
        InputError: data of another shape, no held-out rows, or a background run on other rows.
    """
    _check_detector(run, question)
    data, source = run.rows(question.data, question.split, question.data_dir)
    held, held_source = _held_out(run, question)
    parts = {"rows": source, "held-out rows": held_source}
    found = {name: _terms(run, part, question, name, progress) for name, part in parts.items()}
    _check_scores(data, found["rows"])
    background = None
    if question.background is not None:
        background = _by_background(question, parts, progress)
    copies, notes = _known(run, question, data, held)
    complexity = None
    if question.score == "complexity":
        complexity = (_complexity([data]), _complexity(held))
    result = novelty(found["rows"], found["held-out rows"], score=question.score, rate=question.rate,
                     background=background, complexity=complexity, copies=copies)  # fmt: skip
    notes += too_few(result)
    blank = _blank(data)
    if blank.any():
        nothing = f"{blank.sum()} rows have no observed entry: nothing tells if they are novel, and their p-value is 1."
        notes = (*notes, nothing)
        result = dataclasses.replace(
            result, p_values=np.where(blank, 1.0, result.p_values), flagged=result.flagged & ~blank
        )
    if run.model.is_detector:
        result = dataclasses.replace(result, excess=result.excess * NATS_PER_BIT)  # a score is no code length
        return NoveltyAnswer(data, result, None, (), (*data.notes, *notes), "score")
    by_column, names = bits_by_column(data.schema, result.entries)
    return NoveltyAnswer(data, result, by_column, names, (*data.notes, *notes))


def _check_scores(data: Data, rows: RowTerms) -> None:
    """Refuse rows whose score is not a number.

    Raises:
        InputError: there is such a row; the message says which.
    """
    bad = np.flatnonzero(np.isnan(rows.elbo))
    if len(bad):
        raise InputError(
            f"{data.where}: {data.place(int(bad[0]))} holds a number so far beyond the training data that its score is "
            "none: correct it, or leave the cell blank."
        )


def too_few(found: Novelty) -> tuple[str, ...]:
    """A warning for when there are too few held-out rows to flag any."""
    if found.can_flag:
        return ()
    said = (
        f"{found.held_out} held-out rows give no p-value below {found.least:.2g}, too large to flag rows among "
        f"{len(found.p_values)} at a false-discovery rate of {found.rate:g}: go by the excess, or compare with "
        "more rows (--held-out FILE)."
    )
    return (said,)


def _blank(data: Data) -> Bool[np.ndarray, " rows"]:
    """Rows in which everything is missing."""
    observed = data.only.observed
    if observed is None:
        return np.zeros(len(data.only), bool)
    return np.logical_not(np.asarray(observed).reshape(len(data.only), -1).any(axis=1))


def _complexity(parts: Sequence[Data]) -> np.ndarray:
    """Compressed lengths of all rows of some data [bits].

    Raises:
        InputError: gaps, or other values than bytes.
    """
    for part in parts:
        if part.only.observed is not None and not part.only.observed.all():
            raise InputError(f"{part.name} has gaps, and how they would be compressed says nothing: use another score.")
    return np.concatenate([compressed_bits(np.asarray(part.only.x), part.shape) for part in parts])


def _check_detector(run: Run, question: NoveltyQuestion) -> None:
    """Refuse scores that need a density for models that have none.

    Raises:
        InputError: another score than the detector's own, or a likelihood ratio.
    """
    background = question.background is not None
    if run.model.is_detector and (question.score != "elbo" or background):
        what = "--background" if background else f"--by {question.score}"
        raise InputError(f"{run.folder} is a detector, which has a score of its own and no density: leave {what} out.")
    if question.background is not None:
        question.background.model.require_density("A likelihood ratio")


def _held_out(run: Run, question: NoveltyQuestion) -> tuple[list[Data], Source]:
    """The rows to compare with: their data, and a source of all of them."""
    names = question.held_out.split(",")
    if not set(names) <= {"train", "valid", "test"}:
        data, source = run.rows(question.held_out, None, question.data_dir)
        return [data], source
    whole, sources = run.data(None, question.data_dir)
    there = [name for name in names if name in sources]
    if not there:
        raise InputError(f"{run.folder} has no rows of the splits {question.held_out}: name others with --held-out, or "
                         "a file of rows that are not novel.")  # fmt: skip
    return [dataclasses.replace(whole, splits={name: whole.split(name)}) for name in there], _joined(
        [sources[name] for name in there]
    )


def _joined(sources: Sequence[Source]) -> Source:
    """Rows of several sources as one."""
    import jax
    import jax.numpy as jnp

    if len(sources) == 1:
        return sources[0]
    arrays = [source.arrays for source in sources]
    masks = [one.observed for one in arrays]
    if any(mask is None for mask in masks):  # one split may have gaps where another has none
        full = [np.ones(np.shape(one.values), bool) if one.observed is None else one.observed for one in arrays]
        if not all(mask is None for mask in masks):
            arrays = [dataclasses.replace(one, observed=mask) for one, mask in zip(arrays, full, strict=True)]
    joined = jax.tree.map(lambda *leaves: jnp.concatenate([jnp.asarray(leaf) for leaf in leaves]), *arrays)
    return dataclasses.replace(sources[0], arrays=joined)


def _terms(
    run: Run, source: Source, question: NoveltyQuestion, name: str, progress: Callable[[str, int, int], None] | None
) -> RowTerms:
    # one key for rows and held-out rows: the same draws for all, so that they differ by what they hold alone
    return row_terms(
        jr.key(question.seed),
        question.refined(run.model),
        source,
        num_samples=question.samples,
        progress=None if progress is None else lambda done: progress(name, done, len(source)),
    )


def _by_background(
    question: NoveltyQuestion, parts: dict[str, Source], progress: Callable[[str, int, int], None] | None
) -> tuple[RowTerms, RowTerms]:
    """The same rows by the model of the background run."""
    other = question.background
    assert other is not None  # asked for
    found = []
    for name, source in parts.items():
        wanted = other.model.generative.shapes()[0]
        if tuple(wanted.batch_shape + wanted.event_shape) != source.shape:
            raise InputError(f"The background run {other.folder} has examples of another shape than these: fit it to "
                             "the same data.")  # fmt: skip
        found.append(_terms(other, source, question, f"{name}, by the background", progress))
    return found[0], found[1]


def _known(
    run: Run, question: NoveltyQuestion, data: Data, held: Sequence[Data]
) -> tuple[Int[np.ndarray, " rows"] | None, tuple[str, ...]]:
    """Which rows are held-out ones themselves, and a note about those that the model was fitted to."""
    if not run.is_own(question.data):
        return None, ()
    digests = row_digests(data.only)
    copies = np.isin(digests, np.concatenate([row_digests(part.only) for part in held])).astype(int)
    whole, _ = run.data(None, question.data_dir)
    trained = np.isin(digests, row_digests(whole.train)) & (copies == 0) if "train" in whole.splits else copies * 0 > 0
    if not trained.any():
        return copies, ()
    note = (
        f"{int(trained.sum())} of the rows were trained on: the model knows them, so their p-values are too large and "
        "some novel ones among them may not be flagged."
    )
    return copies, (note,)


def bits_by_column(schema: Schema, entries: np.ndarray | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Bits of each column of a table, or of each entry of other rows; None for images."""
    if entries is None or entries.ndim != 2:
        return None, ()
    if not schema.columns or schema.pairs is not None:
        return entries, tuple(f"entry {j}" for j in range(entries.shape[1]))
    return np.add.reduceat(entries, schema.first_entries, axis=1), schema.modelled_names


def truth_of(data: Data, asked: str) -> Bool[np.ndarray, " rows"]:
    """Which rows are truly novel, by a column of their table or by their labels.

    Args:
        data: the rows.
        asked: COLUMN=VALUE; "=VALUE" may be left out for 1. For data that are no tables, COLUMN is "label".

    Raises:
        InputError: no such column, no labels, or all rows of one kind.
    """
    name, _, value = asked.partition("=")
    value = value or "1"
    split = data.only
    if data.table is not None and name in data.table.names:
        cells = data.table.cells(data.table.names.index(name))
        chosen = cells if split.index is None else [cells[i] for i in split.index.tolist()]
        held = [_plain(cell) == _plain(value) for cell in chosen]
    elif split.y is not None and name == "label":
        names = data.label_names
        held = [_plain(str(y) if names is None else names[y]) == _plain(value) for y in split.y.tolist()]
    else:
        raise InputError(f"{data.name} has no column {name!r} that tells which rows are novel: give COLUMN=VALUE, or "
                         "label=VALUE for data with labels.")  # fmt: skip
    novel = np.array(held, bool)
    if novel.all() or not novel.any():
        which = "All" if novel.all() else "None"
        raise InputError(
            f"{which} of the {len(novel)} rows of {data.name} have {name} {value!r}; AUROC needs others too: "
            "give the value of the novel ones."
        )
    return novel


def _plain(text: str) -> str:
    """A cell in the form in which it is compared: 1, 1.0 and "1" are equal."""
    text = text.strip().strip('"').lower()
    return text.removesuffix(".0")
