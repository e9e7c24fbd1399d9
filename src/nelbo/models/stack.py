"""The generative model p(x, z), and the model: its pair with a recognition model, and the one log w of the two.

Node 0 is the example x, nodes 1 .. L are the latent layers, the layer next to the data first. A generative layer sees
the tuple of all nodes above it, a recognition layer the tuple of all nodes below it, both nearest first; so belief
networks, deep latent Gaussian models and one-layer auto-encoders are the same class with other layers.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError, abstract, as_example
from nelbo.data import Source
from nelbo.distributions import Distribution, closed_form_kl, total_log_prob
from nelbo.models.factors import FactorLayer
from nelbo.models.globals import Globals
from nelbo.models.layers import Context, FrameLayer, Latents, Layer, Reads
from nelbo.models.marginal import log_marginal
from nelbo.models.recognition import Posterior, Recognition, Through, reparameterized, totals
from nelbo.models.scored import ScoreLayer
from nelbo.models.spec import ModelSpec


class Stack(eqx.Module):
    """Generative model: `layers[0]` gives p(x | z), `layers[l]` gives p(z_l | z_above).

    Args:
        layers: the layer of the data first.
        context_size: number of values in the context that layers are conditioned on.
    """

    layers: tuple[Layer, ...]
    context_size: int = eqx.field(static=True, default=0)

    def sample(self, key: Key[Array, ""], context: Context = None) -> tuple[Array, Latents]:
        """One example and its latents, drawn from the top down."""
        nodes: tuple[Any, ...] = ()
        keys = jr.split(key, len(self.layers))
        for layer, node_key in zip(reversed(self.layers), keys, strict=True):
            nodes = (layer(nodes, context).sample(node_key), *nodes)
        return nodes[0], nodes[1:]

    def log_prob(self, x: AnyExample, z: Latents) -> Float[Array, " nodes"]:
        """Log p of each node given those above it [nats]; the sum is log p(x, z). Node 0 is the example."""
        x = as_example(x)
        nodes = (x.values, *z)
        masks: tuple[Any, ...] = (x.observed, *(None for _ in z))
        terms = [
            total_log_prob(layer(nodes[i + 1 :], x.context), nodes[i], masks[i]) for i, layer in enumerate(self.layers)
        ]
        return jnp.stack(terms)

    def likelihood(self, z: Latents, context: Context = None) -> Distribution:
        """p(x | z)."""
        return self.layers[0](z, context)

    def root(self, layer: int, context: Context = None) -> Distribution | None:
        """p(z_layer), or None if that layer has parents or lacks the context that it is conditioned on."""
        candidate = self.layers[layer]
        if candidate.conditioned and context is None:
            return None
        return candidate((), context) if candidate.reads is Reads.NONE else None

    def shapes(self) -> tuple[Distribution, ...]:
        """The distribution of each node, with shapes in place of arrays."""
        context = jax.ShapeDtypeStruct((self.context_size,), jnp.float32) if self.context_size else None
        return _shapes(self, jr.key(0), context)


def _every_distribution(stack: Stack, key: Key[Array, ""], context: Context) -> tuple[Distribution, ...]:
    found: tuple[Distribution, ...] = ()
    nodes: tuple[Any, ...] = ()
    keys = jr.split(key, len(stack.layers))
    for layer, node_key in zip(reversed(stack.layers), keys, strict=True):
        nodes = (found[0].sample(node_key), *nodes) if found else ()  # the example itself is not drawn
        found = (layer(nodes, context), *found)
    return found


_shapes = abstract(_every_distribution)


class Draw(eqx.Module):
    """One draw z ~ q(z | x), or a stack of them, with all terms that objectives, scores and codes need [nats].

    Args:
        z: the latents.
        log_p: log p of each node given those above it.
        log_q: log q of each layer given those below it.
        parts: the distribution that each layer was drawn from.
        context: of the example.
    """

    z: Latents
    log_p: Float[Array, "*draws nodes"]
    log_q: Float[Array, "*draws layers"]
    parts: tuple[Distribution, ...]
    context: Context = None

    @property
    def log_w(self) -> Float[Array, "*draws"]:
        """Log w = log p(x, z) - log q(z | x), of each draw."""
        return self.log_p.sum(-1) - self.log_q.sum(-1)


class Model(eqx.Module):
    """A generative model with its recognition model: what nelbo trains, scores, saves and compresses with.

    Args:
        generative: p(x, z).
        recognition: q(z | x).
        spec: the name and options from which the module can be rebuilt, or None.
        globals: the posterior over what all examples share, or None if that is fixed.
    """

    generative: Stack
    recognition: Recognition
    spec: ModelSpec | None = eqx.field(static=True, default=None)
    globals: Globals | None = None

    @property
    def depth(self) -> int:
        """How many layers of latents; with none, log w is log p(x) itself."""
        return len(self.generative.layers) - 1

    @property
    def is_supervised(self) -> bool:
        """Whether it predicts a target from a context, p(x | context) without latents."""
        return not self.depth and self.generative.layers[0].conditioned and not self.is_of_pairs

    @property
    def is_of_pairs(self) -> bool:
        """Whether it gives the value of a pair of row and column, whose numbers are the context."""
        return isinstance(self.generative.layers[0], FactorLayer)

    @property
    def is_of_series(self) -> bool:
        """Whether an example is a window of a series, whose frames are one node."""
        return isinstance(self.generative.layers[0], FrameLayer)

    @property
    def has_static_code(self) -> bool:
        """Whether a series has static latents beside those of its frames; they are then the layer next to the data."""
        return self.is_of_series and self.depth == 2

    @property
    def is_detector(self) -> bool:
        """Whether it has a novelty score in place of a density."""
        return isinstance(self.generative.layers[0], ScoreLayer)

    def require_density(self, task: str) -> None:
        """Refuse a task that is about log p(x).

        Raises:
            InputError: the model is a detector; `task` begins the sentence.
        """
        if self.is_detector:
            raise InputError(f"{task} needs a density, but this model has a score alone: use `nelbo score`.")

    def require_latents(self, task: str) -> None:
        """Refuse a task that is about latents.

        Raises:
            InputError: the model has none; `task` begins the sentence.
        """
        if not self.depth:
            raise InputError(f"{task} needs a model with latents, but this one has none: use a vae or an sbn, say.")

    def posterior(self, x: AnyExample) -> Posterior:
        """q(z | x) of one example, for which some recognition models need the generative one."""
        return self.recognition.path(x, self.generative)[-1]

    def absorbed(self, key: Key[Array, ""], rows: Source) -> "Model":
        """The model with what it has to store of its training rows; most models store nothing.

        Args:
            key: for rows that are drawn anew whenever they are read.
            rows: the rows that it was trained on.
        """
        generative = self.recognition.absorbed(key, self.generative, rows)
        return self if generative is self.generative else dataclasses.replace(self, generative=generative)

    def draw(
        self,
        key: Key[Array, ""],
        x: AnyExample,
        through: Through = reparameterized,
        posterior: Posterior | None = None,
        noise: Latents | None = None,
    ) -> Draw:
        """THE quantity: a draw from q(z | x) and its terms of log w. Everything else reads it.

        Args:
            key: for the draw.
            x: the example; a bare array is one with every entry observed.
            through: how gradients pass through a draw of z: `reparameterized`, `detached`, or another function of the
                distribution and the value that returns the same value.
            posterior: of the example, if it has been computed already; several draws then share it.
            noise: replaces the key's standard normal noise, see `Posterior.sample`.
        """
        x = as_example(x)
        z, parts = (self.posterior(x) if posterior is None else posterior).sample(key, through, noise)
        return Draw(z, self.generative.log_prob(x, z), totals(parts, z), parts, x.context)

    def kl(self, draw: Draw) -> Float[Array, " layers"]:
        """KL(q || p) of each layer, in closed form if p(z_l) has no parents, else the draw's log q - log p [nats].

        The top layer has no closed form if it is a Boltzmann machine.
        """
        terms = []
        for i, part in enumerate(draw.parts):
            root = self.generative.root(i + 1, draw.context)
            sampled = draw.log_q[i] - draw.log_p[i + 1]
            try:
                terms.append(sampled if root is None else closed_form_kl(part, root))
            except NotImplementedError:
                terms.append(sampled)
        return jnp.stack(terms) if terms else jnp.zeros(0, jnp.float32)

    def log_prob(self, x: AnyExample) -> Float[Array, ""]:
        """Log p(x) of the observed entries, if there are no latents or they can be marginalized exactly [nats].

        They can for linear-Gaussian chains (probabilistic PCA, factor analysis), for mixtures, for at most 16 binary
        latents, and if the recognition model is the exact posterior (state-space).

        Raises:
            InputError: any other model.
        """
        self.require_density("An exact likelihood")
        exact = self.recognition.log_evidence(x, self.generative)
        if exact is not None:
            return exact
        return log_marginal(self.generative.layers, self.generative.log_prob, as_example(x))


def stop_gradient(tree: Any) -> Any:
    """The same module with no gradient through any of its arrays."""
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, tree)
