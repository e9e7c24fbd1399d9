"""Every estimate of log p(x) that a model allows, and whether they are in the order that theory gives them."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.random as jr
from jaxtyping import Array, Key

from nelbo.core import InputError
from nelbo.data import Data, Source
from nelbo.evaluation import Bracket, Score, bracket
from nelbo.models import Model
from nelbo.runs.evaluations import EVALUATIONS, result_row

LADDER = ("elbo", "iwae", "ais", "hmc", "exact")
SIMULATED = 20  # examples for the bracket, at most
_ERRORS = 3.0  # by how many of its errors a difference may be on the wrong side
_SLACK = {"exact": 2e-3, "estimate": 0.02}  # of float32, and of a fitted density [nats]


@dataclasses.dataclass(frozen=True)
class Ladder:
    """What was found.

    Args:
        rows: of the record, the loosest bound first.
        scores: the same by name, with the value of each example.
        skipped: why others do not apply, by name, in one sentence.
        order: a sentence for each comparison.
        in_order: whether none of them is violated beyond its error.
        bracket: of annealing on data of the model's own, where it applies.
    """

    rows: tuple[dict[str, Any], ...]
    scores: Mapping[str, Score]
    skipped: Mapping[str, str]
    order: tuple[str, ...]
    in_order: bool
    bracket: Bracket | None

    def record(self) -> dict[str, Any]:
        """As JSON."""
        found: dict[str, Any] = {"rows": list(self.rows), "skipped": dict(self.skipped), "order": list(self.order)}
        found["in_order"] = self.in_order
        if self.bracket is not None:
            sides = {"lower": self.bracket.lower.nats, "upper": self.bracket.upper.nats}
            found["bracket"] = sides | {
                "gap": self.bracket.gap,
                "gap_error": self.bracket.gap_error,
                "examples": len(self.bracket.examples),
                "units": "nats per simulated example",
            }
        return found


def evidence_ladder(
    key: Key[Array, ""],
    model: Model,
    examples: Source,
    split: str,
    data: Data,
    *,
    settings: Mapping[str, Any],
    progress: Callable[[str], Callable[[int, float], None] | None],
) -> Ladder:
    """Score the same examples by everything that applies.

    Args:
        key: for all draws.
        model: that is scored.
        examples: of the split.
        split: its name.
        data: the data set, for the rows.
        settings: by option of `EVALUATIONS`, where it is not as usual ("temperatures", "start").
        progress: from the name of an estimator to what is called with examples done and their mean.
    """
    scores: dict[str, Score] = {}
    rows: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    found = None
    names = LADDER if model.depth else ("exact",)
    for name in names:
        one = EVALUATIONS[name]
        options = {option: settings[option] for option in one.settings if option in settings}
        arguments = {"num_samples": one.samples, "progress": progress(name), **options}
        try:
            scores[name] = one.score(jr.clone(key), model, examples, **arguments)
        except InputError as error:
            skipped[name] = str(error)
            continue
        rows.append(result_row(scores[name], name, split, data, model))
        if name == "ais":
            found = bracket(jr.fold_in(jr.clone(key), 1), model, examples.head(SIMULATED), **options)
    order, in_order = _checked(scores, fresh=data.binarization == "dynamic")
    return Ladder(tuple(rows), scores, skipped, tuple(order), in_order, found)


def _checked(scores: Mapping[str, Score], *, fresh: bool) -> tuple[list[str], bool]:
    """Each bound against the next one, and the last bound and the estimate against what is exact.

    Args:
        scores: by name.
        fresh: each score drew its own binary examples, so that differences have the error over examples too.
    """
    lower = [name for name in scores if EVALUATIONS[name].kind == "lower"]
    pairs = list(itertools.pairwise(lower))
    pairs += [(lower[-1], name) for name in scores if name not in lower and lower]
    if {"hmc", "exact"} <= set(scores):
        pairs.append(("hmc", "exact"))
    sentences, all_right = [], True
    for low, high in pairs:
        sentence, right = _compared(low, high, scores, fresh=fresh)
        sentences.append(sentence)
        all_right &= right
    return sentences, all_right


def _compared(low: str, high: str, scores: Mapping[str, Score], *, fresh: bool) -> tuple[str, bool]:
    difference = scores[high].nats - scores[low].nats
    error = math.hypot(*(one.spread if fresh else one.standard_error or 0.0 for one in (scores[low], scores[high])))
    exact = {EVALUATIONS[low].kind, EVALUATIONS[high].kind}
    slack = _ERRORS * error + _SLACK["estimate" if "estimate" in exact else "exact"]
    size = f"{difference:+.4f} nats, error {error:.4f}"
    if EVALUATIONS[low].kind != "lower":
        right = abs(difference) <= slack
        return f"{low} and {high} {'agree' if right else 'DISAGREE'}: {high} - {low} = {size}", right
    right = difference >= -slack
    advice = {"ais": ": too few temperatures", "hmc": ": its chains have not mixed, or a normal does not fit"}
    verdict = "in order" if right else f"OUT OF ORDER{advice.get(high, '')}"
    return f"{low} <= {high}, {verdict}: {high} - {low} = {size}", right
