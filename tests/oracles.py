"""Exact answers, written slowly and plainly in NumPy float64: nothing here is fast, shared with nelbo, or clever."""

from dataclasses import dataclass
from itertools import product

import numpy as np


def normal_log_density(x, mean, cov):
    """log N(x; mean, cov) [nats]."""
    _, log_det = np.linalg.slogdet(2 * np.pi * cov)
    return -0.5 * (log_det + (x - mean) @ np.linalg.solve(cov, x - mean))


def normal_kl(mean0, cov0, mean1, cov1):
    """KL(N(mean0, cov0) || N(mean1, cov1)) [nats]."""
    shift = mean1 - mean0
    trace = np.trace(np.linalg.solve(cov1, cov0)) + shift @ np.linalg.solve(cov1, shift)
    return 0.5 * (trace - len(mean0) + np.linalg.slogdet(cov1)[1] - np.linalg.slogdet(cov0)[1])


def gradient(function, at, step=1e-4):
    """Gradient of a float64 function by fourth-order central differences (error about 1e-11 for smooth functions)."""
    at = np.asarray(at, np.float64)
    slopes = np.zeros(at.size)
    for i in range(at.size):
        e = np.zeros(at.size)
        e[i] = step
        near, far = function(at + e) - function(at - e), function(at + 2 * e) - function(at - 2 * e)
        slopes[i] = (8 * near - far) / (12 * step)
    return slopes


@dataclass
class Affine:
    """child = weight @ parent + bias + scale * noise, with standard normal noise."""

    weight: np.ndarray
    bias: np.ndarray
    scale: np.ndarray


@dataclass
class LinearGaussian:
    """p(x, z) as a chain: z_L ~ N(0, I), each node affine in the one above it, x = node 0.

    `generative[l]` gives node l from node l + 1. Every answer comes from the dense joint normal of all nodes.
    """

    generative: list

    def sizes(self):
        return [len(layer.bias) for layer in self.generative] + [self.generative[-1].weight.shape[1]]

    def joint(self):
        """Mean and covariance of (x, z_1, .., z_L), built from independent noises."""
        sizes = self.sizes()
        ends = np.cumsum([0, *sizes])
        total = ends[-1]
        # each node as an affine function of all noises, the top one first
        maps, means = {}, {}
        top = len(sizes) - 1
        maps[top], means[top] = np.zeros((sizes[top], total)), np.zeros(sizes[top])
        maps[top][:, ends[top] :] = np.eye(sizes[top])
        for node in reversed(range(top)):
            layer = self.generative[node]
            maps[node] = layer.weight @ maps[node + 1]
            maps[node][:, ends[node] : ends[node + 1]] += np.diag(layer.scale)
            means[node] = layer.weight @ means[node + 1] + layer.bias
        transform = np.concatenate([maps[node] for node in range(top + 1)])
        return np.concatenate([means[node] for node in range(top + 1)]), transform @ transform.T

    def log_joint(self, x, z):
        """log p of each node given the one above, from the definition."""
        nodes = [x, *z]
        terms = []
        for node, layer in enumerate(self.generative):
            mean = layer.weight @ nodes[node + 1] + layer.bias
            terms.append(normal_log_density(nodes[node], mean, np.diag(layer.scale**2)))
        terms.append(normal_log_density(nodes[-1], np.zeros(len(nodes[-1])), np.eye(len(nodes[-1]))))
        return np.array(terms)

    def log_evidence(self, x, observed=None):
        """log p(x) of the observed entries [nats]."""
        seen = np.flatnonzero(np.ones(len(x), bool) if observed is None else observed)
        mean, cov = self.joint()
        return normal_log_density(x[seen], mean[seen], cov[np.ix_(seen, seen)])

    def posterior(self, x, observed=None):
        """Mean and covariance of all latents given the observed entries of x."""
        seen = np.flatnonzero(np.ones(len(x), bool) if observed is None else observed)
        mean, cov = self.joint()
        hidden = np.arange(len(x), len(mean))
        gain = np.linalg.solve(cov[np.ix_(seen, seen)], cov[np.ix_(seen, hidden)]).T
        posterior_cov = cov[np.ix_(hidden, hidden)] - gain @ cov[np.ix_(seen, hidden)]
        return mean[hidden] + gain @ (x[seen] - mean[seen]), posterior_cov

    def elbo(self, x, mean, cov, observed=None):
        """ELBO of q(z) = N(mean, cov) over all latents: log p(x) - KL(q || p(z | x)) [nats]."""
        return self.log_evidence(x, observed) - normal_kl(mean, cov, *self.posterior(x, observed))


