"""Belief networks enumerated over all latents: log probabilities and hand-derived gradients, float64 NumPy tables."""

import dataclasses
import itertools

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from nelbo.models import Unconditional


def bits(size):
    """All binary vectors of a length, a row each."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=size))).reshape(-1, size)


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


@dataclasses.dataclass
class Layer:
    """Units h with P(h_j = 1 | parent, h_<j) = sigmoid(b + W (parent - centre) + S h)_j."""

    W: np.ndarray | None
    b: np.ndarray
    S: np.ndarray | None
    centre: np.ndarray | float

    @classmethod
    def of(cls, layer, centre=0.0):
        """From a layer of nelbo's with a linear net."""
        weight = getattr(layer.head, "weight", None)
        S = None if weight is None else np.tril(np.asarray(weight, float), -1)
        if isinstance(layer, Unconditional):
            return cls(None, np.asarray(layer.raw, float), S, 0.0)
        (dense,) = layer.net.layers
        return cls(np.asarray(dense.weight, float), np.asarray(dense.bias, float), S, centre)

    def logits(self, h, parent):
        a = self.b.copy() if self.W is None else self.b + self.W @ (parent - self.centre)
        return a if self.S is None else a + self.S @ h

    def log_prob(self, h, parent):
        a = self.logits(h, parent)
        return float(np.sum(h * a - np.logaddexp(0.0, a)))

    def gradient(self, h, parent):
        """Of log_prob, by W, b, S, in one vector."""
        error = h - sigmoid(self.logits(h, parent))
        parts = [] if self.W is None else [np.outer(error, parent - self.centre).ravel()]
        parts.append(error)
        if self.S is not None:
            parts.append(np.tril(np.outer(error, h), -1).ravel())
        return np.concatenate(parts)


class Network:
    """p(x, z) and q(z | x), from a nelbo model of linear layers."""

    def __init__(self, model):
        self.down = [Layer.of(layer) for layer in model.generative.layers]
        centre = model.recognition.inputs.centre
        seen = 0.0 if centre is None else np.asarray(centre(), float)
        self.up = [Layer.of(layer, 0.0 if i else seen) for i, layer in enumerate(model.recognition.layers)]
        self.sizes = [len(layer.b) for layer in self.down]

    def latents(self):
        """All latents: a tuple of layers for each."""
        cuts = np.cumsum(self.sizes[1:])[:-1]
        return [tuple(np.split(z, cuts)) for z in bits(sum(self.sizes[1:]))]

    def log_p(self, x, z):
        """Per node."""
        nodes = (x, *z, None)
        return np.array([layer.log_prob(nodes[i], nodes[i + 1]) for i, layer in enumerate(self.down)])

    def log_q(self, x, z):
        """Per layer."""
        nodes = (x, *z)
        return np.array([layer.log_prob(nodes[i + 1], nodes[i]) for i, layer in enumerate(self.up)])

    def gradient_p(self, x, z):
        nodes = (x, *z, None)
        return np.concatenate([layer.gradient(nodes[i], nodes[i + 1]) for i, layer in enumerate(self.down)])

    def gradients_q(self, x, z):
        """Per layer."""
        nodes = (x, *z)
        return [layer.gradient(nodes[i + 1], nodes[i]) for i, layer in enumerate(self.up)]

    def table(self, x):
        """q(z), log w, d log p and d log q (all layers in one vector) for every z."""
        states = self.latents()
        log_q = np.array([self.log_q(x, z).sum() for z in states])
        log_w = np.array([self.log_p(x, z).sum() for z in states]) - log_q
        grad_p = np.array([self.gradient_p(x, z) for z in states])
        grad_q = np.array([np.concatenate(self.gradients_q(x, z)) for z in states])
        return np.exp(log_q), log_w, grad_p, grad_q

    def log_evidence(self, x):
        q, log_w, _, _ = self.table(x)
        return float(np.log(np.sum(q * np.exp(log_w))))

    def elbo(self, x):
        """The bound and its gradient by theta and by phi."""
        q, log_w, grad_p, grad_q = self.table(x)
        return float(q @ log_w), q @ grad_p, (q * log_w) @ grad_q

    def importance(self, x, k):
        """L_k, its gradient by theta and phi, and the mean of the wake-phi update sum_j wt_j d log q_j."""
        q, log_w, grad_p, grad_q = self.table(x)
        bound, theta, phi, wake = 0.0, 0.0, 0.0, 0.0
        for index in itertools.product(range(len(q)), repeat=k):
            index = list(index)
            chance = np.prod(q[index])
            value = np.log(np.mean(np.exp(log_w[index])))
            weights = np.exp(log_w[index]) / np.sum(np.exp(log_w[index]))
            bound += chance * value
            theta = theta + chance * weights @ grad_p[index]
            wake = wake + chance * weights @ grad_q[index]
            phi = phi + chance * (value * grad_q[index].sum(0) - weights @ grad_q[index])
        return bound, theta, phi, wake

    def sleep(self):
        """E_p(x, z) d log q(z | x)."""
        total = 0.0
        for x in bits(self.sizes[0]):
            for z in self.latents():
                total = total + np.exp(self.log_p(x, z).sum()) * np.concatenate(self.gradients_q(x, z))
        return total

    def half(self, x):
        """The mean of DARN's update of phi, for one factorial latent layer and a factorial prior."""
        (up,), (down, prior) = self.up, self.down
        logits = up.logits(None, x)
        on = sigmoid(logits)
        total = 0.0
        for (z,) in self.latents():
            slope = down.W.T @ (x - sigmoid(down.logits(None, z))) + prior.b - logits
            drawn = np.where(z == 1, on, 1 - on)
            by_logit = slope / (2 * drawn) * on * (1 - on)
            total = total + np.prod(drawn) * np.concatenate([np.outer(by_logit, x - up.centre).ravel(), by_logit])
        return total


def layer_sizes_q(network):
    """How many parameters each layer of q has."""
    return [sum(part.size for part in (layer.W, layer.b, layer.S) if part is not None) for layer in network.up]


def flat(model):
    """The arrays of a model, or their gradients (with leading dimensions), in the order of `Network`: theta, phi."""

    def vector(layer):
        net = [] if isinstance(layer, Unconditional) else [layer.net.layers[0].weight, layer.net.layers[0].bias]
        arrays = [layer.raw] if isinstance(layer, Unconditional) else net
        weight = getattr(layer.head, "weight", None)
        return arrays if weight is None else [*arrays, weight]

    def join(layers):
        return jnp.concatenate([jnp.ravel(a) for layer in layers for a in vector(layer)])

    return join(model.generative.layers), join(model.recognition.layers)


def gradient(objective, key, model, batch, state):
    """The estimate of the bound's gradient by theta and by phi: minus the gradient of the surrogate."""
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def surrogate(p):
        return -objective(key, eqx.combine(p, static), batch, state)[0].surrogate

    return flat(eqx.filter_grad(surrogate)(params))
