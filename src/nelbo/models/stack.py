"""Stacks of conditional distributions: the generative model p(x, z) and the recognition model q(z | x).

Node 0 is the example x, nodes 1 .. L are the latent layers, the layer next to the data first. A generative layer sees
the tuple of all nodes above it, a recognition layer the tuple of all nodes below it, both nearest first; so belief
networks, deep latent Gaussian models and one-layer auto-encoders are the same class with other layers.
"""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import InputError, input_of, observed_of, values_of
from nelbo.distributions import Distribution, Normal, closed_form_kl, total_log_prob
from nelbo.models.heads import Head
from nelbo.nets import Frozen

Example = PyTree
Latents = tuple[Array, ...]
Passage = Callable[[Distribution, Array], Array]  # a draw, as it is handed on to what depends on it


def differentiable(part: Distribution, value: Array) -> Array:
    """Hand a draw on as it is: gradients pass where the distribution is reparameterized."""
    del part
    return value


def constant(part: Distribution, value: Array) -> Array:
    """Hand a draw on as a constant, as score-function estimators ask for."""
    del part
    return jax.lax.stop_gradient(value)


class Conditional(eqx.Module):
    """p(node | parents): a network, then a head.

    Args:
        net: one array to a flat array of `head.size` numbers.
        head: turns it into a distribution.
        parent: which parent the network sees: the "nearest", the "furthest" (the data, in recognition models),
            or "all" of them, flattened into one vector.
    """

    net: Callable[[Array], Array]
    head: Head
    parent: Literal["nearest", "furthest", "all"] = eqx.field(static=True, default="nearest")

    def __call__(self, parents: Latents) -> Distribution:
        """Distribution of one node given the tuple of its possible parents, nearest first."""
        if self.parent == "all":
            return self.head(self.net(jnp.concatenate([jnp.ravel(node) for node in parents])))
        return self.head(self.net(parents[0 if self.parent == "nearest" else -1]))


class StandardNormal(eqx.Module):
    """N(0, I) on `size` latents, with no parents and nothing to train."""

    size: int = eqx.field(static=True)

    def __call__(self, parents: Latents) -> Normal:
        """The distribution, whatever the parents."""
        del parents
        return Normal(jnp.zeros(self.size), jnp.ones(self.size))


class Unconditional(eqx.Module):
    """A distribution with trained parameters and no parents (the top layer of a belief network)."""

    raw: Float[Array, " raw"]
    head: Head

    def __call__(self, parents: Latents) -> Distribution:
        """The distribution, whatever the parents."""
        del parents
        return self.head(self.raw)


class Stack(eqx.Module):
    """Generative model: `layers[0]` gives p(x | z), `layers[l]` gives p(z_l | z_above)."""

    layers: tuple[Callable[[Latents], Distribution], ...]

    def sample(self, key: Key[Array, ""]) -> tuple[Array, Latents]:
        """One example and its latents, drawn from the top down."""
        nodes: tuple[Any, ...] = ()
        keys = jr.split(key, len(self.layers))
        for layer, node_key in zip(reversed(self.layers), keys, strict=True):
            nodes = (layer(nodes).sample(node_key), *nodes)
        return nodes[0], nodes[1:]

    def log_prob(self, x: Example, z: Latents) -> Float[Array, " nodes"]:
        """Log p of each node given those above it [nats]; the sum is log p(x, z). Node 0 is the example."""
        nodes = (values_of(x), *z)
        masks: tuple[Any, ...] = (observed_of(x), *(None for _ in z))
        terms = [total_log_prob(layer(nodes[i + 1 :]), nodes[i], masks[i]) for i, layer in enumerate(self.layers)]
        return jnp.stack(terms)

    def likelihood(self, z: Latents) -> Distribution:
        """p(x | z)."""
        return self.layers[0](z)

    def root(self, layer: int) -> Distribution | None:
        """p(z_layer) if that layer has no parents, else None."""
        candidate = self.layers[layer]
        return candidate(()) if isinstance(candidate, StandardNormal | Unconditional) else None


