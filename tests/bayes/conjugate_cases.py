"""Tiny conjugate models and exact answers by enumeration and quadrature, in float64 NumPy."""

import itertools

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.special import gammaln, logsumexp

from nelbo.bayes import Svi
from nelbo.core import Example, compiled
from nelbo.data import Source
from nelbo.models import factorial_mixture, gaussian_mixture, lda
from nelbo.training import fit, optimizer

DOCUMENTS = np.array([[2, 1, 0], [0, 1, 2], [1, 0, 1]], np.float32)
ROWS = np.array([[1.5, -0.5], [-1.0, 0.3], [0.8, -0.9], [-1.4, 0.6]], np.float32)


def tiny_lda(topics=2, **options):
    return lda(jr.key(3), (3,), topics=topics, concentration=0.7, word_concentration=0.4, tolerance=1e-6, sweeps=500, **options)  # fmt: skip  # noqa: E501


def tiny_mixture(components=2, **options):
    return gaussian_mixture(jr.key(4), (2,), components=components, noise=0.7, scale=1.5, concentration=1.3, **options)


def tiny_factorial(components=2):
    return factorial_mixture(jr.key(5), (2,), components=components, noise=0.7, scale=1.2, chance=1.5, sweeps=50)


def trained(model, data, *, steps, rate=1.0, window=1, batch=None, objective=None, key=0):
    """The model after natural-gradient steps, by the one loop."""
    objective = Svi(len(data)) if objective is None else objective
    rule = optimizer("natural", learning_rate=rate, window=window)
    source = Source(Example(jnp.asarray(data)), "real", dynamic=False)
    size = len(data) if batch is None else batch
    return fit(jr.key(key), model, objective, source, rule, steps=steps, batch_size=size)


def log_dirichlet_multinomial(counts, concentration):
    """Log probability of a sequence with these counts under Dirichlet-distributed chances."""
    counts = np.asarray(counts, float)
    prior = np.full(counts.shape, float(concentration))
    return gammaln(prior.sum()) - gammaln((prior + counts).sum()) + (gammaln(prior + counts) - gammaln(prior)).sum()


def lda_evidence(documents, topics, concentration, word_concentration):
    """Log p of a corpus: a sum over the topic of every word, proportions and topics integrated out in closed form."""
    words = [(d, w) for d, row in enumerate(documents) for w, n in enumerate(row) for _ in range(int(n))]
    terms = []
    for assigned in itertools.product(range(topics), repeat=len(words)):
        of_documents, of_topics = np.zeros((len(documents), topics)), np.zeros((topics, documents.shape[1]))
        for (d, w), k in zip(words, assigned, strict=True):
            of_documents[d, k] += 1
            of_topics[k, w] += 1
        total = sum(log_dirichlet_multinomial(row, concentration) for row in of_documents)
        terms.append(total + sum(log_dirichlet_multinomial(row, word_concentration) for row in of_topics))
    return logsumexp(terms)


def normal_evidence(rows, noise, scale):
    """Log p of rows around one mean with prior N(0, scale^2), entry by entry."""
    rows = np.asarray(rows, float)
    n = len(rows)
    covariance = noise**2 * np.eye(n) + scale**2 * np.ones((n, n))
    solved = np.linalg.solve(covariance, rows)
    log_det = np.linalg.slogdet(covariance)[1]
    return sum(-0.5 * (x @ s + log_det + n * np.log(2 * np.pi)) for x, s in zip(rows.T, solved.T, strict=True))


def mixture_evidence(rows, components, noise, scale, concentration):
    """Log p of rows: a sum over the component of every row."""
    terms = []
    for assigned in itertools.product(range(components), repeat=len(rows)):
        assigned = np.array(assigned)
        counts = np.bincount(assigned, minlength=components)
        total = log_dirichlet_multinomial(counts, concentration)
        groups = [rows[assigned == k] for k in range(components)]
        terms.append(total + sum(normal_evidence(g, noise, scale) for g in groups if len(g)))
    return logsumexp(terms)


def factorial_evidence(rows, components, noise, scale, chance):
    """Log p of rows: a sum over the set of every row, means integrated out."""
    sets, n = list(itertools.product((0.0, 1.0), repeat=components)), len(rows)
    terms = []
    for assigned in itertools.product(sets, repeat=n):
        z = np.array(assigned)
        on = z.sum(0)
        total = sum(log_dirichlet_multinomial([k, n - k], chance) for k in on)
        covariance = noise**2 * np.eye(n) + scale**2 * z @ z.T
        log_det = np.linalg.slogdet(covariance)[1]
        for x in np.asarray(rows, float).T:
            total += -0.5 * (x @ np.linalg.solve(covariance, x) + log_det + n * np.log(2 * np.pi))
        terms.append(total)
    return logsumexp(terms)


def _evidence_bound(model, data):
    import jax

    shared = model.globals
    expected, one = shared.expected(), jnp.ones((), jnp.float32)
    return jax.vmap(lambda x: shared.local.bound(expected, x, one))(data).sum() - shared.divergence()


# the evidence lower bound of a whole data set [nats]
evidence_bound = compiled(_evidence_bound)
