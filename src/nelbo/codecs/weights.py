"""How well a model's numbers are known, and what of that its file has to hold.

A posterior over parameters says it: N(m, s^2) for each. Where a run has none, a Laplace approximation stands in for it,
with a diagonal of squared gradients for the curvature: of log p(x, z) for the generative model, and of log q(z | x) for
the recognition model, z drawn from q. The latter's mean square is the curvature of KL(q || q'), the former's bounds
that of the marginal likelihood.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.core import Example, InputError, compiled
from nelbo.data import Source
from nelbo.models import Model, named_arrays, stored, without_globals
from nelbo.nets import trainable
from nelbo.training import examples

EXAMPLES = 512  # of the training data, whose gradients are squared
_AT_ONCE = 16


@compiled
def _squares(key: Key[Array, ""], model: Model, source: Source, raw: Any) -> Any:
    """Sums over a batch of squared gradients of log p(x, z) + log q(z | x) at a draw of z."""
    data_key, key = jr.split(key)
    batch = examples(data_key, source, raw)
    params, rest = eqx.partition(model, trainable(model))

    def score(params: Any, key: Key[Array, ""], x: Example) -> Array:
        whole = eqx.combine(params, rest)
        z = jax.lax.stop_gradient(whole.draw(key, x).z)
        return whole.generative.log_prob(x, z).sum() + whole.posterior(x).log_prob(z).sum()

    keys = jr.split(key, batch.values.shape[0])
    slopes = jax.vmap(jax.grad(score), in_axes=(None, 0, 0))(params, keys, batch)
    return jax.tree.map(lambda slope: (slope**2).sum(0), slopes)


def laplace_widths(key: Key[Array, ""], model: Model, source: Source) -> Any:
    """Standard deviations of a Laplace posterior by squared gradients, a tree like the model at its point.

    The prior of an array is a normal around zero with the mean square of its numbers.

    Args:
        key: for the examples and the draws of their latents.
        model: a fitted one.
        source: training data.
    """
    point = without_globals(model)
    count = min(EXAMPLES, len(source))
    order_key, key = jr.split(key)
    chosen = np.asarray(jr.permutation(order_key, len(source)))[: count - count % _AT_ONCE or count]
    sums: Any = None
    for i, rows in enumerate(np.split(chosen, range(_AT_ONCE, len(chosen), _AT_ONCE))):
        found = _squares(jr.fold_in(key, i), point, source.head(0) if source.on_host else source, source.take(rows))
        sums = found if sums is None else jax.tree.map(jnp.add, sums, found)
    data = len(source) / len(chosen)

    def width(total: Array, value: Array) -> Array:
        prior = jnp.mean(value**2) + 1e-12
        return 1.0 / jnp.sqrt(data * total + 1.0 / prior)

    params, rest = eqx.partition(point, trainable(point))
    return eqx.combine(jax.tree.map(width, sums, params), rest)


def posterior_widths(key: Key[Array, ""], model: Model, source: Source) -> tuple[dict[str, np.ndarray], str]:
    """Widths of a model's trained arrays by their names in its file, and where they come from, in words.

    Args:
        key: for the Laplace approximation.
        model: with the posterior over its parameters, where it has one.
        source: training data.

    Raises:
        InputError: an approximation that is not finite.
    """
    told = None if model.globals is None else model.globals.widths(model)
    kept = named_arrays(stored(model))
    own = {} if told is None else {name: w for name, w in named_arrays(told).items() if _is_known(kept[name], w)}
    mark = named_arrays(jax.tree.map(lambda leaf, on: leaf if on else None, stored(model), trainable(stored(model))))
    missing = [name for name in mark if name not in own and kept[name].dtype == np.float32]
    if not missing or (own and stored(model).globals is not None):
        return own, "the posterior"
    laplace = named_arrays(laplace_widths(key, model, source))
    found = own | {name: laplace[name] for name in missing if name in laplace}
    if not all(np.isfinite(width).all() for width in found.values()):
        raise InputError(
            "The gradients of this model on its training data are not finite: it has diverged, fit it again."
        )
    return (
        found,
        "a Laplace approximation" if not own else "the posterior, and a Laplace approximation where it has none",
    )


def _is_known(value: np.ndarray, width: np.ndarray) -> bool:
    return value.dtype == np.float32 and width.shape == value.shape and bool(np.isfinite(width).all())