def chain_posterior(recognition, x):
    """Mean and covariance of (z_1, .., z_L) under q: z_1 affine in x, each further layer affine in the one below."""
    first = recognition[0]
    mean, cov = first.weight @ x + first.bias, np.diag(first.scale**2)
    size = len(mean)
    for layer in recognition[1:]:
        lift = np.zeros((len(layer.bias), len(mean)))
        lift[:, -size:] = layer.weight
        new = layer.weight @ mean[-size:] + layer.bias
        cross = lift @ cov
        corner = cross @ lift.T + np.diag(layer.scale**2)
        mean, cov = np.concatenate([mean, new]), np.block([[cov, cross.T], [cross, corner]])
        size = len(layer.bias)
    return mean, cov


def ppca_optimum(x, latents):
    """Maximum likelihood of probabilistic PCA (Tipping and Bishop 1999): noise variance, and mean log p(x) [nats]."""
    values = np.linalg.eigvalsh(np.cov(np.asarray(x, np.float64).T, bias=True))[::-1]
    variance = values[latents:].mean()
    size = x.shape[1]
    log_det = np.log(values[:latents]).sum() + (size - latents) * np.log(variance)
    return variance, -0.5 * (size * np.log(2 * np.pi) + log_det + size)


@dataclass
class BayesianRegression:
    """y = X theta + noise * e, theta ~ N(0, prior_scale^2 I)."""

    X: np.ndarray
    y: np.ndarray
    noise: float
    prior_scale: float

    def precision(self):
        return self.X.T @ self.X / self.noise**2 + np.eye(self.X.shape[1]) / self.prior_scale**2

    def posterior(self):
        """Mean and covariance of theta."""
        cov = np.linalg.inv(self.precision())
        return cov @ self.X.T @ self.y / self.noise**2, cov

    def log_evidence(self):
        """log p(y | X) [nats], of the whole data set."""
        cov = self.prior_scale**2 * self.X @ self.X.T + self.noise**2 * np.eye(len(self.y))
        return normal_log_density(self.y, np.zeros(len(self.y)), cov)

    def mean_field(self):
        """The best independent normals: means of the posterior, precisions its diagonal [see Bishop 2006, 10.1.2]."""
        return self.posterior()[0], np.diag(self.precision())

    def elbo(self, mean, cov):
        """ELBO of q(theta) = N(mean, cov), of the whole data set [nats]."""
        return self.log_evidence() - normal_kl(mean, cov, *self.posterior())


def states(size):
    """All 2^size vectors of zeros and ones."""
    return np.array(list(product([0.0, 1.0], repeat=size)))


def bernoulli(values, logits):
    """Sum over the last axis of log p = x a - log(1 + e^a) [nats]."""
    return (values * logits - np.logaddexp(0.0, logits)).sum(-1)


