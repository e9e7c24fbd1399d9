"""A belief network as a model whose q has free parameters: fitted anew for every example that it is asked about."""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array

from nelbo.core import AnyExample, as_example
from nelbo.distributions import FUNCTIONS, Bernoulli, Distribution, Normal
from nelbo.models.gaussian_belief import GaussianBeliefNet, fit_beliefs
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.recognition import InputRule, Posterior, Recognition
from nelbo.models.stack import Model, Stack


class _NetLayer(Layer):
    """One layer of the net as a conditional distribution."""

    net: GaussianBeliefNet
    layer: int = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    @property
    def reads(self) -> Reads:
        """The layer above; of the top layer nothing."""
        return Reads.NEAREST if self.layer < len(self.net.functions) else Reads.NONE

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """Distribution of the layer's units given those above."""
        del context
        mean = self.net.biases[self.layer]
        if self.layer < len(self.net.functions):
            mean = mean + self.net.weights[self.layer] @ FUNCTIONS[self.net.functions[self.layer]](parents[0])
        if self.layer == 0 and self.net.visible == "binary":
            return Bernoulli((log_ndtr(mean) - log_ndtr(-mean)).reshape(self.shape))
        return Normal(mean.reshape(self.shape), jnp.sqrt(self.net.variance(self.layer)).reshape(self.shape))


class _Fitted(Layer):
    """A distribution that was fitted to one example and reads no node."""

    mean: Array
    scale: Array
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = True

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution, whatever is below."""
        del parents, context
        return Normal(self.mean, self.scale)


class FreeRecognition(Recognition):
    """q by coordinate ascent for every example that it is asked about; nothing is amortized, and nothing trains.

    Args:
        net: the generative parameters.
        sweeps: of each fit.
        widen: factor on the standard deviations, for proposals with heavier weight outside.
    """

    net: GaussianBeliefNet
    sweeps: int = eqx.field(static=True, default=10)
    widen: float = eqx.field(static=True, default=1.0)
    layers: ClassVar[tuple[Layer, ...]] = ()

    @property
    def reads(self) -> tuple[Reads, ...]:
        """The example alone, in every layer."""
        return (Reads.FURTHEST,) * len(self.net.functions)

    def see(self, x: AnyExample) -> Array:
        """The values, with zero in the place of a missing one."""
        return InputRule()(as_example(x))

    def __call__(self, x: AnyExample) -> Posterior:
        """The posterior of one example."""
        view, seen = as_example(x).view, self.see(x)
        mask = None if view.observed is None else jnp.ravel(view.observed)
        net = jax.lax.stop_gradient(self.net)
        q, _ = fit_beliefs(net, jnp.ravel(seen), sweeps=self.sweeps, observed=mask)
        fitted = [_Fitted(mu, self.widen * jnp.sqrt(phi)) for mu, phi in zip(q.mu, q.phi, strict=True)]
        return Posterior(tuple(fitted), seen)


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
    layers = tuple(_NetLayer(net, i, one) for i, one in enumerate(shapes))
    return Model(Stack(layers), FreeRecognition(net, sweeps=sweeps, widen=widen))
