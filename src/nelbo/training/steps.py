"""The compiled functions of training: the initial state, a chunk of steps, and the bounds of a held-out set."""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from nelbo.core import compiled, with_fresh_keys
from nelbo.data import Source
from nelbo.nets import trainable
from nelbo.objectives import Loss, Objective, ObjectiveState
from nelbo.training.state import Carry, Trained


def examples(key: Key[Array, ""], source: Source, raw: PyTree, weights: Float[Array, " batch"] | None = None) -> PyTree:
    """A batch as the model sees it, from a batch as it is stored, with the weight of each example in the mean."""
    keys = jr.split(key, jax.tree.leaves(raw)[0].shape[0])
    batch = jax.vmap(source.example)(keys, raw)
    return batch if weights is None else dataclasses.replace(batch, weight=weights)


def resident(source: Source) -> bool:
    """Whether the data are on the device, so that batches are gathered inside the compiled step."""
    return not source.on_host


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every number of every array is finite."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def metrics_of(loss: Loss) -> dict[str, Float[Array, ""]]:
    """All numbers of a loss by name."""
    return {**loss.metrics, "bound": loss.bound, "surrogate": loss.surrogate}


def _start(model: PyTree, objective: Objective, optimizer: optax.GradientTransformation, key: Any) -> tuple[Carry, Any]:
    noise_key = jr.fold_in(key, 1)
    state = objective.init(key, model)
    params, static = split_trainable(Trained(model, state.trained))
    copied, carried = jax.tree.map(jnp.copy, (params, state.carried))  # the caller keeps its own
    # the noise of an optimizer is the run's: the same optimizer is other noise, and no other program, with another key
    first = with_fresh_keys(noise_key, optimizer.init(params))
    return Carry(copied, first, carried, jnp.zeros((), jnp.int32)), static


start = compiled(_start, once=True)


class Rule(eqx.Module):
    """What a step depends on beside the numbers that it changes.

    Args:
        static: the parts of the model and of the objective's state that are not trained.
        objective: bound and gradient rule.
        optimizer: from optax.
        mesh: devices with an axis "data" over which batches are sharded, or None.
    """

    static: Trained
    objective: Objective
    optimizer: optax.GradientTransformation = eqx.field(static=True)
    mesh: Mesh | None = eqx.field(static=True)

    def step(
        self, carry: Carry, source: Source, item: tuple[PyTree, Array | None], key: Key[Array, ""]
    ) -> tuple[Carry, dict[str, Float[Array, ""]]]:
        """From a carry and a batch as it is stored, with its weights, to the next carry and the step's metrics.

        Keys are derived from the step number, so the numbers do not depend on where a chunk of steps ends.
        """

        def loss_of(params: Trained, key: Key[Array, ""], batch: PyTree, carried: PyTree) -> tuple[Array, Any]:
            whole = eqx.combine(params, self.static)
            loss, state = self.objective(key, whole.model, batch, ObjectiveState(whole.objective, carried))
            return loss.surrogate, (loss, state.carried)

        data_key, loss_key = jr.split(jr.fold_in(key, carry.step))
        batch = examples(data_key, source, *item)
        if self.mesh is not None:
            batch = jax.lax.with_sharding_constraint(batch, NamedSharding(self.mesh, PartitionSpec("data")))
        grads, (loss, carried) = jax.grad(loss_of, has_aux=True)(carry.params, loss_key, batch, carry.carried)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its integer counts
            updates, optimizer_state = self.optimizer.update(grads, carry.optimizer, carry.params)
            params = optax.apply_updates(carry.params, updates)
        return Carry(params, optimizer_state, carried, carry.step + 1), metrics_of(loss)


def _stored(source: Source, item: PyTree, *, indexed: bool) -> tuple[PyTree, Array | None]:
    """A batch as it is stored, with its weights, from an item of the feed."""
    rows, weights = item
    return (source.take(rows) if indexed else rows), weights


