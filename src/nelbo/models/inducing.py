"""Latents that are sparse Gaussian processes over what is known of each example: its time, its angle, whose it is."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, Example, InputError, as_example, compiled
from nelbo.data import Source
from nelbo.distributions import Normal
from nelbo.models.conjugate import Known
from nelbo.models.layers import Context, Latents, Layer, Reads, flat_context
from nelbo.models.recognition import Amortized, Around, Posterior, Together
from nelbo.models.stack import Stack
from nelbo.nets import Frozen
from nelbo.priors import (
    InducingMemory,
    InducingStatistics,
    Kernel,
    inducing_bound,
    inducing_posterior,
    inducing_root,
    inducing_statistics,
    whitened,
)

INDUCING_JITTER = 1e-4  # of K_mm, where f has variance one
_LEAST_VARIANCE = 1e-6
_BATCH = 500  # rows that are read at once when training is over


class InducingPrior(Layer):
    """p(z | context, training data): the posterior of sparse Gaussian processes, one for each latent.

    The context is the numbers of an example, then, where there are objects, the number of its object. The kernel is the
    product of one for each number and of a linear one of the objects' vectors, which are of length one, so f has
    variance one. Source: Jazbec et al. 2021; for objects Casale et al. 2018.

    Args:
        kernels: one for each number.
        vectors: of the objects, `(objects, size)`, trained; None without objects.
        places: of the inducing points, `(m, numbers)`, trained.
        place_vectors: the same of their objects, `(m, size)`.
        memory: what training rows say about the process; empty as long as it is trained.
        jitter: added to the diagonal of K_mm.
    """

    kernels: tuple[Kernel, ...]
    vectors: Float[Array, "objects size"] | None
    places: Float[Array, "m numbers"]
    place_vectors: Float[Array, "m size"] | None
    memory: Frozen
    jitter: float = eqx.field(static=True, default=INDUCING_JITTER)
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = True
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    @property
    def context_size(self) -> int:
        """How many numbers the context has."""
        return len(self.kernels) + (self.vectors is not None)

    def __call__(self, parents: Latents, context: Context = None) -> Normal:
        """Of one example, whatever the parents.

        Raises:
            InputError: no context, or one of another size.
        """
        del parents
        mean, variance = self.memory().moments(*self.parts(self._row(context))[1:])
        return Normal(mean[0], jnp.sqrt(jnp.maximum(variance[0], _LEAST_VARIANCE)))

    def _row(self, context: Context) -> Float[Array, "1 numbers"]:
        row = flat_context(context)
        if row is None or row.shape[0] != self.context_size:
            given = 0 if row is None else row.shape[0]
            raise InputError(f"This model is of processes over {self.context_size} numbers (the context of an example),"
                             f" got {given}.")  # fmt: skip
        return row[None]

    def seen(self, context: Float[Array, "n numbers"]) -> tuple[Float[Array, "latents m n"], Float[Array, "latents n"]]:
        """L^-1 K_mn and k(x, x) of n contexts, see `nelbo.priors.inducing`."""
        inner, cross, variance = self.parts(context)
        return whitened(inner, cross, self.jitter), variance

    def parts(
        self, context: Float[Array, "n numbers"]
    ) -> tuple[Float[Array, "latents m m"], Float[Array, "latents m n"], Float[Array, "latents n"]]:
        """K_mm, K_mn and k(x, x) of n contexts."""
        numbers, vectors = context[:, : len(self.kernels)], None
        if self.vectors is not None:
            index = context[:, -1].astype(jnp.int32)
            vectors = self.vectors[jnp.clip(index, 0, len(self.vectors) - 1)]
        inner = self.covariance(self.places, self.place_vectors, self.places, self.place_vectors)
        cross = self.covariance(self.places, self.place_vectors, numbers, vectors)
        latents = self.memory.value.inner.shape[0]
        inner, cross = (jnp.broadcast_to(part, (latents, *part.shape[1:])) for part in (inner, cross))

        def own(row: Array, vector: Array | None) -> Array:
            beside = None if vector is None else vector[None]
            return jnp.broadcast_to(self.covariance(row[None], beside, row[None], beside)[:, 0, 0], (latents,))

        variance = jax.vmap(own)(numbers, vectors).T
        return inner, cross, variance

    def covariance(
        self,
        t: Float[Array, "n numbers"],
        v: Float[Array, "n size"] | None,
        u: Float[Array, "k numbers"],
        w: Float[Array, "k size"] | None,
    ) -> Float[Array, "latents n k"]:
        """K of two lists of numbers and vectors of objects; one for all latents where there are no numbers."""
        total = jnp.ones((1, len(t), len(u)), t.dtype)
        if v is not None and w is not None:
            total = total * (_of_length_one(v) @ _of_length_one(w).T)[None]
        for i, kernel in enumerate(self.kernels):
            total = total * kernel(t[:, i], u[:, i])
        return total


def _of_length_one(v: Float[Array, "n size"]) -> Float[Array, "n size"]:
    return v / jnp.sqrt((v**2).sum(-1, keepdims=True) + 1e-12)


class SparseReadings(Around):
    """q(z | x): the process given readings of the latents that a network makes of each example.

    In training the readings of a batch stand for all; afterwards the process remembers those of all training rows, and
    a further example is read beside them. One of which nothing is observed gives no reading: its latents, and with
    them the example itself, are what the process says at its context.

    Args:
        inner: gives the readings, a normal for each latent.
    """

    inner: Amortized
    reads: ClassVar[tuple[Reads, ...]] = (Reads.FURTHEST,)

    def readings(self, x: AnyExample) -> tuple[Float[Array, " latents"], Float[Array, " latents"]]:
        """The readings of one example and their precisions, zero where nothing is observed."""
        view = as_example(x).view
        found: Any = self.inner(view).part(0, ())
        precision = 1.0 / found.variance
        if view.observed is not None:
            precision = jnp.where(jnp.any(view.observed), precision, 0.0)
        return found.mean, precision

    def path(self, x: AnyExample, generative: Stack) -> tuple[Posterior, ...]:
        """The product of what the process says at the example's context and of its own reading."""
        x = as_example(x)
        y, precision = self.readings(x)
        prior = _prior(generative)((), x.context)
        own = 1.0 / prior.variance
        whole = own + precision
        mean = (own * prior.mean + precision * jnp.where(precision > 0.0, y, 0.0)) / whole
        return (Posterior((Known(Normal(mean, whole**-0.5)),), self.see(x), x.context),)

    def together(self, batch: Example, generative: Stack, num_data: int) -> Together:
        """The posterior of all examples of a batch by its own readings, which stand for those of `num_data` rows.

        Since q(z) is the integral of p(z | u) over q(u), the terms E_q log N(reading; z) of the bound and of L_H
        (Jazbec et al. 2021) are one number, and what remains beside the likelihood is KL(q(u) || p(u)).
        """
        prior = _prior(generative)
        y, precision = jax.vmap(self.readings)(batch)
        a, variance = prior.seen(jnp.asarray(batch.context).reshape(len(y), -1))
        scale = num_data / len(y)
        posterior = inducing_posterior(inducing_statistics(a, y, precision), scale)
        mean, spread = posterior.moments(a, variance)
        kl = posterior.kl()
        evidence = scale * inducing_bound(y, precision, (mean, spread)).sum() - kl
        q = Normal(mean, jnp.sqrt(jnp.maximum(spread, _LEAST_VARIANCE)))
        return Together(q, kl, evidence)

    def absorbed(self, key: Key[Array, ""], generative: Stack, rows: Source) -> Stack:
        """The generative model whose process remembers the readings of all rows."""
        total: InducingStatistics | None = None
        for start in range(0, len(rows), _BATCH):
            places = jnp.arange(start, min(start + _BATCH, len(rows)))
            found = _statistics(key, self, _prior(generative), rows if not rows.on_host else rows.head(0),
                                rows.take(places) if rows.on_host else places)  # fmt: skip
            total = found if total is None else jax.tree.map(jnp.add, total, found)
        memory = _run_remembered(_prior(generative), total)
        return eqx.tree_at(lambda g: g.layers[-1].memory.value, generative, memory)


