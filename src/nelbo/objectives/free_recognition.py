"""A belief network as a model whose q has free parameters: fitted anew for every example that it is asked about."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array

from nelbo.core import InputError, observed_of
from nelbo.distributions import FUNCTIONS, Bernoulli, Distribution, Normal
from nelbo.models import Example, Latents, Model, Posterior, Recognition, Stack
from nelbo.objectives.gaussian_belief import GaussianBeliefNet, fit_beliefs


class _Layer(eqx.Module):
    """One layer of the net as a conditional distribution."""

    net: GaussianBeliefNet
    layer: int = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, parents: Latents) -> Distribution:
        mean = self.net.biases[self.layer]
        if self.layer < len(self.net.functions):
            mean = mean + self.net.weights[self.layer] @ FUNCTIONS[self.net.functions[self.layer]](parents[0])
        if self.layer == 0 and self.net.visible == "binary":
            return Bernoulli((log_ndtr(mean) - log_ndtr(-mean)).reshape(self.shape))
        return Normal(mean.reshape(self.shape), jnp.sqrt(self.net.variance(self.layer)).reshape(self.shape))


class _Fixed(eqx.Module):
    """A distribution that does not look at what is below."""

    mean: Array
    scale: Array

    def __call__(self, below: Any) -> Distribution:
        del below
        return Normal(self.mean, self.scale)


class FreeRecognition(Recognition):
    """q by coordinate ascent for every example that it is asked about; nothing is amortized.

    Args:
        net: the generative parameters.
        sweeps: of each fit.
        widen: factor on the standard deviations, for proposals with heavier weight outside.
    """

    net: GaussianBeliefNet | None = None
    sweeps: int = eqx.field(static=True, default=10)
    widen: float = eqx.field(static=True, default=1.0)

    def __call__(self, x: Example) -> Posterior:
        """The posterior of one example."""
        if self.net is None:
            raise InputError("FreeRecognition needs a net: make it with belief_network_model.")
        seen, observed = self.seen(x), observed_of(x)
        mask = None if observed is None else jnp.ravel(observed)
        q, _ = fit_beliefs(self.net, jnp.ravel(seen), sweeps=self.sweeps, observed=mask)
        fixed = [_Fixed(mu, self.widen * jnp.sqrt(phi)) for mu, phi in zip(q.mu, q.phi, strict=True)]
        return Posterior(tuple(fixed), seen)


def belief_network_model(
    net: GaussianBeliefNet, shape: Sequence[int] | None = None, *, sweeps: int = 10, widen: float = 1.0
) -> Model:
    """The net as a model whose recognition model is the coordinate ascent: to be scored, sampled and imputed with.

    Args:
        net: the generative parameters.
        shape: of one example; None for a vector.
        sweeps: of each fit.
        widen: factor on the standard deviations of q; a little more than 1 gives steadier importance weights.
    """
    shapes = [tuple(shape) if shape is not None else net.biases[0].shape, *(bias.shape for bias in net.biases[1:])]
    layers = tuple(_Layer(net, i, one) for i, one in enumerate(shapes))
    return Model(Stack(layers), FreeRecognition((), net=net, sweeps=sweeps, widen=widen))
