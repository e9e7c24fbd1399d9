"""Layers: conditional distributions of one node given the nodes that come before it."""

import abc
import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import Example
from nelbo.distributions import Distribution, Normal
from nelbo.models.heads import Head
from nelbo.nets import Network

if TYPE_CHECKING:
    # a checker takes Equinox's marker for a field, and asks every subclass's __init__ for it
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar

Latents = tuple[Array, ...]
Context = PyTree


class Reads(enum.Enum):
    """Which of the nodes that come before it a layer's distribution depends on."""

    NONE = "none"
    NEAREST = "nearest"
    FURTHEST = "furthest"
    ALL = "all"

    def places(self, count: int) -> set[int]:
        """Which of `count` nodes are read, by their place; 0 is the nearest."""
        every = range(count)
        chosen = {Reads.NONE: [], Reads.NEAREST: every[:1], Reads.FURTHEST: every[-1:], Reads.ALL: every}
        return set(chosen[self])


class Layer(eqx.Module):
    """Abstract: the distribution of one node given the tuple of nodes before it, nearest first, and the context.

    In a generative model these are the latents above it, in a recognition model the latents below it and, as the
    furthest, what the recognition model sees of the example.
    """

    reads: AbstractVar[Reads]
    # whether the distribution depends on the context
    conditioned: AbstractVar[bool]

    @abc.abstractmethod
    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution of one node."""

    @property
    @abc.abstractmethod
    def direct_weight(self) -> Float[Array, "units parents"] | None:
        """W where the distribution's logits or means are W parent + b, with no layer between; else None."""

    @property
    @abc.abstractmethod
    def is_linear_gaussian(self) -> bool:
        """Whether it is N(W nearest + b, diag(s^2)) with W, b and s that no parent changes, or a fixed normal."""


def flat_context(context: Context, dtype: Any = jnp.float32) -> Float[Array, " n"] | None:
    """All numbers of a context as one vector of a type; None of no context."""
    parts = [jnp.ravel(jnp.asarray(leaf, dtype)) for leaf in jax.tree.leaves(context)]
    return jnp.concatenate(parts) if parts else None


class Conditional(Layer):
    """p(node | parents): a network, then a head.

    Args:
        net: from one array, and the context where it is `conditioned`, to a flat array of `head.size` numbers.
        head: turns it into a distribution.
        reads: what the network sees: the nearest parent, the furthest (the data, in recognition models), or all of
            them, flattened into one vector.
        conditioned: hand the context to the network.
    """

    net: Callable[..., Array]
    head: Head
    reads: Reads = eqx.field(static=True, default=Reads.NEAREST)
    conditioned: bool = eqx.field(static=True, default=False)

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """Distribution of one node given the tuple of its possible parents, nearest first."""
        if self.reads is Reads.ALL:
            seen = jnp.concatenate([jnp.ravel(node) for node in parents])
        else:
            seen = parents[0 if self.reads is Reads.NEAREST else -1]
        beside = (flat_context(context, seen.dtype),) if self.conditioned else ()
        return self.head(self.net(seen, *beside))

    @property
    def direct_weight(self) -> Float[Array, "units parents"] | None:
        """The network's matrix, where it is all of it and the head takes one number for each unit."""
        weight = self.net.matrix if isinstance(self.net, Network) and not self.conditioned else None
        return weight if weight is not None and self.head.planes == 1 else None

    @property
    def is_linear_gaussian(self) -> bool:
        """Whether network and head are both affine."""
        nearest = self.reads is Reads.NEAREST
        return nearest and self.direct_weight is not None and self.head.is_homoscedastic


class StandardNormal(Layer):
    """N(0, I) on `size` latents, with no parents and nothing to train."""

    size: int = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = True

    def __call__(self, parents: Latents, context: Context = None) -> Normal:
        """The distribution, whatever the parents."""
        del parents, context
        return Normal(jnp.zeros(self.size, jnp.float32), jnp.ones(self.size, jnp.float32))


class Unconditional(Layer):
    """A distribution with trained parameters and no parents (the top layer of a belief network)."""

    raw: Float[Array, " raw"]
    head: Head
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution, whatever the parents."""
        del parents, context
        return self.head(self.raw)

    @property
    def is_linear_gaussian(self) -> bool:
        """Whether it is a normal with independent entries."""
        return self.head.is_homoscedastic


class OverTime(Layer):
    """Abstract: a prior over the latents of all times of a series at once."""

    @abc.abstractmethod
    def continued(
        self, key: Key[Array, ""], z: Float[Array, "n latents"], horizon: int, times: Float[Array, " all"] | None,
        q: Distribution | None = None,
    ) -> Float[Array, "horizon latents"]:  # fmt: skip
        """A draw of the latents after those of a series.

        Args:
            key: for the draw.
            z: of the series.
            q: what they were drawn from: where it goes on itself, the draw may be of q and not go with z. None: z is
                known.
            horizon: how many frames further.
            times: of all frames, those of the series first; None where they are counted.
        """


class FrameLayer(Layer):
    """Abstract: p(x | z) of all frames of a series."""

    # whether a frame depends on the frames before it, beside the latents
    follows_past: AbstractVar[bool]

    @abc.abstractmethod
    def forecast(
        self, key: Key[Array, ""], parents: Latents, past: Example, horizon: int
    ) -> tuple[Float[Array, "horizon *frame"], Distribution]:
        """A draw of the frames after those of a series, and the distribution of each of their values given those
        before it in this draw.

        Args:
            key: for the draw.
            parents: latents, those over time of the further frames alone.
            past: the series.
            horizon: how many frames further.
        """
