"""Autoregressive flows of series as parts of models: on top of any likelihood of frames, and as priors of latents."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key
from numpyro.distributions.batch_util import promote_batch_shape

from nelbo.core import AnyExample, Example, InputError, as_example
from nelbo.distributions import Distribution
from nelbo.models.heads import Head
from nelbo.models.layers import Context, FrameLayer, Latents, OverTime, Reads
from nelbo.models.recognition import Around, Posterior, Recognition
from nelbo.models.stack import Stack
from nelbo.models.temporal import ProcessPrior
from nelbo.nets import Frozen
from nelbo.priors import AutoregressiveFlow, Past, independent_normals


class FlowPrior(OverTime):
    """p(z): an autoregressive affine flow over a simpler prior; over independent normals it is a recurrent prior.

    Args:
        past: mu(z_<t) and s(z_<t).
        base: of what the flow starts from; None: independent standard normals.
        length: frames of a window.
        latents: of each.
    """

    past: Past
    base: ProcessPrior | None
    length: int = eqx.field(static=True)
    latents: int = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> AutoregressiveFlow:
        """The distribution, whatever the parents."""
        del parents, context
        base = independent_normals(self.length, self.latents) if self.base is None else self.base(())
        return AutoregressiveFlow(base, self.past)

    def continued(
        self, key: Key[Array, ""], z: Float[Array, "n latents"], horizon: int, times: Float[Array, " all"] | None,
        q: Distribution | None = None,
    ) -> Float[Array, "horizon latents"]:  # fmt: skip
        """The base goes on, and the flow with it."""
        del times, q
        further = independent_normals(horizon, self.latents)
        if self.base is None:
            y = jnp.asarray(further.sample(key))
        else:
            y = self.base.continued(key, self(()).whitened(z)[0], horizon, None)
        return AutoregressiveFlow(further, self.past, self.past.after(z)).unrolled(y)[0]


class SameFrames(FrameLayer):
    """Frames that are independent and alike: trained parameters of one head.

    Args:
        raw: the parameters.
        head: of one frame.
        length: frames of a window.
    """

    raw: Float[Array, " raw"]
    head: Head
    length: int = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.NONE
    follows_past: ClassVar[bool] = False
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution of all frames."""
        del parents, context
        return self._of(self.length)

    def _of(self, count: int) -> Distribution:
        return promote_batch_shape(jax.vmap(self.head)(jnp.broadcast_to(self.raw[None], (count, len(self.raw)))))

    def forecast(
        self, key: Key[Array, ""], parents: Latents, past: Example, horizon: int
    ) -> tuple[Float[Array, "horizon *frame"], Distribution]:
        """As many more."""
        del parents, past
        found = self._of(horizon)
        return jnp.asarray(found.sample(key)), found


class FlowedFrames(FrameLayer):
    """p(x | z): an autoregressive affine flow on top of another distribution of frames (Marino et al. 2020).

    Args:
        inner: p(y | z), of normals.
        past: mu(x_<t) and s(x_<t).
        centre: what stands in for missing values.
    """

    inner: FrameLayer
    past: Past
    centre: Frozen | None
    follows_past: ClassVar[bool] = True
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    @property
    def reads(self) -> Reads:
        """As the distribution below the flow."""
        return self.inner.reads

    @property
    def conditioned(self) -> bool:
        """As the distribution below the flow."""
        return self.inner.conditioned

    def __call__(self, parents: Latents, context: Context = None) -> AutoregressiveFlow:
        """The distribution of all frames."""
        return AutoregressiveFlow(self.inner(parents, context), self.past, None, self._filler)

    @property
    def _filler(self) -> Array | None:
        return None if self.centre is None else self.centre()

    def whitened(self, x: Example) -> tuple[Example, Float[Array, ""]]:
        """The y of an example, and the sum of the log scales of what is observed [nats]."""
        flow = AutoregressiveFlow(independent_normals(*_flat(x)), self.past, None, self._filler)
        observed = None if x.observed is None else jnp.asarray(x.observed)
        y, log_scale = flow.whitened(jnp.asarray(x.values), observed)
        total = log_scale.sum() if observed is None else jnp.where(observed, log_scale, 0.0).sum()
        return Example(y, x.observed, context=x.context), total

    def forecast(
        self, key: Key[Array, ""], parents: Latents, past: Example, horizon: int
    ) -> tuple[Float[Array, "horizon *frame"], Distribution]:
        """Frame by frame from the last one on."""
        values = jnp.asarray(past.values)
        if past.observed is not None:
            filler = jnp.zeros_like(values[0]) if self._filler is None else self._filler
            values = jnp.where(past.observed, values, filler[None])
        inner_key, flow_key = jr.split(key)
        _, further = self.inner.forecast(inner_key, parents, past, horizon)
        return AutoregressiveFlow(further, self.past, self.past.after(values)).conditionals(flow_key)


def _flat(x: Example) -> tuple[int, int]:
    values = jnp.asarray(x.values)
    return len(values), values.size // len(values)


class ThroughFlow(Around):
    """q(z | x): what the model below a flow says of the y of an example.

    Args:
        inner: the recognition model of that model.
    """

    inner: Recognition

    def path(self, x: AnyExample, generative: Stack) -> tuple[Posterior, ...]:
        """The posterior of one example."""
        y, _, below = self._below(x, generative)
        return self.inner.path(y, below)

    def log_evidence(self, x: AnyExample, generative: Stack) -> Float[Array, ""] | None:
        """Log p(x) = log p(y) - log |dx / dy|, where the model below has its evidence [nats]."""
        y, log_scale, below = self._below(x, generative)
        found = self.inner.log_evidence(y, below)
        return None if found is None else found - log_scale

    def _below(self, x: AnyExample, generative: Stack) -> tuple[Example, Float[Array, ""], Stack]:
        layer = generative.layers[0]
        if not isinstance(layer, FlowedFrames):
            raise InputError("This recognition model is for a flow over the frames of a series.")
        y, log_scale = layer.whitened(as_example(x).view)
        return y, log_scale, Stack((layer.inner, *generative.layers[1:]), generative.context_size)