@dataclass
class BeliefNetwork:
    """x <- h_1 <- h_2, all Bernoulli: p(h_2) by `prior` logits, q(h_1 | x) and q(h_2 | h_1) by affine logits.

    Each pair is (weight, bias). Every answer is a sum over the table of all (h_1, h_2).
    """

    visible: tuple
    middle: tuple
    prior: np.ndarray
    q_first: tuple
    q_second: tuple

    def table(self, x):
        """log p(x, h_1, h_2) and log q(h_1, h_2 | x), flat over all states [nats]."""
        first, second = states(len(self.middle[1])), states(len(self.prior))
        h1 = np.repeat(first, len(second), axis=0)
        h2 = np.tile(second, (len(first), 1))
        log_p = bernoulli(h2, self.prior) + bernoulli(h1, h2 @ self.middle[0].T + self.middle[1])
        log_p = log_p + bernoulli(x, h1 @ self.visible[0].T + self.visible[1])
        log_q = bernoulli(h1, self.q_first[0] @ x + self.q_first[1])
        log_q = log_q + bernoulli(h2, h1 @ self.q_second[0].T + self.q_second[1])
        return log_p, log_q

    def log_evidence(self, x):
        return np.logaddexp.reduce(self.table(x)[0])

    def posterior(self, x):
        """Probability of every (h_1, h_2), flat."""
        log_p, _ = self.table(x)
        return np.exp(log_p - np.logaddexp.reduce(log_p))

    def elbo(self, x):
        log_p, log_q = self.table(x)
        return (np.exp(log_q) * (log_p - log_q)).sum()

    def importance_bound(self, x):
        """L_2 = E log (w_1 + w_2) / 2, over all pairs of states."""
        log_p, log_q = self.table(x)
        log_w, q = log_p - log_q, np.exp(log_q)
        return (q[:, None] * q[None, :] * (np.logaddexp(log_w[:, None], log_w[None, :]) - np.log(2.0))).sum()


def nade_log_prob(x, logits, weight, readout, bias, order):
    """log p(x) of a NADE from the definition: the hidden units anew, from all earlier units, for each unit."""
    total = 0.0
    for place, d in enumerate(order):
        hidden = np.array(bias, np.float64)
        for i in order[:place]:
            hidden = hidden + weight[i] * x[i]
        a = logits[d] + readout[d] @ (1.0 / (1.0 + np.exp(-hidden)))
        total += x[d] * a - np.logaddexp(0.0, a)
    return total


def eonade_log_prob(x, logits, weight, mask_weight, bias, inner, inner_bias, readout, orders):
    """log of the mean of p(x | order) from the definition: a pass of the network for each unit of each order."""
    return np.logaddexp.reduce(
        [order_log_prob(x, logits, weight, mask_weight, bias, inner, inner_bias, readout, order) for order in orders]
    ) - np.log(len(orders))


def order_log_prob(x, logits, weight, mask_weight, bias, inner, inner_bias, readout, order):
    """log p(x | order) of a network of rectified units that sees the known entries and their mask."""
    known, total = np.zeros(len(x)), 0.0
    for d in order:
        hidden = np.maximum(bias + (x * known) @ weight + known @ mask_weight, 0.0)
        for w, b in zip(inner, inner_bias, strict=True):
            hidden = np.maximum(hidden @ w + b, 0.0)
        a = logits[d] + readout[d] @ hidden
        total += x[d] * a - np.logaddexp(0.0, a)
        known[d] = 1.0
    return total


def boltzmann_log_prob(v, visible, weight, hidden):
    """log p(v) of a restricted Boltzmann machine: the joint law of all units, summed over the hidden ones."""
    every = [np.array(list(np.ndindex(*[2] * n)), np.float64) for n in weight.shape]
    joint = (every[0] @ visible)[:, None] + every[0] @ weight @ every[1].T + (every[1] @ hidden)[None]
    own = v @ visible + every[1] @ (weight.T @ v + hidden)
    return np.logaddexp.reduce(own) - np.logaddexp.reduce(joint.ravel())


def mixture_log_prob(x, weights, components):
    """log p(x) of a mixture of Bernoullis: the sum over components of products over entries."""
    shares, total = np.exp(weights) / np.exp(weights).sum(), 0.0
    for k, share in enumerate(shares):
        p = 1.0 / (1.0 + np.exp(-components[:, k]))
        total += share * np.prod(np.where(x > 0.5, p, 1.0 - p))
    return np.log(total)
