"""Layers, heads and recognition models of series: an example is the `(time, channels)` array of one window."""

import dataclasses
import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from numpyro.distributions.batch_util import promote_batch_shape

from nelbo.core import AnyExample, Example, InputError, as_example
from nelbo.distributions import BandedNormal, Distribution, Normal
from nelbo.models.conjugate import Known
from nelbo.models.heads import LATENT_LOG_VARIANCE, Head, soft_bound
from nelbo.models.layers import Context, FrameLayer, Latents, Layer, OverTime, Reads
from nelbo.models.recognition import Amortized, Around, OfGenerative, Posterior
from nelbo.models.stack import Stack
from nelbo.nets import Network
from nelbo.priors import (
    ConditionedProcess,
    GaussianProcess,
    GivenReadings,
    Kernel,
    MarkovProcess,
    SmoothedProcess,
    gaussian_process,
)

# log precision of a pseudo-observation of a latent whose prior variance is one
_LOG_PRECISION = (-8.0, 8.0)


class ProcessPrior(OverTime):
    """p(z): Gaussian processes over the times of a window, a kernel for each latent.

    Args:
        kernels: of groups of latents.
        length: how many times there are.
        irregular: the context holds them, in steps from the window's first; else they are 0, 1, ..., length - 1.
        form: see `nelbo.priors.processes`.
    """

    kernels: tuple[Kernel, ...]
    length: int = eqx.field(static=True)
    irregular: bool = eqx.field(static=True, default=False)
    form: str = eqx.field(static=True, default="auto")
    reads: ClassVar[Reads] = Reads.NONE
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    @property
    def conditioned(self) -> bool:
        """Whether the times are in the context."""
        return self.irregular

    def __call__(self, parents: Latents, context: Context = None) -> GaussianProcess:
        """The process, whatever the parents."""
        del parents
        return gaussian_process(self.kernels, self.times(context), self.form)

    def times(self, context: Context = None) -> Float[Array, " n"]:
        """The times of a window.

        Raises:
            InputError: they are in the context, but there is none.
        """
        if not self.irregular:
            return jnp.arange(self.length, dtype=jnp.float32)
        if context is None:
            raise InputError("This model is of series at irregular times: give the times too, as the context.")
        return jnp.asarray(context)

    def over(self, length: int) -> "ProcessPrior":
        """The same process over another number of times."""
        return dataclasses.replace(self, length=length)

    def continued(
        self, key: Key[Array, ""], z: Float[Array, "n latents"], horizon: int, times: Float[Array, " all"] | None,
        q: Distribution | None = None,
    ) -> Float[Array, "horizon latents"]:  # fmt: skip
        """By the process given its past, or where q is a process given readings by these: one smoother, not two."""
        process = self.over(len(z) + horizon)((), times)
        if isinstance(q, GivenReadings):
            return jnp.asarray(q.extended(process).sample(key))[len(z) :]
        whole = jnp.concatenate([z, jnp.zeros((horizon, z.shape[1]), z.dtype)])
        return process.pinned(key, whole, jnp.arange(len(whole)) < len(z))[len(z) :]