def _run_chunk(
    carry: Carry, rule: Rule, source: Source, feed: PyTree, key: Key[Array, ""], count: Int[Array, ""], *, indexed: bool
) -> tuple[Carry, dict[str, Array], Bool[Array, ""]]:
    """Run up to a fixed number of steps.

    The feed holds the indices of each step's batch (`indexed`), or the batches themselves if the data are not on the
    device, and their weights or None. Only the first `count` steps are run, so one compilation serves every length.
    Besides the carry and each step's metrics, the result says whether all parameters are finite in the end, because no
    metric shows a bad gradient of the last step.
    """
    length = jax.tree.leaves(feed)[0].shape[0]

    @functools.partial(jax.jit, inline=True)  # traced once, for its shapes and in the loop
    def step(carry: Carry, item: PyTree) -> tuple[Carry, dict[str, Array]]:
        return rule.step(carry, source, item, key)

    def stored(i: Int[Array, ""]) -> PyTree:
        return _stored(source, jax.tree.map(lambda leaf: leaf[i], feed), indexed=indexed)

    def body(i: Int[Array, ""], loop: tuple[Carry, dict[str, Array]]) -> tuple[Carry, dict[str, Array]]:
        carry, buffers = loop
        carry, metrics = step(carry, stored(i))
        return carry, {name: buffers[name].at[i].set(value) for name, value in metrics.items()}

    first = jax.eval_shape(lambda c: step(c, stored(jnp.zeros((), jnp.int32)))[1], carry)
    buffers = {name: jnp.zeros(length, value.dtype) for name, value in first.items()}
    carry, buffers = jax.lax.fori_loop(0, count, body, (carry, buffers))
    return carry, buffers, all_finite(carry.params)


run_chunk = compiled(_run_chunk, donate=True)


def _run_step(
    carry: Carry, rule: Rule, source: Source, item: PyTree, key: Key[Array, ""], *, indexed: bool
) -> tuple[Carry, dict[str, Array]]:
    return rule.step(carry, source, _stored(source, item, indexed=indexed), key)


run_step = compiled(_run_step, donate=True)
_finite = compiled(all_finite)


def run_steps(
    carry: Carry, rule: Rule, source: Source, feed: PyTree, key: Key[Array, ""], count: int, *, indexed: bool
) -> tuple[Carry, dict[str, Array], Array]:
    """`run_chunk` as a loop in Python over one compiled step, for steps that `convolve`."""
    rows = []
    for i in range(count):
        item = jax.tree.map(lambda leaf, i=i: leaf[i], feed)
        carry, metrics = run_step(carry, rule, source, item, key, indexed=indexed)
        rows.append(metrics)
    return carry, {name: jnp.stack([row[name] for row in rows]) for name in rows[0]}, _finite(carry.params)


def convolve(*arguments: Any, indexed: bool) -> bool:
    """Whether the steps of `run_chunk`, with the same arguments, have convolutions that are slow inside its loop.

    XLA's CPU backend rewrites convolutions for its fast kernel only outside of loops (`ConvCanonicalization` visits the
    entry computation alone; github.com/jax-ml/jax/issues/12868). The gradients of a convolution always need that
    rewriting, and take ten times as long without it. Tracing is cached, so running the chunk does not trace it again.
    """
    if jax.default_backend() != "cpu":
        return False
    return "conv_general_dilated" in run_chunk.text(*arguments, indexed=indexed)


def _run_bounds(
    params: Trained,
    static: Trained,
    objective: Objective,
    source: Source,
    indices: Int[Array, "batches batch"],
    key: Key[Array, ""],
) -> Float[Array, "batches batch"]:
    """The bound of each example, in batches."""
    model = eqx.combine(params.model, static.model)

    def one(inputs: tuple[Array, Array]) -> Array:
        data_key, bound_key = jr.split(inputs[1])
        batch = examples(data_key, source, source.take(inputs[0]))
        return objective.bounds(bound_key, model, batch)

    return jax.lax.map(one, (indices, jr.split(key, indices.shape[0])))


run_bounds = compiled(_run_bounds, seldom=True)


def padded_batches(size: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices 0 .. size - 1 in rows of `batch`, the last row filled up with zeros, and a mask of the real ones."""
    rows = -(-size // batch)
    flat = np.arange(rows * batch)
    real = flat < size
    return np.where(real, flat, 0).astype(np.int32).reshape(rows, batch), real.reshape(rows, batch)


def heldout_bound(
    params: Trained, static: Trained, objective: Objective, source: Source, key: Key[Array, ""], batch: int
) -> float:
    """Mean bound of a held-out set [nats per example], accumulated in float64."""
    indices, real = padded_batches(len(source), min(batch, len(source)))
    values = np.asarray(run_bounds(params, static, objective, source, jnp.asarray(indices), key), np.float64)
    return float(values[real].mean())


def split_trainable(tree: Any) -> tuple[PyTree, PyTree]:
    """Parameters that the optimizer changes, and the rest."""
    return eqx.partition(tree, trainable(tree))
