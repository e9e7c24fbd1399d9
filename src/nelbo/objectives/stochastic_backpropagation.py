"""Gradients of Gaussian expectations by the Bonnet and Price identities (Rezende et al. 2014, section 3).

For q = N(mu, C), C = R R', z = mu + R eps, g and H the gradient and Hessian of f at z:

    d/dmu E[f] = E[g]        d/dC E[f] = E[H] / 2        d/dR E[f] = E[g eps']

The paper's appendix prints the last one with a factor 1/2. It is 1: tr(E[H] (dR R' + R dR')) / 2 = tr(R' E[H] dR), and
E[g eps'] = E[H] R by Stein's identity.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError
from nelbo.distributions import CorrelatedNormal, Distribution, Normal, example_shape
from nelbo.models import Latents, Model, Reads
from nelbo.objectives.base import (
    BoundKind,
    ExampleObjective,
    Loss,
    ObjectiveState,
    require_reparameterized,
)
from nelbo.objectives.draws import checked_draws, each_draw

Scalar = Float[Array, ""]


class GaussianGradient(NamedTuple):
    """Estimates for E_q[f], q = N(mu, R R')."""

    mean: Float[Array, " k"]  # by Bonnet's identity
    root: Float[Array, "k k"]  # E[g eps'], first derivatives only
    covariance: Float[Array, "k k"]  # by Price's identity, second derivatives


def _scaled(q: Distribution, noise: Float[Array, " k"]) -> Float[Array, " k"]:
    return q.scaled(noise) if isinstance(q, CorrelatedNormal) else jnp.sqrt(q.variance) * noise


def gaussian_gradient(
    key: Key[Array, ""], f: Callable[[Float[Array, " k"]], Scalar], q: Distribution, *, num_samples: int = 1
) -> GaussianGradient:
    """Unbiased estimates of the gradients of E_q[f] for mean, root and covariance of a normal.

    Args:
        key: for the draws.
        f: a smooth function of one vector.
        q: `Normal` of a vector, or a `CorrelatedNormal`.
        num_samples: draws to average over.
    """

    def one(noise: Float[Array, " k"]) -> GaussianGradient:
        z = q.mean + _scaled(q, noise)
        g = jax.grad(f)(z)
        return GaussianGradient(g, jnp.outer(g, noise), 0.5 * jax.hessian(f)(z))

    draws = jax.vmap(one)(jr.normal(key, (num_samples, *q.mean.shape), q.mean.dtype))
    return jax.tree.map(lambda leaf: leaf.mean(0), draws)


class StochasticBackpropagation(ExampleObjective):
    """The evidence lower bound with KL in closed form and the likelihood's gradient by Bonnet's and Price's identities.

    Without the Hessian it is the estimator that automatic differentiation finds (form "B" of `Sgvb`), written out;
    with it, the covariance's gradient has less noise where the likelihood is near quadratic, at the price of second
    derivatives in O(K) backward passes and O(K^2) memory for each layer and example.

    Args:
        hessian: use Price's identity for the covariance.
        num_samples: draws of z for each example.
        draws: "iid" or "sobol", see `nelbo.objectives.DRAWS`.
    """

    references: ClassVar[tuple[str, ...]] = ("rezende2014",)
    kind: ClassVar[BoundKind] = "lower"
    hessian: bool = eqx.field(static=True, default=True)
    num_samples: int = eqx.field(static=True, default=1)
    draws: str = eqx.field(static=True, default="iid")

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if self.num_samples < 1:
            raise InputError(f"Stochastic backpropagation needs at least one sample, got {self.num_samples}.")
        checked_draws(self.draws, self.num_samples)

    def init(self, key: Key[Array, ""], model: Model) -> ObjectiveState:
        """No state.

        Raises:
            InputError: discrete latents, a layer of q that is no normal of the data alone, or a prior layer with
                parents.
        """
        del key
        latents = model.generative.shapes()[1:]
        require_reparameterized(latents)
        if any(len(example_shape(one)) > 1 for one in latents):
            raise InputError(
                "Stochastic backpropagation needs vectors of latents, but these have further axes: use sgvb."
            )
        alone = all(reads is Reads.FURTHEST for reads in model.recognition.reads[1:])
        if not alone or any(layer.reads is not Reads.NONE for layer in model.generative.layers[1:]):
            raise InputError(
                "Stochastic backpropagation needs independent priors and posterior layers that see the data alone: use "
                "a vae, linear or dlgm model, or the sgvb objective."
            )
        return ObjectiveState()

    def example(self, key: Key[Array, ""], model: Model, x: AnyExample) -> Loss:
        """The mean over the draws of one example."""
        each = lambda k, noise: self._sample(k, model, x, noise)  # noqa: E731
        return jax.tree.map(jnp.mean, each_draw(each, key, model, self.num_samples, self.draws))

    def _sample(self, key: Key[Array, ""], model: Model, x: AnyExample, noise: Latents | None) -> Loss:
        draw = model.draw(key, x, noise=noise)
        kl = model.kl(draw).sum()
        z = jax.lax.stop_gradient(draw.z)

        def log_likelihood(z: Latents) -> Scalar:
            return model.generative.log_prob(x, z)[0]

        gradient = jax.lax.stop_gradient(jax.grad(log_likelihood)(z))
        # the value carries the gradient of the generative parameters; the terms below carry that of q's
        surrogate = kl - log_likelihood(z)
        for i, (part, g) in enumerate(zip(draw.parts, gradient, strict=True)):
            if not self.hessian:
                surrogate = surrogate - g @ draw.z[i]
                continue

            def of_layer(one: Array, i: int = i) -> Scalar:
                return log_likelihood((*z[:i], one, *z[i + 1 :]))

            h = jax.lax.stop_gradient(jax.hessian(of_layer)(z[i]))
            surrogate = surrogate - g @ part.mean - 0.5 * _trace(h, part)
        reconstruction = draw.log_p[0]
        return Loss(surrogate, reconstruction - kl, {"reconstruction": reconstruction, "kl": kl})


def _trace(matrix: Float[Array, "k k"], q: Any) -> Scalar:
    """The trace of H C, in terms of q's parameters."""
    if isinstance(q, Normal):
        return jnp.diagonal(matrix) @ q.variance
    return (matrix * q.covariance).sum()
