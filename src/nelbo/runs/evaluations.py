"""Evaluations of a run as rows of its record: which number, of which kind, on which data, in which units."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, NotFiniteError, choice, compiled, read_json, write_json
from nelbo.data import Data, Source, array_digest
from nelbo.evaluation import (
    CHAINS,
    Score,
    annealed_importance,
    elbo,
    exact_log_likelihood,
    importance_bound,
    perplexity,
    posterior_bound,
    reciprocal_importance,
)
from nelbo.models import Globals, Model
from nelbo.runs.folder import RECORD
from nelbo.runs.locks import locked
from nelbo.tasks import predictive_score

UNITS = "nats per example"
WEIGHT_DRAWS = 10


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A number that says how well a model accounts for data.

    Args:
        score: from a key, a model and a source, with `num_samples` and `progress`, to the score.
        kind: "exact", or on which side of log p(x) its mean lies.
        samples: draws of z for each example, unless told otherwise.
        title: in words.
        settings: further options of `score`, by keyword.
    """

    score: Callable[..., Score]
    kind: Literal["exact", "lower", "upper", "estimate"]
    samples: int
    title: str
    settings: tuple[str, ...] = ()


PAIR_SCORE = "predictive"  # of the values of pairs
LOG_SCORE = "log-score"  # the only one of supervised models, see `nelbo.runs.predictions`
EVALUATIONS: Mapping[str, Evaluation] = {
    "elbo": Evaluation(elbo, "lower", 100, "evidence lower bound"),
    "iwae": Evaluation(importance_bound, "lower", 5000, "importance-weighted bound", settings=("precision",)),
    "ais": Evaluation(
        annealed_importance, "lower", CHAINS, "annealed importance sampling", settings=("temperatures", "start")
    ),
    "hmc": Evaluation(reciprocal_importance, "estimate", 5000, "log p(x) of few latents by Hamiltonian chains"),
    "posterior": Evaluation(posterior_bound, "lower", 1, "evidence lower bound in expectation over topics or means"),
    PAIR_SCORE: Evaluation(predictive_score, "lower", 100, "log predictive density of the values of pairs"),
    "exact": Evaluation(exact_log_likelihood, "exact", 1, "log p(x), where it has a closed form"),
}


def evaluation(name: str) -> Evaluation:
    """The evaluation called `name`.

    Raises:
        InputError: there is none.
    """
    return EVALUATIONS[choice("bound", name, EVALUATIONS)]


def result_row(score: Score, bound: str, split: str, data: Data, model: Model | None = None) -> dict[str, Any]:
    """A score as a row of a record; all likelihoods in nats per example unless the name says otherwise.

    "standard_error" is Monte Carlo error alone, "spread" the standard error over the examples as a sample of many.

    Args:
        score: the numbers.
        bound: what they are, by their name in `EVALUATIONS` or in words (a lower bound then).
        split: "train", "valid" or "test"; "rows" of a file without splits.
        data: the data set as it was scored: its binarization is the row's.
        model: that was scored: without latents its bounds are log p(x) itself.

    Raises:
        NotFiniteError: the model gives some example no probability.
    """
    bad = np.flatnonzero(~np.isfinite(score.per_example))
    if len(bad):
        raise NotFiniteError(
            f"The {bound} bound of the {split} set of {data.name} is not finite for {len(bad)} of {score.num_examples} "
            f"examples (first: example {bad[0]}): look at these data, or train with a lower learning rate."
        )
    kind = EVALUATIONS[bound].kind if bound in EVALUATIONS else "lower"
    if model is not None and not model.depth and bound != PAIR_SCORE:
        kind = "exact"
    if score.details.get("normalizer", {}).get("method") == "annealing":
        kind = "estimate"  # log Z of annealing is low in expectation, log p(x) high
    row = {
        "split": split,
        "bound": bound,
        "kind": kind,
        "samples": score.num_samples,
        "nats": score.nats,
        "standard_error": score.standard_error,
        "spread": score.spread,
        "bits_per_dim": score.bits_per_dim,
        "reconstruction": score.reconstruction,
        "kl": score.kl,
        "examples": score.num_examples,
        "data": data.name,
        "sha256": array_digest(data.split(split).x[: score.num_examples]),
        "binarization": data.binarization,
        "units": UNITS,
        **score.details,
    }
    if score.warning is not None:
        row["warning"] = score.warning
    if data.values == "counts":
        lengths = data.split(split).x[: score.num_examples].sum(1)
        row["perplexity"] = perplexity(score.per_example, lengths)
    return row


