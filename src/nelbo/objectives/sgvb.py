"""Stochastic gradient variational Bayes: the reparameterized evidence lower bound in three forms."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key, PyTree

from nelbo.core import InputError, choice
from nelbo.models import Example, Model, Passage, differentiable, stop_gradient
from nelbo.nets import trainable
from nelbo.objectives.base import Loss, Objective, over_batch, require_reparameterized

FORMS = {
    "A": "log p(x, z) - log q(z|x), sampled (Kingma and Welling 2014, eq. 6)",
    "B": "sampled log p(x|z) minus KL(q || p) in closed form where there is one (eq. 7)",
    "path": "A with no gradient through the parameters of log q (Roeder et al. 2017, sticking the landing)",
}


class Sgvb(Objective):
    """The evidence lower bound, by reparameterization.

    Args:
        form: "A", "B" or "path", see `FORMS`.
        num_samples: draws of z for each example.
        beta: weight of the KL part, a number or a function of the step (annealing). The reported bound always has
            beta = 1.
        passage: what gradients see of a draw; the biased gradients for binary latents (`half`,
            `straight_through`) go with form "path", for terms of log q itself have mean zero.
    """

    references: ClassVar[tuple[str, ...]] = ("kingma2014", "roeder2017", "gregor2014")
    form: str = eqx.field(static=True, default="B")
    num_samples: int = eqx.field(static=True, default=1)
    beta: float | Callable[[Int[Array, ""]], Float[Array, ""]] = eqx.field(static=True, default=1.0)
    passage: Passage = eqx.field(static=True, default=differentiable)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        choice("form of SGVB", self.form, FORMS)
        if self.num_samples < 1:
            raise InputError(f"SGVB needs at least one sample for each example, got {self.num_samples}.")
        if self.passage is not differentiable and self.form != "path":
            raise InputError(f'A biased passage of gradients needs form "path", got {self.form!r}.')

    def init(self, model: Any) -> Int[Array, ""]:
        """The step count, for annealing."""
        del model
        return jnp.zeros((), jnp.int32)

    def __call__(
        self, key: Key[Array, ""], model: Model, batch: Example, state: Int[Array, ""]
    ) -> tuple[Loss, Int[Array, ""]]:
        """Mean over the batch."""
        beta = jnp.asarray(self.beta(state) if callable(self.beta) else self.beta, jnp.float32)
        # averaged before they are combined: XLA repeats the likelihood for every mean that is taken of it
        parts = over_batch(lambda k, x: self._parts(k, model, x), key, batch)
        reconstruction, kl = (part.mean() for part in parts)
        metrics = {"reconstruction": reconstruction, "kl": kl}
        return Loss(beta * kl - reconstruction, reconstruction - kl, metrics), state + 1

    def bounds(self, key: Key[Array, ""], model: Model, batch: Example) -> Float[Array, " batch"]:
        """The bound of each example."""
        reconstruction, kl = over_batch(lambda k, x: self._parts(k, model, x), key, batch)
        return reconstruction - kl

    def _parts(self, key: Key[Array, ""], model: Model, x: Example) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Reconstruction and KL of one example, averaged over the draws of z [nats]."""
        if self.num_samples == 1:
            return self._sample(key, model, x)
        reconstruction, kl = jax.vmap(lambda k: self._sample(k, model, x))(jr.split(key, self.num_samples))
        return reconstruction.mean(), kl.mean()

    def _sample(self, key: Key[Array, ""], model: Model, x: Example) -> tuple[Float[Array, ""], Float[Array, ""]]:
        draw = model.draw(key, x, self.passage)
        if self.passage is differentiable:
            require_reparameterized(draw.parts)
        if self.form == "B":
            return draw.log_p[0], model.kl(draw).sum()
        # the path form is the same number as form A; XLA shares its forward pass with the draw's
        frozen = self.form == "path"
        log_q = stop_gradient(model.recognition)(x).log_prob(draw.z) if frozen else draw.log_q
        return draw.log_p[0], log_q.sum() - draw.log_p[1:].sum()


class MaximumLikelihood(Objective):
    """Exact log-likelihood of a model without latents (`model.log_prob(x)`, nats)."""

    references: ClassVar[tuple[str, ...]] = ()

    def init(self, model: Any) -> None:
        """No state."""

    def __call__(self, key: Key[Array, ""], model: Any, batch: Example, state: PyTree) -> tuple[Loss, PyTree]:
        """Mean over the batch."""
        bound = self.bounds(key, model, batch).mean()
        return Loss(-bound, bound, {"log_likelihood": bound}), state

    def bounds(self, key: Key[Array, ""], model: Any, batch: Example) -> Float[Array, " batch"]:
        """Log-likelihood of each example."""
        del key
        return jax.vmap(model.log_prob)(batch)


class WeightPrior(Objective):
    """Any objective with a normal prior on the generative model's parameters, N(0, scale^2), for a MAP estimate.

    The prior counts once per data set: its log density is divided by the number of training examples
    (Kingma and Welling 2014, section 5). The reported bound leaves it out.

    Args:
        inner: the objective on data.
        num_data: N, the number of training examples.
        scale: standard deviation of the prior.
    """

    references: ClassVar[tuple[str, ...]] = ("kingma2014",)
    inner: Objective
    num_data: int = eqx.field(static=True)
    scale: float = eqx.field(static=True, default=1.0)

    def init(self, model: Any) -> PyTree:
        """The inner objective's state."""
        return self.inner.init(model)

    def __call__(self, key: Key[Array, ""], model: Model, batch: Example, state: PyTree) -> tuple[Loss, PyTree]:
        """The inner loss minus log p(parameters) / N, constants left out."""
        loss, state = self.inner(key, model, batch, state)
        weights = eqx.filter(model.generative, trainable(model.generative))
        squares = sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(weights)), jnp.zeros(()))
        penalty = squares / (2.0 * self.scale**2 * self.num_data)
        return Loss(loss.surrogate + penalty, loss.bound, loss.metrics | {"weight_penalty": penalty}), state

    def bounds(self, key: Key[Array, ""], model: Any, batch: Example) -> Float[Array, " batch"]:
        """The inner objective's bounds."""
        return self.inner.bounds(key, model, batch)
