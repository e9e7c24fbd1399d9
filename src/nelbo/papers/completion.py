"""Matrix completion of measured pairs beside a physical model: ten-fold and leave-one-out errors, and hybrids."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.bayes import WithGlobals
from nelbo.core import Example, compiled
from nelbo.data import Source, Triples
from nelbo.models import Model, build, distilled_prior, layer_of
from nelbo.objectives import Sgvb
from nelbo.papers.activity import SETS
from nelbo.runs import Run
from nelbo.tasks import posterior_of, predict_pairs
from nelbo.training import fit, optimizer

Rows = list[dict[str, Any]]
DRAWS = 50  # of the factors; means and standard deviations need none
GRID = 201  # points at which a predictor is integrated out


@dataclasses.dataclass(frozen=True)
class Matrix:
    """Values of pairs, every row and column numbered.

    Args:
        pairs: `(n, 2)` numbers of row and column.
        values: `(n,)`.
        physics: `(n,)` what the physical model says, NaN where it says nothing.
        shape: how many rows and columns.
        whole: the physical model's prediction of every pair of the matrix, `shape`, NaN where there is none.
    """

    pairs: np.ndarray
    values: np.ndarray
    physics: np.ndarray
    shape: tuple[int, int]
    whole: np.ndarray


def matrix_of(triples: Triples, physics: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Matrix:
    """Number the rows and columns, and ask the physical model about all of them."""
    assert triples.values is not None
    (rows, i), (columns, j) = (
        np.unique(ids.astype(str), return_inverse=True) for ids in (triples.rows, triples.columns)
    )
    every = np.repeat(rows, len(columns)).astype(object), np.tile(columns, len(rows)).astype(object)
    whole = physics(*every).reshape(len(rows), len(columns))
    return Matrix(np.stack([i, j], 1).astype(np.float32), triples.values, whole[i, j], whole.shape, whole)


class Completion:
    """Fits of one kind of model to parts of a matrix; parts of one size share a compiled program.

    Args:
        key: for all of them.
        arguments: of the model, but for what the data decide.
        training: rate, batch and steps.
    """

    def __init__(self, key: Key[Array, ""], arguments: Mapping[str, Any], training: Mapping[str, Any]) -> None:
        self._key, self._arguments, self._training = key, dict(arguments), training

    def fitted(
        self, matrix: Matrix, pairs: np.ndarray, values: np.ndarray, taught: Model | None = None, inflate: float = 1.0
    ) -> Model:
        """A model of these values; with `taught` its posterior is the prior."""
        centre, spread = float(values.mean()), float(values.std())
        if taught is not None:
            head = layer_of(taught).head
            centre, spread = float(head.summary(head(jnp.zeros(1)))[0][0]), float(head.unit)
        arguments = self._arguments | {"shape": [1], "pairs": list(matrix.shape), "distilled": taught is not None}
        arguments |= {name: jnp.full(1, value, jnp.float32) for name, value in (("centre", centre), ("spread", spread))}
        model = build(jr.clone(self._key), "factorization", arguments)
        if taught is not None:
            model = distilled_prior(model, taught, *(range(count) for count in matrix.shape), inflate=inflate)
        data = Source(
            Example(jnp.asarray(values[:, None], jnp.float32), context=jnp.asarray(pairs)), "real", dynamic=False
        )
        steps, batch = self._training["steps"], min(self._training["batch_size"], len(values))
        rule = optimizer("adam", learning_rate=self._training["learning_rate"], schedule="cosine", steps=steps)
        objective = WithGlobals(Sgvb(), len(values))
        return fit(jr.clone(self._key), model, objective, data, rule, steps=steps, batch_size=batch, keep="last",
                   evaluate_every=steps).model  # fmt: skip

    def held_out(
        self,
        matrix: Matrix,
        folds: np.ndarray,
        *,
        values: np.ndarray | None = None,
        usable: np.ndarray | None = None,
        taught: Model | None = None,
        inflate: float = 1.0,
    ) -> Float[np.ndarray, " n"]:
        """Each value as it is predicted by a model that was fitted without its fold; NaN outside of `usable`."""
        values = matrix.values if values is None else values
        usable = np.ones(len(values), bool) if usable is None else usable
        found, count = np.full(len(values), np.nan), folds.max() + 1
        sizes = [int((usable & (folds != fold)).sum()) for fold in range(count)]
        for fold in range(count):
            places = np.flatnonzero(usable & (folds != fold))[: min(sizes)]  # one size: one program
            model = self.fitted(matrix, matrix.pairs[places], values[places], taught, inflate)
            asked = np.flatnonzero(usable & (folds == fold))
            found[asked] = predict_pairs(jr.clone(self._key), model, matrix.pairs[asked], draws=DRAWS).mean
        return found


def _left_out(model: Model, pairs: Float[Array, "n two"], values: Float[Array, " n"]) -> Float[Array, " n"]:
    """The location of each value without that value itself: its likelihood is divided out of its predictor's law.

    The predictor is taken as normal with its exact mean and variance; q(f) / p(y | f), normalized on a grid of eight
    standard deviations either way, is the leave-one-out law of f up to what the value did to other pairs' factors
    (Gelfand, Dey and Chang 1992, importance-sampling leave-one-out, here by quadrature).
    """
    layer = layer_of(posterior_of(model).averaged(model))
    mean, variance = jax.vmap(layer.moments)(pairs)
    steps = jnp.linspace(-8.0, 8.0, GRID)
    f = mean[:, None] + jnp.sqrt(variance)[:, None] * steps[None]
    log_weight = -0.5 * steps[None] ** 2 - layer.head(f).log_prob(jnp.broadcast_to(values[:, None], f.shape))
    weight = jax.nn.softmax(log_weight, axis=1)
    return layer.head.summary(layer.head((weight * f).sum(1)))[0]


left_out = compiled(_left_out)


def completion(
    key: Key[Array, ""], run: Run, data_dir: str | None, *, data: str, folds: int, steps: int, inflate: float
) -> tuple[Rows, dict[str, np.ndarray]]:
    """Held-out errors of completion, of the physical model, and of both together.

    Args:
        key: for the folds and the fits.
        run: whose settings the fits have.
        data_dir: where the measurements are.
        data: one of `nelbo.papers.activity.SETS`.
        folds: of the cross-validation.
        steps: of each fit.
        inflate: factor on the standard deviations of the first stage's posterior.
    """
    read, physics = SETS[data]
    matrix = matrix_of(read(data_dir), physics)
    order_key, fit_key = jr.split(key)
    fold_of = np.asarray(jr.permutation(order_key, len(matrix.values))) % folds
    given = run.experiment.model["arguments"]
    names = ("rank", "likelihood", "prior_scale", "learn_prior", "noise_scale")
    training = {**run.experiment.training, "steps": steps}
    robust = Completion(fit_key, {name: given[name] for name in names}, training)
    plain = Completion(fit_key, {name: given[name] for name in names} | {"likelihood": "gaussian"}, training)
    there = ~np.isnan(matrix.physics)
    found = {"physical model": matrix.physics}
    found["completion"] = robust.held_out(matrix, fold_of)
    found["completion, gaussian"] = plain.held_out(matrix, fold_of)
    residual = np.where(there, matrix.values - matrix.physics, 0.0)
    found["residual of the physical model"] = matrix.physics + robust.held_out(
        matrix, fold_of, values=residual, usable=there
    )
    i, j = np.nonzero(~np.isnan(matrix.whole))
    taught = robust.fitted(matrix, np.stack([i, j], 1).astype(np.float32), matrix.whole[i, j])
    found["whisky"] = robust.held_out(matrix, fold_of, taught=taught, inflate=inflate)
    found["mean of both"] = 0.5 * (found["completion"] + matrix.physics)
    whole = robust.fitted(matrix, matrix.pairs, matrix.values)
    pairs, values = jnp.asarray(matrix.pairs), jnp.asarray(matrix.values, jnp.float32)
    found["completion, leave-one-out"] = np.asarray(left_out(whole, pairs, values), np.float64)
    rows = [_row(name, predicted, matrix, there, folds) for name, predicted in found.items()]
    arrays = {name: np.abs(predicted - matrix.values)[there].astype(np.float32) for name, predicted in found.items()}
    return rows, arrays


def _row(name: str, predicted: np.ndarray, matrix: Matrix, there: np.ndarray, folds: int) -> dict[str, Any]:
    scheme = {"physical model": "not fitted here", "completion, leave-one-out": "leave-one-out, approximate"}
    error = predicted - matrix.values
    known = ~np.isnan(error)
    return {
        "method": name,
        "scheme": scheme.get(name, f"{folds}-fold"),
        "pairs": int(known.sum()),
        "of": len(error),
        "MAE": float(np.abs(error[known]).mean()),
        "MSE": float((error[known] ** 2).mean()),
        "common pairs": int(there.sum()),
        "MAE, common": float(np.abs(error[there]).mean()),
        "MSE, common": float((error[there] ** 2).mean()),
    }
