"""Full variational Bayes: a normal posterior over the parameters beside the posterior over latents."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import InputError
from nelbo.models import Example
from nelbo.nets import trainable
from nelbo.objectives import Loss, Objective, batch_size, mean_loss


class MeanField(eqx.Module):
    """q(theta) = N(mean, diag(scale^2)) over the trained arrays of a module, independent in every entry.

    Args:
        mean: the module itself.
        log_scale: a tree of the same structure, arrays at the trained places.
    """

    mean: Any
    log_scale: PyTree

    def __init__(self, model: Any, *, log_scale: float = -4.0) -> None:
        weights = eqx.filter(model, trainable(model))
        self.mean = model
        self.log_scale = jax.tree.map(lambda leaf: jnp.full_like(leaf, log_scale), weights)

    def sample(self, key: Key[Array, ""]) -> Any:
        """A module with drawn parameters, reparameterized."""
        weights, rest = eqx.partition(self.mean, trainable(self.mean))
        leaves, structure = jax.tree.flatten(weights)
        keys = jax.tree.unflatten(structure, list(jr.split(key, len(leaves))))
        drawn = jax.tree.map(
            lambda k, mean, log_scale: mean + jnp.exp(log_scale) * jr.normal(k, mean.shape, mean.dtype),
            keys,
            weights,
            self.log_scale,
        )
        return eqx.combine(drawn, rest)

    def kl(self, prior_scale: float = 1.0) -> Float[Array, ""]:
        """KL(q(theta) || N(0, prior_scale^2 I)) [nats] (Kingma and Welling 2014, appendix F)."""
        weights = eqx.filter(self.mean, trainable(self.mean))

        def one(mean: Array, log_scale: Array) -> Array:
            ratio = jnp.exp(2.0 * log_scale) / prior_scale**2
            log_ratio = 2.0 * log_scale - 2.0 * jnp.log(jnp.asarray(prior_scale, log_scale.dtype))
            return 0.5 * (ratio + (mean / prior_scale) ** 2 - 1.0 - log_ratio).sum()

        return jnp.stack(jax.tree.leaves(jax.tree.map(one, weights, self.log_scale))).sum()


class FullVb(Objective):
    """Evidence lower bound with latents and parameters both inferred (Kingma and Welling 2014, appendix F).

    The model that trains is a `MeanField` posterior. Per example the bound is the inner bound, with parameters
    drawn from q(theta), minus KL(q(theta) || p(theta)) / N: the parameters' cost counts once per data set.

    Args:
        inner: the objective given parameters.
        num_data: N, the number of training examples.
        prior_scale: standard deviation of p(theta) = N(0, prior_scale^2 I).
        shared: one draw of the parameters for a whole batch (cheap), or one for each example (less variance).
    """

    references: ClassVar[tuple[str, ...]] = ("kingma2014",)
    inner: Objective
    num_data: int = eqx.field(static=True)
    prior_scale: float = eqx.field(static=True, default=1.0)
    shared: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if self.num_data < 1 or not self.prior_scale > 0:
            raise InputError(
                f"FullVb needs num_data >= 1 and prior_scale > 0, got {self.num_data} and {self.prior_scale}."
            )

    def init(self, model: MeanField) -> PyTree:
        """The inner objective's state."""
        return self.inner.init(model.mean)

    def __call__(self, key: Key[Array, ""], model: MeanField, batch: Example, state: PyTree) -> tuple[Loss, PyTree]:
        """Mean over the batch."""
        weight_key, inner_key = jr.split(key)
        cost = model.kl(self.prior_scale) / self.num_data
        if self.shared:
            loss, state = self.inner(inner_key, model.sample(weight_key), batch, state)
        else:
            loss, state = self._one_draw_each(weight_key, inner_key, model, batch, state)
        metrics = loss.metrics | {"weight_kl": cost}
        return Loss(loss.surrogate + cost, loss.bound - cost, metrics), state

    def _one_draw_each(
        self, weight_key: Key[Array, ""], inner_key: Key[Array, ""], model: MeanField, batch: Example, state: PyTree
    ) -> tuple[Loss, PyTree]:
        size = batch_size(batch)

        def one(draw_key: Key[Array, ""], loss_key: Key[Array, ""], x: Example) -> tuple[Loss, PyTree]:
            alone = jax.tree.map(lambda leaf: leaf[None], x)
            return self.inner(loss_key, model.sample(draw_key), alone, state)

        losses, states = jax.vmap(one)(jr.split(weight_key, size), jr.split(inner_key, size), batch)
        return mean_loss(losses), jax.tree.map(lambda leaf: leaf[0], states)

    def bounds(self, key: Key[Array, ""], model: MeanField, batch: Example) -> Float[Array, " batch"]:
        """The bound of each example under one draw of the parameters, the parameters' cost included."""
        weight_key, inner_key = jr.split(key)
        cost = model.kl(self.prior_scale) / self.num_data
        return self.inner.bounds(inner_key, model.sample(weight_key), batch) - cost