class Posterior(eqx.Module):
    """q(z | x) of one example, as a chain of conditional distributions.

    Args:
        layers: see `Recognition`.
        seen: the one array that stands for the example, see `Recognition`.
    """

    layers: tuple[Callable[[Latents], Distribution], ...]
    seen: Array

    def sample_and_log_prob(self, key: Key[Array, ""]) -> tuple[Latents, Float[Array, " layers"]]:
        """A draw of all latents, and log q of each layer given those below it [nats]."""
        z, parts = self.sample(key)
        return z, _totals(parts, z)

    def sample(
        self, key: Key[Array, ""], passage: Passage = differentiable
    ) -> tuple[Latents, tuple[Distribution, ...]]:
        """A draw of all latents, and the distribution that each layer was drawn from.

        Args:
            key: for the draw.
            passage: what gradients see of a draw.
        """
        below: tuple[Any, ...] = (self.seen,)
        parts: list[Distribution] = []
        # one layer takes the key as it is: every split is compiled and run for each example
        keys = jr.split(key, len(self.layers)) if len(self.layers) > 1 else (key,)
        for layer, layer_key in zip(self.layers, keys, strict=False):
            parts.append(layer(below))
            below = (passage(parts[-1], jnp.asarray(parts[-1].sample(layer_key))), *below)
        return below[:-1][::-1], tuple(parts)

    def log_prob(self, z: Latents) -> Float[Array, " layers"]:
        """Log q of each layer given those below it [nats]."""
        below: tuple[Any, ...] = (self.seen,)
        parts: list[Distribution] = []
        for layer, value in zip(self.layers, z, strict=True):
            parts.append(layer(below))
            below = (value, *below)
        return _totals(tuple(parts), z)


def _totals(parts: tuple[Distribution, ...], z: Latents) -> Float[Array, " layers"]:
    terms = [total_log_prob(part, value) for part, value in zip(parts, z, strict=True)]
    return jnp.stack(terms) if terms else jnp.zeros(0)


class Recognition(eqx.Module):
    """Recognition model: `layers[l]` gives q(z_{l+1} | z_below, x).

    Args:
        layers: from the nodes below, nearest first; the furthest is the example as one array.
        fill: what stands in the place of a missing entry; None puts zero there.
        mask: give the layers the mask too, behind the values along the last axis (ones where nothing is missing).
    """

    layers: tuple[Callable[[Latents], Distribution], ...]
    fill: Frozen | None = None
    mask: bool = eqx.field(static=True, default=False)

    def __call__(self, x: Example) -> Posterior:
        """The posterior of one example."""
        return Posterior(self.layers, self.seen(x))

    def seen(self, x: Example) -> Array:
        """The example as one array, in which nothing depends on what a missing entry holds."""
        values, observed = input_of(x)
        if observed is not None:
            values = jnp.where(observed, values, jnp.zeros_like(values) if self.fill is None else self.fill())
        if not self.mask:
            return values
        mask = jnp.ones_like(values) if observed is None else jnp.asarray(observed, values.dtype)
        return jnp.concatenate([values, mask], axis=-1)


class Draw(eqx.Module):
    """One draw z ~ q(z | x) with everything that objectives, scores and codes are made of [nats]."""

    z: Latents
    log_p: Float[Array, " nodes"]
    log_q: Float[Array, " layers"]
    parts: tuple[Distribution, ...]

    @property
    def log_w(self) -> Float[Array, ""]:
        """Log w = log p(x, z) - log q(z | x)."""
        return self.log_p.sum() - self.log_q.sum()


class Model(eqx.Module):
    """A generative model with its recognition model; what nelbo trains, scores, saves and codes with.

    Args:
        generative: p(x, z).
        recognition: q(z | x).
        config: the JSON record (`{"name": ..., "arguments": {...}}`) that rebuilds the module, or None.
    """

    generative: Stack
    recognition: Recognition
    config: str | None = eqx.field(static=True, default=None)

    @property
    def depth(self) -> int:
        """How many layers of latents; with none, log w is log p(x) itself."""
        return len(self.generative.layers) - 1

    def require_latents(self, task: str) -> None:
        """Refuse a task that is about latents.

        Raises:
            InputError: the model has none; `task` begins the sentence.
        """
        if not self.depth:
            raise InputError(f"{task} needs a model with latents, but this one has none: use a vae or an sbn, say.")

    def draw(self, key: Key[Array, ""], x: Example, passage: Passage = differentiable) -> Draw:
        """THE quantity: a draw from q(z | x) and its terms of log w. Everything else reads it.

        Args:
            key: for the draw.
            x: the example.
            passage: what gradients see of a draw of z: `differentiable`, `constant`, or another function of the
                distribution and the value that returns the same value.
        """
        z, parts = self.recognition(x).sample(key, passage)
        return Draw(z, self.generative.log_prob(x, z), _totals(parts, z), parts)

    def kl(self, draw: Draw) -> Float[Array, " layers"]:
        """Per layer KL(q || p), in closed form where p(z_l) has no parents, else the draw's log q - log p [nats]."""
        terms = []
        for i, part in enumerate(draw.parts):
            root = self.generative.root(i + 1)
            sampled = draw.log_q[i] - draw.log_p[i + 1]
            terms.append(sampled if root is None else closed_form_kl(part, root))
        return jnp.stack(terms) if terms else jnp.zeros(0)


def stop_gradient(tree: Any) -> Any:
    """The same module with no gradient through any of its arrays."""
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, tree)