class Framewise(FrameLayer):
    """p(x | z) = prod_t p(x_t | z_t, f): one network and one head for every frame.

    Args:
        net: from the latents of a frame, and those of the whole series behind them, to `head.size` numbers.
        head: of one frame.
        has_static: whether there are latents f of the whole series, which are the node next to the data.
    """

    net: Network
    head: Head
    has_static: bool = eqx.field(static=True, default=False)
    follows_past: ClassVar[bool] = False
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    @property
    def reads(self) -> Reads:
        """The latents of the frames, and those of the series where there are some."""
        return Reads.ALL if self.has_static else Reads.NEAREST

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution of all frames."""
        del context
        *static, frames = parents

        def one(z: Array) -> Distribution:
            return self.head(self.net(jnp.concatenate([z, *static]) if static else z))

        # the latents of a frame are flat as a network takes them; frames are the leading axis of every parameter
        return promote_batch_shape(jax.vmap(one)(frames))

    def forecast(
        self, key: Key[Array, ""], parents: Latents, past: Example, horizon: int
    ) -> tuple[Float[Array, "horizon *frame"], Distribution]:
        """By the latents alone."""
        del past, horizon
        found = self(parents)
        return jnp.asarray(found.sample(key)), found

    def affine(self) -> tuple[Float[Array, "channels latents"], Float[Array, " channels"], Float[Array, " channels"]]:
        """W, b and the noise variance of x_t = W z_t + b + noise.

        Raises:
            InputError: the frame is no such normal.
        """
        if self.net.matrix is None or not self.head.is_homoscedastic:
            raise InputError("This decoder is not linear with a normal likelihood of one noise level for each channel.")
        origin = jnp.zeros(self.net.matrix.shape[1], jnp.float32)
        frame = self.head(self.net(origin))
        weight = jax.jacfwd(lambda z: jnp.ravel(self.head(self.net(z)).mean))(origin)
        return weight, jnp.ravel(frame.mean), jnp.ravel(frame.variance)


class BandedHead(Head):
    """Normals of banded precision over time: mean, diagonal of B and the entries beside it, for each latent.

    The diagonal is at least 1, so that no value is less certain, given the next, than its prior is alone (the identity
    that the code of Fortuin et al. 2020 adds).

    Args:
        shape: (time, latents); series of other lengths are taken as they come.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 3
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> BandedNormal:
        """Distribution of the latents of one window."""
        mean, diagonal, beside = raw.reshape(self.planes, -1, self.shape[-1])
        return BandedNormal(mean, 1.0 + jax.nn.softplus(diagonal), beside)


class IndependentHead(Head):
    """Independent normals: mean and log variance for each time and latent.

    Args:
        shape: (time, latents); series of other lengths are taken as they come.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 2
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> Normal:
        """Distribution of the latents of one window."""
        mean, log_variance = raw.reshape(self.planes, -1, self.shape[-1])
        return Normal(mean, jnp.exp(0.5 * soft_bound(log_variance, LATENT_LOG_VARIANCE)))


class ReadingHead(Head):
    """Pseudo-observations of the latents: a value and its precision for each time and latent, as a normal.

    Args:
        shape: (time, latents); series of other lengths are taken as they come.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    planes: ClassVar[int] = 2
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> Normal:
        """The readings as normals."""
        value, log_precision = raw.reshape(self.planes, -1, self.shape[-1])
        return Normal(value, jnp.exp(-0.5 * soft_bound(log_precision, _LOG_PRECISION)))


def _prior(generative: Stack) -> ProcessPrior:
    prior = generative.layers[-1]
    if not isinstance(prior, ProcessPrior):
        raise InputError("This recognition model is for latents with a Gaussian process over time as their prior.")
    return prior


class PseudoObservations(Around):
    """q(z | x): the prior given readings of the latents that a network makes of each frame.

    A frame of which nothing is observed gives none, so the process itself bridges gaps and goes on into the future.

    Args:
        inner: gives the readings, see `ReadingHead`.
    """

    inner: Amortized

    def path(self, x: AnyExample, generative: Stack) -> tuple[Posterior, ...]:
        """The posterior of one window."""
        view = as_example(x).view
        readings = self.inner(view).part(0, ())
        precision = 1.0 / readings.variance
        if view.observed is not None:
            there = jnp.any(view.observed.reshape(len(view.observed), -1), -1)
            precision = jnp.where(there[:, None], precision, 0.0)
        process = _prior(generative).over(len(precision))((), view.context)
        return (Posterior((Known(ConditionedProcess(process, readings.mean, precision)),), self.see(x), view.context),)


