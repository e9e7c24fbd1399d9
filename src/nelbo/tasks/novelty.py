"""Novelty of rows relative to those that a model was fitted to: excess code length, p-values, flags, causes."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from nelbo.core import NATS_PER_BIT, InputError, choice
from nelbo.evaluation import RowTerms

SCORES = ("elbo", "importance", "typicality", "complexity", "kl", "reconstruction")
FALSE_DISCOVERIES = 0.1


@dataclasses.dataclass(frozen=True)
class Novelty:
    """How novel each row is.

    Args:
        excess: the score minus its mean over held-out rows [bits]; high is novel.
        p_values: probability that a row like the held-out ones scores as high, see `conformal_p_values`.
        flagged: the rows that are called novel, see `discoveries`.
        kl: KL cost of the latents minus its mean over held-out rows [bits].
        entries: `(rows, *shape)` code length of each entry minus its mean over held-out rows [bits], zero where it is
            missing; None if the likelihood scores whole rows. With `kl` it adds up to the excess of the bound.
        held_out: number of held-out rows behind the p-values.
        score: the score by which rows were compared.
        rate: false-discovery rate of the flags.
    """

    excess: Float[np.ndarray, " rows"]
    p_values: Float[np.ndarray, " rows"]
    flagged: Bool[np.ndarray, " rows"]
    kl: Float[np.ndarray, " rows"]
    entries: np.ndarray | None
    held_out: int
    score: str
    rate: float

    @property
    def least(self) -> float:
        """The smallest possible p-value."""
        return 1.0 / (self.held_out + 1)

    @property
    def can_flag(self) -> bool:
        """Whether there are enough held-out rows to flag the rows with the smallest p-value."""
        at_least = int(np.sum(self.p_values <= self.least * (1 + 1e-9)))
        return self.least * len(self.p_values) <= self.rate * max(at_least, 1)


def conformal_p_values(
    scores: Float[np.ndarray, " rows"],
    held_out: Float[np.ndarray, " others"],
    copies: Int[np.ndarray, " rows"] | None = None,
) -> Float[np.ndarray, " rows"]:
    """(1 + the number of held-out scores that are at least as high) / (1 + the number of all held-out scores).

    If a row and the held-out ones are exchangeable, this is at most u with probability at most u, whatever the score
    (Vovk, Gammerman and Shafer 2005).

    Args:
        scores: scores of the rows; high is novel.
        held_out: scores of rows that the model was not fitted to.
        copies: 1 for a row that is itself among the held-out ones, and is left out of its own comparison.

    Raises:
        InputError: no held-out rows, or a score that is not a number.
    """
    if not len(held_out):
        raise InputError("A p-value needs rows that were held out of training, and there are none.")
    if np.isnan(scores).any() or np.isnan(held_out).any():
        raise InputError("A score of a row is no number, so its p-value is none either.")
    ordered = np.sort(held_out)
    at_least = len(ordered) - np.searchsorted(ordered, scores, side="left")
    own = np.zeros(len(scores), int) if copies is None else np.minimum(copies, 1)
    if len(ordered) == 1 and own.any():
        raise InputError("One held-out row cannot be compared with itself: hold out more rows.")
    return (1.0 + at_least - own) / (1.0 + len(ordered) - own)


def discoveries(p_values: Float[np.ndarray, " rows"], rate: float | int) -> Bool[np.ndarray, " rows"]:
    """Rows that are called novel, with a false-discovery rate of at most `rate` (Benjamini and Hochberg 1995).

    This also holds for p-values that share one set of held-out rows (Bates, Candes, Lei, Romano and Sesia 2023).

    Raises:
        InputError: a rate outside of 0 to 1.
    """
    from scipy import stats

    if not 0 < rate < 1:
        raise InputError(f"A false-discovery rate lies between 0 and 1, got {rate}.")
    return stats.false_discovery_control(p_values) <= rate


def novelty(
    rows: RowTerms,
    held_out: RowTerms,
    *,
    score: str = "elbo",
    rate: float | int = FALSE_DISCOVERIES,
    background: tuple[RowTerms, RowTerms] | None = None,
    complexity: tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " others"]] | None = None,
    copies: Int[np.ndarray, " rows"] | None = None,
) -> Novelty:
    """Compare rows with held-out rows of the training data.

    A score is a code length minus that which the row's observed entries have on average in held-out rows, so that rows
    with and without gaps can be compared.

    Args:
        rows: `nelbo.evaluation.row_terms` of the rows to be scored.
        held_out: `nelbo.evaluation.row_terms` of rows that the model was not fitted to.
        score: "elbo" (code length by the bound), "importance" (by the importance-weighted bound), "typicality"
            (distance of the bound from its mean, on either side; Nalisnick et al. 2019), "complexity" (code length by
            the bound minus that of a general-purpose compressor; Serra et al. 2020), "kl" or "reconstruction" alone.
        rate: false-discovery rate of the flags.
        background: terms of the rows and of the held-out ones by a background model, whose code length is subtracted,
            so that the score is a likelihood ratio (Ren et al. 2019).
        complexity: `compressed_bits` of the rows and of the held-out ones, for the score of that name.
        copies: see `conformal_p_values`.

    Raises:
        InputError: an unknown score, a score without the arguments that it needs, a background for a score that is no
            likelihood, or see `discoveries`.
    """
    choice("novelty score", score, SCORES)
    if background is not None and score not in {"elbo", "importance"}:
        raise InputError(f"A likelihood ratio is one of the scores elbo and importance, not of {score}: leave the "
                         "background out, or choose one of them.")  # fmt: skip
    lengths, usual = _excess(rows, held_out, score)
    if background is not None:
        common, usual_common = _excess(*background, score)
        lengths, usual = lengths - common, usual - usual_common
    if score == "complexity":
        if complexity is None:
            raise InputError("The score complexity needs the compressed lengths of all rows, and they were not given.")
        lengths, usual = (one - bits * NATS_PER_BIT for one, bits in zip((lengths, usual), complexity, strict=True))
    middle = 0.0 if score == "typicality" else usual.mean()
    entries = None if rows.entries is None or held_out.entries is None else -(rows.entries - _levels(rows, held_out))
    p_values = conformal_p_values(lengths, usual, copies)
    return Novelty(
        excess=(lengths - middle) / NATS_PER_BIT,
        p_values=p_values,
        flagged=discoveries(p_values, rate),
        kl=(rows.kl - held_out.kl.mean()) / NATS_PER_BIT,
        entries=None if entries is None else entries / NATS_PER_BIT,
        held_out=len(usual),
        score=score,
        rate=float(rate),
    )


def _excess(rows: RowTerms, held_out: RowTerms, score: str) -> tuple[np.ndarray, np.ndarray]:
    """The scores of the rows and of the held-out ones [nats]."""
    if score == "kl":
        return rows.kl, held_out.kl
    name = "elbo" if score in {"typicality", "complexity"} else score
    found = []
    for part in (rows, held_out):
        bound = {"elbo": part.elbo, "importance": part.importance, "reconstruction": part.reconstruction}[name]
        expected = _levels(part, held_out)
        found.append(-bound if expected is None else expected.reshape(len(bound), -1).sum(1) - bound)
    if score == "typicality":
        middle = found[1].mean()
        found = [np.abs(one - middle) for one in found]
    return found[0], found[1]


def _levels(rows: RowTerms, held_out: RowTerms) -> np.ndarray | None:
    """The mean log density of each entry over held-out rows, and zero for entries that a row lacks [nats]."""
    if held_out.entries is None:
        return None
    there = held_out.observed.sum(0)
    means = held_out.entries.sum(0) / np.maximum(there, 1)
    return np.where(rows.observed, means, 0.0)


def detection_scores(labels: Bool[np.ndarray, " rows"], scores: Float[np.ndarray, " rows"]) -> dict[str, Any]:
    """How well a score separates novel rows from others: AUROC, average precision, false alarms at 95 % recall.

    Args:
        labels: True for novel rows.
        scores: high is novel.

    Raises:
        InputError: all rows are of one kind.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    labels = np.asarray(labels, bool)
    if labels.all() or not labels.any():
        raise InputError("AUROC needs novel rows and others, but all labels are the same.")
    alarms, found, _ = roc_curve(labels, scores)
    return {
        "auroc": float(roc_auc_score(labels, scores)),
        "average_precision": float(average_precision_score(labels, scores)),
        "false_alarms_at_95": float(alarms[np.argmax(found >= 0.95)]),
    }
