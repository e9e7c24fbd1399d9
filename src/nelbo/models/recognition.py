"""Recognition models q(z | x): how they take an example in, and the chain of distributions that they give."""

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, Example, InputError, as_example, choice
from nelbo.data import Source
from nelbo.distributions import Distribution, from_noise, total_log_prob
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.nets import Frozen

if TYPE_CHECKING:
    # a checker takes Equinox's marker for a field, and asks every subclass's __init__ for it
    from typing import ClassVar as AbstractVar

    from nelbo.models.stack import Stack
else:
    from equinox import AbstractVar

# a draw, as it is handed on to what depends on it: the same value, with another gradient perhaps
Through = Callable[[Distribution, Array], Array]
MISSING = ("zero", "mean", "mask")
_LEAST = 1e-30  # a positive number that float32 has, in place of what is missing


def reparameterized(part: Distribution, value: Array) -> Array:
    """Hand a draw on as it is: gradients pass where the distribution is reparameterized."""
    del part
    return value


def detached(part: Distribution, value: Array) -> Array:
    """Hand a draw on as a constant, as score-function estimators ask for."""
    del part
    return jax.lax.stop_gradient(value)


class Posterior(eqx.Module):
    """q(z | x) of one example, as a chain of conditional distributions.

    Args:
        layers: `layers[l]` gives q(z_{l+1} | latents below it, x).
        seen: the one array that stands for the example, the furthest parent of every layer.
        context: see `Example`.
    """

    layers: tuple[Layer, ...]
    seen: Array
    context: Context = None

    def part(self, layer: int, below: Latents) -> Distribution:
        """Q of the latents of one layer (from 0) given those below it, nearest first."""
        return self.layers[layer]((*below, self.seen), self.context)

    def sample_and_log_prob(self, key: Key[Array, ""]) -> tuple[Latents, Float[Array, " layers"]]:
        """A draw of all latents, and log q of each layer given those below it [nats]."""
        z, parts = self.sample(key)
        return z, totals(parts, z)

    def sample(
        self, key: Key[Array, ""], through: Through = reparameterized, noise: Latents | None = None
    ) -> tuple[Latents, tuple[Distribution, ...]]:
        """A draw of all latents, and the distribution that each layer was drawn from.

        Args:
            key: for the draw.
            through: what gradients see of a draw.
            noise: standard normal, of the shape of each layer's latents; None draws it from the key. Normals only.
        """
        below: Latents = ()
        parts: list[Distribution] = []
        # one layer takes the key as it is: every split is compiled and run for each example
        keys = jr.split(key, len(self.layers)) if len(self.layers) > 1 else (key,)
        for i, layer_key in zip(range(len(self.layers)), keys, strict=False):
            parts.append(self.part(i, below))
            drawn = parts[-1].sample(layer_key) if noise is None else from_noise(parts[-1], noise[i])
            below = (through(parts[-1], jnp.asarray(drawn)), *below)
        return below[::-1], tuple(parts)

    def log_prob(self, z: Latents) -> Float[Array, " layers"]:
        """Log q of each layer given those below it [nats]."""
        return totals(tuple(self.part(i, z[:i][::-1]) for i in range(len(z))), z)


def totals(parts: tuple[Distribution, ...], z: Latents) -> Float[Array, " layers"]:
    """Log density of each layer's latents [nats]."""
    terms = [total_log_prob(part, value) for part, value in zip(parts, z, strict=True)]
    return jnp.stack(terms) if terms else jnp.zeros(0, jnp.float32)


class Together(eqx.Module):
    """q(z) of all examples of a batch, where they share a process.

    Args:
        q: `(batch, latents)`.
        kl: of what they share, to its prior: once for a whole data set [nats].
        evidence: a lower bound on the log density of the readings of the whole data set, estimated from the batch
            [nats].
    """

    q: Distribution
    kl: Float[Array, ""]
    evidence: Float[Array, ""]