class ChannelReadings(Around):
    """q(z | x): the prior given readings of the channels, through a linear decoder that stands for the real one.

    A network gives a reading of every channel that is observed, and its precision; a missing one has none. The decoder
    is made linear at z = 0, and the Kalman smoother of all latents together does the rest. So what a missing channel
    leaves unknown is a direction in the space of latents: readings of single latents have no such posterior, and the
    closest to it that they have is much too narrow. With a linear decoder of normal noise the exact posterior is one
    of these.

    Args:
        inner: gives the readings, in standardized units, as changes of the values that are seen; see `ReadingHead`.
    """

    inner: Amortized

    def path(self, x: AnyExample, generative: Stack) -> tuple[Posterior, ...]:
        """The posterior of one window."""
        view = as_example(x).view
        found: Any = self.inner(view).part(0, ())
        length, channels = found.mean.shape
        decoder = generative.layers[0]
        process = _prior(generative).over(length)((), view.context)
        if not isinstance(decoder, Framewise) or not isinstance(process, MarkovProcess):
            raise InputError("Readings of channels are for frames that are decoded one by one, and Markov kernels.")
        origin = jnp.zeros(process.event_shape[1], jnp.float32)
        means = lambda z: decoder.net(z)[:channels]  # noqa: E731 (a head has its means in front)
        weight, bias = jax.jacfwd(means)(origin), means(origin)
        seen = self.see(x)
        values = seen.reshape(length, -1)[:, :channels] + found.mean - bias[None]
        precision = 1.0 / found.variance
        if view.observed is not None:
            precision = jnp.where(view.observed.reshape(length, channels), precision, 0.0)
        q = SmoothedProcess(process, jnp.where(precision > 0.0, values, 0.0), precision, weight)
        return (Posterior((Known(q),), seen, view.context),)


class ExactSmoother(OfGenerative):
    """p(z | x) where the decoder is linear and the kernels are Markov: nothing is amortized, and nothing trains."""

    layers: ClassVar[tuple[Layer, ...]] = ()
    reads: ClassVar[tuple[Reads, ...]] = (Reads.FURTHEST,)

    def see(self, x: AnyExample) -> Array:
        """The values, zero where they are missing."""
        view = as_example(x).view
        return view.values if view.observed is None else jnp.where(view.observed, view.values, 0.0)

    def path(self, x: AnyExample, generative: Stack) -> tuple[Posterior, ...]:
        """The posterior of one window."""
        view = as_example(x).view
        return (Posterior((Known(self._smoothed(view, generative)),), self.see(view), view.context),)

    def log_evidence(self, x: AnyExample, generative: Stack) -> Float[Array, ""]:
        """Log p(x) by the Kalman filter [nats]."""
        return self._smoothed(as_example(x), generative).log_evidence

    def _smoothed(self, x: Example, generative: Stack) -> SmoothedProcess:
        frames = generative.layers[0]
        if not isinstance(frames, Framewise):
            raise InputError("The exact smoother is for series whose frames are read from their latents one by one.")
        weight, bias, variance = frames.affine()
        values = jnp.reshape(jnp.asarray(x.values), (len(x.values), -1))
        observed = jnp.ones(values.shape, bool) if x.observed is None else jnp.reshape(x.observed, values.shape)
        process = _prior(generative).over(len(values))((), x.context)
        if not isinstance(process, MarkovProcess):
            raise InputError("The exact smoother is for Markov kernels in their state-space form.")
        precision = jnp.where(observed, 1.0 / variance[None], 0.0)
        return SmoothedProcess(process, jnp.where(observed, values - bias[None], 0.0), precision, weight)


def geometric_lengths(shortest: float, longest: float, count: int) -> tuple[float, ...]:
    """Lengths for a number of latents, evenly spaced on a logarithmic scale."""
    if count == 1:
        return (math.sqrt(shortest * longest),)
    return tuple(shortest * (longest / shortest) ** (i / (count - 1)) for i in range(count))