def plug_in_row(
    key: Key[Array, ""], model: Model, source: Source, bound: str, split: str, data: Data
) -> dict[str, Any]:
    """The row of a bound with the usual number of samples."""
    return result_row(EVALUATIONS[bound].score(key, model, source), bound, split, data, model)


@compiled
def _drawn(key: Key[Array, ""], model: Model) -> tuple[Model, Float[Array, ""]]:
    """The model with its weights drawn, and what they cost [nats]."""
    shared = cast("Globals", model.globals)
    return shared.sample(key, model), shared.cost(jr.clone(key), model)


def weight_rows(
    key: Key[Array, ""], model: Model, num_data: int, parts: Mapping[str, tuple[Source, Data]]
) -> list[dict[str, Any]]:
    """The bounds of a model whose weights have a posterior q (Kingma and Welling 2014, appendix F).

    On the training set "full-vb" is the mean over q of the bound, minus KL(q || p) / N: a bound on the evidence of the
    whole set, per example. On the test set "elbo, weights drawn" is the mean over q alone: a bound on the predictive
    density. Standard errors are over the draws of the weights.

    Args:
        key: for the draws.
        model: with a posterior over its weights (`Model.globals`).
        num_data: N, the number of training examples.
        parts: source and data set of "train" and "test".
    """
    if model.globals is None:
        raise InputError("The weights of this model have no posterior.")
    rows = []
    for i, (split, (source, data)) in enumerate(parts.items()):
        scores, costs = [], []
        for draw_key in jr.split(jr.fold_in(key, i), WEIGHT_DRAWS):
            weight_key, score_key = jr.split(draw_key)
            drawn, cost = _drawn(weight_key, model)
            scores.append(elbo(score_key, drawn, source, num_samples=1))
            costs.append(float(cost) / num_data)
        name = "full-vb" if split == "train" else "elbo, weights drawn"
        row = result_row(scores[0], name, split, data)
        for field, values in _columns(scores).items():
            row[field] = float(np.mean(values))
        row |= {"samples": WEIGHT_DRAWS, "standard_error": _error([score.nats for score in scores])}
        if split == "train":
            nats_per_bit_and_dimension = row["nats"] / row["bits_per_dim"] if row["bits_per_dim"] else -1.0
            cost = float(np.mean(costs))
            row |= {"nats": row["nats"] - cost, "weight_kl": cost}
            row["bits_per_dim"] = row["nats"] / nats_per_bit_and_dimension
        rows.append(row)
    return rows


def _columns(scores: list[Score]) -> dict[str, list[float]]:
    return {name: [getattr(s, name) for s in scores] for name in ("nats", "bits_per_dim", "reconstruction", "kl")}


def _error(values: list[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def add_result(folder: Path | str, row: dict[str, Any]) -> None:
    """Put a result into a run's record, in place of an older one of the same kind.

    Raises:
        InputError: the record is damaged or cannot be written.
    """
    path = Path(folder) / RECORD
    # examples of one name may be those of two files
    same = (
        "split",
        "bound",
        "samples",
        "examples",
        "data",
        "sha256",
        "binarization",
        "refined",
        "temperatures",
        "start",
    )
    with locked(path.with_name(".record.lock")):
        record = read_json(path) if path.exists() else {"results": []}
        if not isinstance(record, dict) or not isinstance(record.get("results", []), list):
            raise InputError(f"{path} is damaged: it must be an object with a list of results; remove or restore it.")
        kept = [old for old in record.get("results", []) if any(old.get(k) != row.get(k) for k in same)]
        write_json(path, record | {"results": [*kept, row]})
