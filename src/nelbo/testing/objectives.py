"""The laws of an objective: what training and evaluation rely on."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import AnyExample, Example, as_example
from nelbo.nets import trainable
from nelbo.objectives import Loss, Objective, ObjectiveState, batch_size
from nelbo.testing.statistics import SIGMAS, assert_below, assert_same_mean, assert_unbiased
from nelbo.testing.trees import clone_keys, require, require_close, require_finite, take


def check_objective(
    objective: Objective,
    model: Any,
    batch: AnyExample,
    key: Key[Array, ""],
    *,
    evidence: float | Float[Array, " batch"] | Float[np.ndarray, " batch"] | None = None,
    exact_bound: float | None = None,
    exact_gradient: PyTree = None,
    draws: int = 10_000,
    sigmas: float = SIGMAS,
    eager: bool = True,
) -> None:
    """Check the laws of an objective on one small batch.

    - Loss, metrics and gradient are finite scalars and arrays; the state keeps its structure, shapes and types.
    - Compiled equals eager; one key gives one loss.
    - `bounds` has one entry an example, and agrees in expectation with the reported bound.
    - What an example weighs (`Example.weight`) counts in the mean over the batch: weights of one change nothing,
      others move the gradient, and the bound is linear in them.
    - The reported bound has the exact mean, and -grad(surrogate) the exact gradient, where these are given.
    - No example's mean bound exceeds its evidence, where that is given.

    Args:
        objective: the objective under test.
        model: what it trains.
        batch: examples with a leading batch dimension.
        key: for the draws.
        evidence: exact log p(x) of each example, or one number none may exceed [nats].
        exact_bound: what the reported bound is on average [nats per example].
        exact_gradient: of the bound that is maximized, with respect to the trained arrays of the model: a tree like
            `eqx.filter(model, trainable(model))`.
        draws: replicates of the loss; z-scores are compared with `sigmas`, and 5 fails one coordinate in 1.7 million
            by chance.
        sigmas: standard errors allowed.
        eager: compare the compiled loss with one that is run operation by operation, which takes seconds.

    Raises:
        AssertionError: naming the law and the place where it is broken.
    """
    bounds_key, draws_key, init_key = jr.split(key, 3)
    batch, before = as_example(batch), objective.init(init_key, model)
    params, static = eqx.partition((model, before.trained), trainable((model, before.trained)))

    def loss_of(params: PyTree, k: Key[Array, ""], weight: Any = None) -> tuple[Array, tuple[Loss, PyTree]]:
        model, trained = eqx.combine(params, static)
        weighed = dataclasses.replace(batch, weight=weight)
        loss, state = objective(k, model, weighed, ObjectiveState(trained, before.carried))
        return loss.surrogate, (loss, state)

    @eqx.filter_jit
    def replicates(params: PyTree, keys: Key[Array, " draws"], weights: Any) -> tuple[tuple[Loss, PyTree], PyTree]:
        one = lambda k, w: jax.value_and_grad(loss_of, has_aux=True)(params, k, w)  # noqa: E731
        (_, results), grads = jax.vmap(one)(keys, weights)
        return results, grads

    keys, others = jr.split(draws_key, draws), _weights(batch_size(batch))
    weights = jnp.concatenate([jnp.ones((draws, batch_size(batch)), jnp.float32), others])
    raw = jr.key_data(clone_keys(keys))
    raw = jnp.concatenate([raw, jnp.tile(raw[:1], (len(others), 1))])  # the first key with other weights too
    every = replicates(params, jr.wrap_key_data(raw, impl=jr.key_impl(keys)), weights)
    (losses, states), grads = jax.tree.map(lambda leaf: leaf[:draws], every)
    require(isinstance(losses, Loss), f"an objective returns (Loss, state), got {type(losses).__name__}.")
    _check_forms(take(losses, 0), take(states, 0), before)
    require_finite(losses, "a replicate of the loss: ")
    require_finite(grads, "a replicate of the gradient: ")
    slopes = [bool(jnp.any(leaf)) for leaf in jax.tree.leaves(grads)]
    require(any(slopes), "the gradient is zero everywhere: the surrogate does not depend on the parameters.")
    _, alone = loss_of(params, keys[0]) if eager else eqx.filter_jit(loss_of)(params, keys[0])
    require_close(take((losses, states), 0), alone, "compiled and eager, or mapped and single, loss and state differ: ")
    _check_weights(every[0][0].bound[draws:], jax.tree.map(lambda leaf: leaf[draws:], every[1]))
    bounds = _bounds(objective, model, batch, bounds_key, draws)
    what = "the reported bound against the mean of bounds()"
    assert_same_mean(losses.bound, bounds.mean(1), sigmas, what=what)
    if exact_bound is not None:
        assert_unbiased(np.asarray(losses.bound), np.asarray(exact_bound), sigmas, what="the reported bound")
    if exact_gradient is not None:
        ascent = jax.tree.map(jnp.negative, grads[0])
        assert_unbiased(ascent, exact_gradient, sigmas, what="the gradient")
    if evidence is not None:
        assert_below(bounds, evidence, sigmas, what="the bound of an example")


def _weights(size: int) -> Float[Array, "4 batch"]:
    """No weights, two sets of weights, and their sum."""
    first = jnp.linspace(0.2, 1.5, size, dtype=jnp.float32)
    second = 1.0 + jnp.arange(size, dtype=jnp.float32) % 2
    return jnp.stack([jnp.zeros_like(first), first, second, first + second])


def _check_weights(bounds: Float[Array, " 4"], grads: PyTree) -> None:
    """Bound and gradient at the weights of `_weights`, for one key."""
    moved = [bool(jnp.any(leaf[0] != leaf[2])) for leaf in jax.tree.leaves(grads)]
    require(any(moved), "weights of the examples do not count: take means with nelbo.objectives.batch_mean.")
    none, first, second, both = bounds
    require_close(none + both, first + second, "the bound is not linear in the weights of the examples")


def _check_forms(loss: Loss, after: PyTree, before: PyTree) -> None:
    for name, value in {"surrogate": loss.surrogate, "bound": loss.bound, **loss.metrics}.items():
        require(value.shape == (), f"{name} has shape {value.shape}, expected one number for the batch.")
    require(jax.tree.structure(after) == jax.tree.structure(before), "the state changed its structure.")
    forms = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)] for tree in (after, before)]
    require(forms[0] == forms[1], f"the state changed a shape or a type: {forms[1]} became {forms[0]}.")


def _bounds(objective: Objective, model: Any, batch: Example, key: Key[Array, ""], draws: int) -> Array:
    every = eqx.filter_jit(lambda keys, m, b: jax.vmap(lambda k: objective.bounds(k, m, b))(keys))
    values = every(jr.split(key, draws), model, batch)
    want = (draws, batch_size(batch))
    require(values.shape == want, f"bounds() has shape {values.shape[1:]}, expected {want[1:]}: one an example.")
    require_finite(values, "bounds(): ")
    return values