@compiled
def _statistics(
    key: Key[Array, ""], recognition: SparseReadings, prior: InducingPrior, source: Source, rows: Any
) -> InducingStatistics:
    """Of the rows at some places, or of rows that were read on the host."""
    raw = rows if source.on_host else source.take(rows)
    keys = jr.split(key, jax.tree.leaves(raw)[0].shape[0])
    batch = jax.vmap(source.example)(keys, raw)
    y, precision = jax.vmap(recognition.readings)(batch)
    a, _ = prior.seen(jnp.asarray(batch.context).reshape(len(y), -1))
    return inducing_statistics(a, y, precision)


def _remembered(prior: InducingPrior, found: InducingStatistics | None) -> InducingMemory:
    latents, m = prior.memory.value.posterior.mean.shape
    if found is None:
        return InducingMemory.empty(latents, m)
    inner = prior.parts(jnp.zeros((1, prior.context_size), jnp.float32))[0]
    return InducingMemory(inducing_root(inner, prior.jitter), inducing_posterior(found))


_run_remembered = compiled(_remembered)


def _prior(generative: Stack) -> InducingPrior:
    prior = generative.layers[-1]
    if not isinstance(prior, InducingPrior):
        raise InputError("This recognition model is for latents with a sparse Gaussian process as their prior.")
    return prior
