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
from nelbo.evaluation import PUBLISHED, Bracket, Score, bracket, log_normalizer
from nelbo.models import Model, RestrictedBoltzmann, boltzmann_machine, with_log_normalizer
from nelbo.runs.evaluations import EVALUATIONS, result_row

LADDER = ("elbo", "iwae", "ais", "hmc", "exact")
# of a Boltzmann machine, by the direction in which log Z was annealed: what each is to log p(x)
OF_MACHINES = {
    "elbo, log Z in reverse": "lower",
    "iwae, log Z in reverse": "lower",
    "iwae, log Z forward": "estimate",
    "log p, log Z in reverse": "lower",
    "log p, log Z forward": "upper",
}
_NO_SUM = "log Z of this machine has too many terms, and is annealed from both sides"
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
    machine = boltzmann_machine(model)
    if machine is not None and not machine.is_enumerable:
        return _machine_ladder(
            key, model, machine, examples, split, data, settings.get("temperatures", PUBLISHED), progress
        )
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


def _machine_ladder(  # as many as a ladder has
    key: Key[Array, ""],
    model: Model,
    machine: RestrictedBoltzmann,
    examples: Source,
    split: str,
    data: Data,
    temperatures: int,
    progress: Callable[[str], Callable[[int, float], None] | None],
) -> Ladder:
    """Scores with log Z from both sides: a lower and, of a machine without latents, an upper bound on log p(x).

    Forward annealing gives a log Z that is low in expectation, and log p(x) one that is high; the reverse the other way
    round, where the chains that it starts from draw from the machine.
    """
    found = log_normalizer(jr.fold_in(jr.clone(key), 1), machine, temperatures=temperatures)
    if found.reverse is None or found.reverse_error is None:
        raise InputError("Log Z of this machine is enumerated, and brackets nothing.")
    filled = with_log_normalizer(model, found.log_z)
    scores: dict[str, Score] = {}
    latents = model.depth > 0
    for name in ("elbo", "iwae") if model.depth else ("exact",):
        one = EVALUATIONS["iwae" if latents and name == "iwae" else "elbo"]
        score = one.score(jr.clone(key), filled, examples, num_samples=one.samples, progress=progress(name))
        word = "log p" if name == "exact" else name
        scores[f"{word}, log Z in reverse"] = _lowered(
            score, found.reverse - found.log_z, found.reverse_error, latents=latents
        )
        scores[f"{word}, log Z forward"] = _lowered(score, 0.0, found.standard_error, latents=latents)
    scores = {name: scores[name] for name in OF_MACHINES if name in scores}
    rows = [
        result_row(score, name, split, data) | {"kind": OF_MACHINES[name], "normalizer": found.record()}
        for name, score in scores.items()
    ]
    if found.warning is not None:
        rows[-1]["warning"] = found.warning
    order, in_order = _checked(scores, fresh=data.binarization == "dynamic")
    return Ladder(tuple(rows), scores, {"exact": _NO_SUM}, tuple(order), in_order, None)


def _lowered(score: Score, by: float, error: float, *, latents: bool) -> Score:
    """The score at a log Z that is higher by so many nats, with the error of that log Z.

    Args:
        score: with an error, and split in two parts.
        by: [nats].
        error: of log Z.
        latents: log Z is that of p(z) and counts in the KL, else in log p(x | z).
    """
    nats, own = score.nats - by, score.standard_error
    parts = {"kl": (score.kl or 0.0) + by} if latents else {"reconstruction": nats}
    return dataclasses.replace(
        score,
        nats=nats,
        per_example=score.per_example - by,
        bits_per_dim=score.bits_per_dim * nats / score.nats,
        standard_error=None if own is None else math.hypot(own, error),
        **parts,
    )


def _checked(scores: Mapping[str, Score], *, fresh: bool) -> tuple[list[str], bool]:
    """Each bound against the next one, and the last bound and the estimate against what is exact.

    Args:
        scores: by name.
        fresh: each score drew its own binary examples, so that differences have the error over examples too.
    """
    lower = [name for name in scores if _kind(name) == "lower"]
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
    exact = {_kind(low), _kind(high)}
    slack = _ERRORS * error + _SLACK["estimate" if "estimate" in exact else "exact"]
    size = f"{difference:+.4f} nats, error {error:.4f}"
    if _kind(low) != "lower":
        right = abs(difference) <= slack
        return f"{low} and {high} {'agree' if right else 'DISAGREE'}: {high} - {low} = {size}", right
    right = difference >= -slack
    advice = {"ais": ": too few temperatures", "hmc": ": its chains have not mixed, or a normal does not fit"}
    advice |= dict.fromkeys(OF_MACHINES, ": too few temperatures, or chains that do not draw from the machine yet")
    verdict = "in order" if right else f"OUT OF ORDER{advice.get(high, '')}"
    return f"{low} <= {high}, {verdict}: {high} - {low} = {size}", right


def _kind(name: str) -> str:
    """What a score of this name is to log p(x)."""
    return OF_MACHINES[name] if name in OF_MACHINES else EVALUATIONS[name].kind
