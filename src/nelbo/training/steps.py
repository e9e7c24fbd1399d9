"""The compiled functions of training: how it starts, a chunk of steps, and the bounds of a held-out set."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from nelbo.core import ONCE
from nelbo.data import Source
from nelbo.objectives import Loss, Objective
from nelbo.training.state import Carry

Chunk = Callable[[Carry, Source, Any, Key[Array, ""], int], tuple[Carry, dict[str, Array], Array]]


def examples(key: Key[Array, ""], source: Source, raw: PyTree) -> PyTree:
    """A batch as the model sees it, from a batch as it is stored."""
    keys = jr.split(key, jax.tree.leaves(raw)[0].shape[0])
    return jax.vmap(source.example)(keys, raw)


def resident(source: Source) -> bool:
    """Whether the data are on the device, so that batches are gathered inside the compiled step."""
    return all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(source.arrays))


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every number of every array is finite."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def metrics_of(loss: Loss) -> dict[str, Float[Array, ""]]:
    """All numbers of a loss by name."""
    return {**loss.metrics, "bound": loss.bound, "surrogate": loss.surrogate}


def starter(static: PyTree, optimizer: optax.GradientTransformation) -> Callable[[PyTree], Carry]:
    """Build the compiled function that gives the first carry: one compilation for many small arrays."""

    def run(params: PyTree) -> Carry:
        model, objective = eqx.combine(params, static)
        copied = jax.tree.map(jnp.copy, (params, objective.init(model)))  # the caller keeps its own
        return Carry(copied[0], optimizer.init(params), copied[1], jnp.zeros((), jnp.int32))

    return jax.jit(run, compiler_options=ONCE)


Step = Callable[[Carry, Source, PyTree, Key[Array, ""]], tuple[Carry, dict[str, Array]]]


def step_function(static: PyTree, optimizer: optax.GradientTransformation, *, mesh: Mesh | None) -> Step:
    """One step, from a carry and a batch as it is stored to the next carry and the step's metrics.

    Keys are made from the step number, so where a chunk ends does not change the numbers.
    """

    def loss_of(params: PyTree, key: Key[Array, ""], batch: PyTree, state: PyTree) -> tuple[Array, tuple[Loss, PyTree]]:
        model, objective = eqx.combine(params, static)
        loss, state = objective(key, model, batch, state)
        return loss.surrogate, (loss, state)

    def step(carry: Carry, source: Source, raw: PyTree, key: Key[Array, ""]) -> tuple[Carry, dict[str, Array]]:
        data_key, loss_key = jr.split(jr.fold_in(key, carry.step))
        batch = examples(data_key, source, raw)
        if mesh is not None:
            batch = jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec("data")))
        grads, (loss, state) = jax.grad(loss_of, has_aux=True)(carry.params, loss_key, batch, carry.objective)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its integer counts
            updates, optimizer_state = optimizer.update(grads, carry.optimizer, carry.params)
            params = optax.apply_updates(carry.params, updates)
        return Carry(params, optimizer_state, state, carry.step + 1), metrics_of(loss)

    return step


def chunk_runner(
    static: PyTree, optimizer: optax.GradientTransformation, *, on_device: bool, mesh: Mesh | None
) -> Chunk:
    """Build the compiled function that runs up to a fixed number of steps.

    It takes (carry, source, feed, key, count): the feed holds the indices of each step's batch, or the batches
    themselves for data that are not on the device; only the first `count` steps are run, so one compilation serves
    every length. Beside the carry and each step's metrics it gives whether all parameters are finite at the end: a bad
    gradient in the last step shows in no metric yet.
    """
    # traced once, for its shapes and in the loop
    step = functools.partial(jax.jit, inline=True)(step_function(static, optimizer, mesh=mesh))

    def run(
        carry: Carry, source: Source, feed: PyTree, key: Key[Array, ""], count: Int[Array, ""]
    ) -> tuple[Carry, dict[str, Array], Bool[Array, ""]]:
        length = jax.tree.leaves(feed)[0].shape[0]

        def raw_batch(i: Int[Array, ""]) -> PyTree:
            item = jax.tree.map(lambda leaf: leaf[i], feed)
            return source.take(item) if on_device else item

        def body(i: Int[Array, ""], loop: tuple[Carry, dict[str, Array]]) -> tuple[Carry, dict[str, Array]]:
            carry, buffers = loop
            carry, metrics = step(carry, source, raw_batch(i), key)
            return carry, {name: buffers[name].at[i].set(value) for name, value in metrics.items()}

        first = jax.eval_shape(lambda c: step(c, source, raw_batch(jnp.zeros((), jnp.int32)), key)[1], carry)
        buffers = {name: jnp.zeros(length, value.dtype) for name, value in first.items()}
        carry, buffers = jax.lax.fori_loop(0, count, body, (carry, buffers))
        return carry, buffers, all_finite(carry.params)

    return jax.jit(run, donate_argnums=0)


def stepwise_runner(
    static: PyTree, optimizer: optax.GradientTransformation, *, on_device: bool, mesh: Mesh | None
) -> Chunk:
    """What `chunk_runner` builds, as a loop in Python over one compiled step: for steps that `convolves`."""
    step = step_function(static, optimizer, mesh=mesh)

    def one(carry: Carry, source: Source, item: PyTree, key: Key[Array, ""]) -> tuple[Carry, dict[str, Array]]:
        return step(carry, source, source.take(item) if on_device else item, key)

    compiled, sound = jax.jit(one, donate_argnums=0), jax.jit(all_finite)

    def run(
        carry: Carry, source: Source, feed: PyTree, key: Key[Array, ""], count: int
    ) -> tuple[Carry, dict[str, Array], Array]:
        rows = []
        for i in range(count):
            carry, metrics = compiled(carry, source, jax.tree.map(lambda leaf, i=i: leaf[i], feed), key)
            rows.append(metrics)
        return carry, {name: jnp.stack([row[name] for row in rows]) for name in rows[0]}, sound(carry.params)

    return run


def convolves(chunk: Chunk, *arguments: Any) -> bool:
    """Whether a chunk of steps has convolutions that XLA would slow down inside of its loop.

    XLA's CPU backend brings a convolution into the form of its fast kernel only outside of loops
    (`ConvCanonicalization` walks the entry computation alone; github.com/jax-ml/jax/issues/12868). The gradients of a
    convolution are never in that form, and without it take ten times as long.
    """
    return jax.default_backend() == "cpu" and "conv_general_dilated" in str(jax.make_jaxpr(chunk)(*arguments))


def bounds_runner(static: PyTree) -> Callable[[PyTree, Source, Any, Key[Array, ""]], Array]:
    """Build the compiled function that gives the bound of each example, in batches: (params, source, indices, key)."""

    def run(
        params: PyTree, source: Source, indices: Int[Array, "batches batch"], key: Key[Array, ""]
    ) -> Float[Array, "batches batch"]:
        model, objective = eqx.combine(params, static)

        def one(inputs: tuple[Array, Array]) -> Array:
            data_key, bound_key = jr.split(inputs[1])
            batch = examples(data_key, source, source.take(inputs[0]))
            return objective.bounds(bound_key, model, batch)

        return jax.lax.map(one, (indices, jr.split(key, indices.shape[0])))

    return jax.jit(run)


def padded_batches(size: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices 0 .. size - 1 in rows of `batch`, the last row filled up with zeros, and a mask of the real ones."""
    rows = -(-size // batch)
    flat = np.arange(rows * batch)
    real = flat < size
    return np.where(real, flat, 0).astype(np.int32).reshape(rows, batch), real.reshape(rows, batch)


def heldout_bound(run: Callable[..., Array], params: PyTree, source: Source, key: Key[Array, ""], batch: int) -> float:
    """Mean bound of a held-out set [nats per example], accumulated in float64."""
    indices, real = padded_batches(len(source), min(batch, len(source)))
    values = np.asarray(run(params, source, indices, key), np.float64)
    return float(values[real].mean())


def split_trainable(model: Any, objective: Objective, mark: Callable[[PyTree], PyTree]) -> tuple[PyTree, PyTree]:
    """Parameters that the optimizer changes, and the rest."""
    return eqx.partition((model, objective), mark((model, objective)))