class Recognition(eqx.Module):
    """Abstract: from an example to q(z | x), and what other rooms ask of it."""

    # those of q(z | x) that are trained, one for each layer of latents; () where nothing is amortized
    layers: AbstractVar[tuple[Layer, ...]]
    # which nodes each layer reads: the latents below it and, as the furthest, what is seen of the example
    reads: AbstractVar[tuple[Reads, ...]]

    @abc.abstractmethod
    def see(self, x: AnyExample) -> Array:
        """The example as the one array that it takes in, in which nothing depends on what a missing entry holds."""

    @abc.abstractmethod
    def __call__(self, x: AnyExample) -> Posterior:
        """The posterior of one example."""

    def path(self, x: AnyExample, generative: "Stack") -> tuple[Posterior, ...]:
        """The posteriors on the way to that of one example, which is the last: one, where no steps are taken.

        Args:
            x: the example.
            generative: for models that look at log p(x, z) themselves.
        """
        del generative
        return (self(x),)

    def log_evidence(self, x: AnyExample, generative: "Stack") -> Float[Array, ""] | None:
        """Log p(x) where q(z | x) is the exact posterior and this comes with it; else None [nats]."""
        del x, generative
        return None

    @property
    def sees_context_alone(self) -> bool:
        """Whether q reads nothing of the example but its context, so that E_q log p(x | z) by itself is a lower bound
        on log p(x | context).
        """
        return False

    def together(self, batch: Example, generative: "Stack", num_data: int) -> Together | None:
        """The posterior of a batch whose examples share a process; None where they are independent.

        Args:
            batch: examples, with a leading batch dimension.
            generative: the model beside it.
            num_data: how many examples there are in all.
        """
        del batch, generative, num_data

    def absorbed(self, key: Key[Array, ""], generative: "Stack", rows: Source) -> "Stack":
        """The generative model with what it has to remember of its training rows, once training is over.

        Args:
            key: for rows that are drawn anew whenever they are read.
            generative: the model beside it.
            rows: that it was trained on.
        """
        del key, rows
        return generative


class OfGenerative(Recognition):
    """Abstract: a recognition model whose posterior needs the generative model beside it."""

    def __call__(self, x: AnyExample) -> Posterior:
        """Nothing: the generative model is needed.

        Raises:
            InputError: always.
        """
        del x
        raise InputError("This posterior depends on the generative model: ask `model.posterior(x)` for it.")


class Around(OfGenerative):
    """Abstract: such a model that begins with another one's answer, and sees what that one sees."""

    inner: AbstractVar[Recognition]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Those of the inner model."""
        return self.inner.layers

    @property
    def reads(self) -> tuple[Reads, ...]:
        """What the inner model's layers read."""
        return self.inner.reads

    def see(self, x: AnyExample) -> Array:
        """As the inner model."""
        return self.inner.see(x)


class InputRule(eqx.Module):
    """How a recognition model takes an example in: what is subtracted, what it is divided by, what a gap becomes.

    Args:
        centre: subtracted, with no gradient; None: nothing.
        spread: divided by, with no gradient; None: nothing.
        missing: "zero": a missing entry is a zero of the data; "mean": it is at the centre; "mask": the same (zero
            without a centre), with the mask as additional inputs behind the values, along the last axis.
        logs: whether an entry is seen by its logarithm, for each place along the last axis; centre and spread are then
            those of the logarithm. (): none is.

    Raises:
        InputError: an unknown rule, or "mean" without a centre.
    """

    centre: Frozen | None = None
    spread: Frozen | None = None
    missing: str = eqx.field(static=True, default="zero")
    logs: tuple[bool, ...] = eqx.field(static=True, default=())

    def __check_init__(self) -> None:
        """Refuse rules that contradict each other."""
        choice("rule for missing entries", self.missing, MISSING)
        if self.missing == "mean" and self.centre is None:
            raise InputError("missing=mean fills with the training data's mean, but centre is off: switch it on.")

    def shape(self, example: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of what is seen of examples of a shape."""
        return (*example[:-1], 2 * example[-1]) if self.missing == "mask" else example

    def __call__(self, x: AnyExample) -> Array:
        """The example as one array."""
        view = as_example(x).view
        values, observed = view.values, view.observed
        if any(self.logs):
            values = jnp.where(jnp.asarray(self.logs), jnp.log(jnp.maximum(values, _LEAST)), values)
        if observed is not None:
            at_centre = self.missing != "zero" and self.centre is not None
            fill = self.centre() if at_centre and self.centre is not None else jnp.zeros_like(values)
            values = jnp.where(observed, values, fill)
        if self.missing != "mask":
            return self._normalized(values)
        mask = jnp.ones_like(values) if observed is None else jnp.asarray(observed, values.dtype)
        return jnp.concatenate([self._normalized(values), mask], axis=-1)

    def _normalized(self, values: Array) -> Array:
        centred = values if self.centre is None else values - self.centre()
        return centred if self.spread is None else centred / self.spread()


class Amortized(Recognition):
    """Networks that serve every example.

    Args:
        layers: from the nodes below, nearest first; the furthest is what is seen of the example.
        inputs: how an example is taken in.
    """

    layers: tuple[Layer, ...]
    inputs: InputRule = InputRule()

    @property
    def reads(self) -> tuple[Reads, ...]:
        """What each layer reads."""
        return tuple(layer.reads for layer in self.layers)

    def see(self, x: AnyExample) -> Array:
        """The example by the input rule."""
        return self.inputs(as_example(x))

    def __call__(self, x: AnyExample) -> Posterior:
        """The posterior of one example."""
        return Posterior(self.layers, self.see(x), as_example(x).context)
