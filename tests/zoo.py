"""Tiny models built from nelbo's parts, with random and therefore wrong recognition parameters, and their oracles."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from oracles import (
    Affine,
    BeliefNetwork,
    LinearGaussian,
    boltzmann_log_prob,
    chain_posterior,
    eonade_log_prob,
    mixture_log_prob,
    nade_log_prob,
)

from nelbo.core import Example, as_example
from nelbo.models import (
    LIKELIHOODS,
    Amortized,
    BernoulliHead,
    Conditional,
    Model,
    SharedNormalHead,
    Stack,
    StandardNormal,
    Unconditional,
    build,
    dbn,
    eonade,
    factorial_mixture,
    gaussian_mixture,
    hvae,
    lda,
    linear,
    mixture,
    nade,
    rbm,
    vae,
)
from nelbo.nets import MLP, trainable


@dataclass(frozen=True)
class Case:
    """A model, a batch for it, and the exact answers where they are known.

    `elbo(model, x)` and `log_evidence(model, x)` take one example and a model whose arrays may be float64 NumPy arrays.
    """

    model: Model
    batch: Any
    elbo: Callable[[Model, Any], float] | None = None
    log_evidence: Callable[[Model, Any], float] | None = None
    reparameterized: bool = True

    @property
    def examples(self):
        leaves, structure = jax.tree.flatten(self.batch)
        return [jax.tree.unflatten(structure, rows) for rows in zip(*leaves, strict=True)]

    def mean_elbo(self, model=None):
        """Mean exact ELBO over the batch [nats per example]."""
        model = self.model if model is None else model
        return float(np.mean([self.elbo(model, x) for x in self.examples]))

    def mean_log_evidence(self):
        return float(np.mean([self.log_evidence(self.model, x) for x in self.examples]))


def flat_weights(model):
    """The trained numbers of a model as one float64 vector, and the function that puts them back (as float64)."""
    params, static = eqx.partition(model, trainable(model))
    leaves, structure = jax.tree.flatten(params)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]

    def rebuild(flat):
        parts = [part.reshape(leaf.shape) for part, leaf in zip(np.split(flat, ends), leaves, strict=True)]
        return eqx.combine(jax.tree.unflatten(structure, parts), static)

    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves]), rebuild


def randomized(model, key, scale=0.5):
    """Every trained array replaced by draws of N(0, scale^2): biases and noise levels too."""
    params, static = eqx.partition(model, trainable(model))
    leaves, structure = jax.tree.flatten(params)
    keys = jr.split(key, len(leaves))
    drawn = [scale * jr.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return eqx.combine(jax.tree.unflatten(structure, drawn), static)


def affine(conditional):
    """The float64 numbers of a linear-Gaussian conditional."""
    (layer,), head = conditional.net.layers, conditional.head
    weight, bias = (np.asarray(leaf, np.float64) for leaf in (layer.weight, layer.bias))
    raw = 0.0 if head.raw_scale is None else np.asarray(head.raw_scale, np.float64)
    return Affine(weight, bias, np.broadcast_to(head.min_scale + head.scale * np.exp(raw), bias.shape))


def gaussian_oracle(model):
    return LinearGaussian([affine(layer) for layer in model.generative.layers[:-1]])


def exact_posterior(model, x):
    """The exact mean and covariance of all latents of a linear-Gaussian model."""
    return gaussian_oracle(model).posterior(np.asarray(as_example(x).values, np.float64), _mask(x))


def _mask(x):
    observed = as_example(x).observed
    return None if observed is None else np.asarray(observed)


def gaussian_elbo(model, x):
    values = np.asarray(as_example(x).values, np.float64)
    mean, cov = chain_posterior([affine(layer) for layer in model.recognition.layers], values)
    return gaussian_oracle(model).elbo(values, mean, cov, _mask(x))


def gaussian_log_evidence(model, x):
    return gaussian_oracle(model).log_evidence(np.asarray(as_example(x).values, np.float64), _mask(x))


def _gaussian(model, batch):
    return Case(model, batch, gaussian_elbo, gaussian_log_evidence)


def linear_gaussian(seed=0, *, size=4, latents=2):
    """Probabilistic PCA with a wrong recognition model."""
    model = randomized(linear(jr.key(seed), (size,), latents=latents), jr.key(seed + 1))
    return _gaussian(model, jr.normal(jr.key(seed + 2), (3, size)))


def linear_gaussian_masked(seed=10):
    """The same with missing entries."""
    case = linear_gaussian(seed)
    observed = jnp.array([[True, True, False, True], [True, False, False, True], [True, True, True, True]])
    return _gaussian(case.model, Example(jnp.where(observed, case.batch, 0.0), observed))


def linear_stack(seed=20, sizes=(4, 3, 2)):
    """Two latent layers, each affine in its neighbour, with learned noise for every unit."""
    keys = iter(jr.split(jr.key(seed), 8))

    def conditional(inputs, outputs):
        head = SharedNormalHead((outputs,), learn=True, per_unit=True)
        return Conditional(MLP(next(keys), (inputs, outputs)), head)

    down = tuple(conditional(above, below) for below, above in pairwise(sizes))
    up = tuple(conditional(below, above) for below, above in pairwise(sizes))
    model = Model(Stack((*down, StandardNormal(sizes[-1]))), Amortized(up))
    model = randomized(model, next(keys), 0.4)
    return _gaussian(model, jr.normal(next(keys), (3, sizes[0])))


def with_exact_posterior(case):
    """A one-layer linear-Gaussian case whose recognition model is the exact posterior (needs one latent)."""
    oracle = gaussian_oracle(case.model)
    base, cov = oracle.posterior(np.zeros(oracle.sizes()[0]))
    columns = [oracle.posterior(e)[0] - base for e in np.eye(oracle.sizes()[0])]
    layer = case.model.recognition.layers[0]
    new = (np.stack(columns), base, 0.5 * np.log(np.diag(cov)))
    places = lambda c: (c.net.layers[0].kernel, c.net.layers[0].bias, c.head.raw_scale)  # noqa: E731
    layer = eqx.tree_at(places, layer, tuple(jnp.asarray(value, jnp.float32) for value in new))
    return _gaussian(eqx.tree_at(lambda m: m.recognition, case.model, Amortized((layer,))), case.batch)


def belief_oracle(model):
    """The enumerated tables of a two-layer belief network."""

    def pair(conditional):
        (layer,) = conditional.net.layers
        return np.asarray(layer.weight, np.float64), np.asarray(layer.bias, np.float64)

    visible, middle, top = model.generative.layers
    first, second = model.recognition.layers
    return BeliefNetwork(pair(visible), pair(middle), np.asarray(top.raw, np.float64), pair(first), pair(second))


def belief_network(seed=30, sizes=(4, 3, 2)):
    """Two layers of Bernoulli latents under Bernoulli data."""
    keys = iter(jr.split(jr.key(seed), 8))

    def conditional(inputs, outputs):
        return Conditional(MLP(next(keys), (inputs, outputs)), BernoulliHead((outputs,)))

    x, h1, h2 = sizes
    down = (conditional(h1, x), conditional(h2, h1), Unconditional(jnp.zeros(h2), BernoulliHead((h2,))))
    model = randomized(Model(Stack(down), Amortized((conditional(x, h1), conditional(h1, h2)))), next(keys), 1.0)
    return Case(
        model,
        jr.bernoulli(next(keys), 0.5, (3, x)).astype(jnp.float32),
        lambda model, x: belief_oracle(model).elbo(np.asarray(x, np.float64)),
        lambda model, x: belief_oracle(model).log_evidence(np.asarray(x, np.float64)),
        reparameterized=False,
    )


def data_for(likelihood, key, shape):
    """A batch that suits a likelihood."""
    if likelihood == "bernoulli":
        return jr.bernoulli(key, 0.5, shape).astype(jnp.float32)
    if LIKELIHOODS[likelihood].scale != 1.0:
        return jr.randint(key, shape, 0, 256).astype(jnp.float32)
    return jr.uniform(key, shape)


def tiny_vae(likelihood="bernoulli", seed=40):
    """Five visibles, three hidden units, two latents."""
    model = vae(jr.key(seed), (5,), latents=2, hidden=(3,), likelihood=likelihood)
    return Case(model, data_for(likelihood, jr.key(seed + 1), (3, 5)))


def tiny_conv_vae(seed=50):
    """Pictures of odd size."""
    model = vae(jr.key(seed), (5, 3, 1), latents=2, hidden=(4,), architecture="conv", channels=(2, 3))
    return Case(model, data_for("bernoulli", jr.key(seed + 1), (3, 5, 3, 1)))


def tiny_hvae(seed=55):
    """A chain of two Gaussian layers under Bernoulli data."""
    model = hvae(jr.key(seed), (5,), layers=(3, 2), hidden=(4,))
    return Case(model, data_for("bernoulli", jr.key(seed + 1), (3, 5)))


def _node(model):
    """The only layer of a model without latents."""
    (layer,) = model.generative.layers
    return layer.raw, layer.head


def nade_log_evidence(model, x):
    raw, head = _node(model)
    arrays = [np.asarray(value, np.float64) for value in (raw, head.weight, head.readout, head.bias)]
    order = np.arange(len(x)) if head.order is None else np.asarray(head.order)
    return nade_log_prob(np.asarray(x, np.float64), *arrays, order)


def mixture_log_evidence(model, x):
    raw, head = _node(model)
    return mixture_log_prob(np.asarray(x), np.asarray(raw, np.float64), np.asarray(head.components, np.float64))


def eonade_log_evidence(model, x):
    raw, head = _node(model)
    names = ("weight", "mask_weight", "bias", "inner", "inner_bias", "readout")
    arrays = [np.asarray(value, np.float64) for value in (raw, *(vars(head)[name] for name in names))]
    return eonade_log_prob(np.asarray(x, np.float64), *arrays, np.asarray(head.orders))


def tiny_eonade(seed=75):
    """Four bits in three orders behind two layers of three hidden units; no latents."""
    model = randomized(eonade(jr.key(seed), (4,), hidden=(3, 3), orders=3), jr.key(seed + 1), 1.0)
    batch = data_for("bernoulli", jr.key(seed + 2), (3, 4))
    return Case(model, batch, eonade_log_evidence, eonade_log_evidence)


def rbm_log_evidence(model, x):
    raw, head = _node(model)
    arrays = (np.asarray(value, np.float64) for value in (raw, head.weight, head.bias))
    return boltzmann_log_prob(np.asarray(x, np.float64), *arrays)


def tiny_rbm(seed=76):
    """Four visible and three hidden units; no latents."""
    model = randomized(rbm(jr.key(seed), (4,), hidden=(3,), sample_sweeps=60), jr.key(seed + 1), 0.8)
    batch = data_for("bernoulli", jr.key(seed + 2), (3, 4))
    return Case(model, batch, rbm_log_evidence, rbm_log_evidence)


def tiny_dbn(seed=77):
    """Four bits under three latents, whose prior is a machine with two hidden units."""
    model = randomized(dbn(jr.key(seed), (4,), layers=(3, 2), sample_sweeps=60), jr.key(seed + 1), 0.8)
    return Case(model, data_for("bernoulli", jr.key(seed + 2), (3, 4)))


def tiny_nade(seed=70):
    """Four bits in an order of their own behind three hidden units; no latents."""
    model = randomized(nade(jr.key(seed), (4,), hidden=(3,), order=1), jr.key(seed + 1), 1.0)
    batch = data_for("bernoulli", jr.key(seed + 2), (3, 4))
    return Case(model, batch, nade_log_evidence, nade_log_evidence)


def tiny_mixture(seed=80):
    """Three components of four bits; no latents."""
    model = randomized(mixture(jr.key(seed), (4,), components=3), jr.key(seed + 1), 1.0)
    batch = data_for("bernoulli", jr.key(seed + 2), (3, 4))
    return Case(model, batch, mixture_log_evidence, mixture_log_evidence)


def tiny_regression(seed=90):
    """A Student-t target from two features, one of them missing in a row; no latents."""
    options = {"shape": [2], "hidden": [3], "likelihood": "student-t", "missing": "mask"}
    model = randomized(build(jr.key(seed), "regression", options), jr.key(seed + 1), 0.5)
    observed = jnp.array([[True, True], [True, False], [True, True]])
    context = Example(jnp.where(observed, jr.normal(jr.key(seed + 2), (3, 2)), 0.0), observed)
    return Case(model, Example(jr.normal(jr.key(seed + 3), (3, 1)), context=context))


def tiny_classification(seed=95):
    """Three classes from two features; no latents."""
    model = build(jr.key(seed), "classification", {"shape": [2], "hidden": [3], "classes": 3})
    model = randomized(model, jr.key(seed + 1), 1.0)
    context = Example(jr.normal(jr.key(seed + 2), (3, 2)))
    return Case(
        model, Example(jnp.array([[0.0], [2.0], [1.0]]), context=context), class_log_evidence, class_log_evidence
    )


def class_log_evidence(model, x):
    """Log softmax of a perceptron with one hidden layer, in float64."""
    first, second = (
        (np.asarray(layer.kernel, np.float64), np.asarray(layer.bias, np.float64))
        for layer in model.generative.layers[0].net.layers
    )
    hidden = np.maximum(np.asarray(x.context.values, np.float64) @ first[0] + first[1], 0.0)
    logits = hidden @ second[0] + second[1]
    return float(logits[int(x.values[0])] - np.log(np.exp(logits).sum()))


def tiny_lda(seed=90):
    """Three topics over five words; no trained array but the posterior of the topics."""
    model = lda(jr.key(seed), (5,), topics=3, concentration=0.8)
    return Case(model, jr.randint(jr.key(seed + 1), (3, 5), 0, 4).astype(jnp.float32))


def tiny_gaussian_mixture(seed=95):
    """Three components of four numbers."""
    model = gaussian_mixture(jr.key(seed), (4,), components=3, centre=jnp.ones(4), spread=jnp.full(4, 2.0))
    return Case(model, jr.normal(jr.key(seed + 1), (3, 4)))


def tiny_factorial_mixture(seed=98):
    """Any of three components of four numbers."""
    model = factorial_mixture(jr.key(seed), (4,), components=3)
    return Case(model, jr.normal(jr.key(seed + 1), (3, 4)))


def tiny_dsae(seed=100):
    """Windows of three frames of two channels; a static code of two numbers and dynamic ones of one."""
    options = {"shape": [3, 2], "latents": 1, "static_latents": 2, "hidden": [3], "state_size": 3}
    model = build(jr.key(seed), "dsae", options | {"likelihood": "gaussian-pixel"})
    return Case(model, jr.normal(jr.key(seed + 1), (3, 3, 2)))


def tiny_sequence_flow(seed=105):
    """The same behind a flow that looks at one frame."""
    options = {"shape": [3, 2], "base": "gp-vae", "latents": 1, "hidden": [3], "flow_hidden": [3], "order": 1}
    model = build(jr.key(seed), "sequence-flow", options)
    return Case(model, jr.normal(jr.key(seed + 1), (3, 3, 2)))


def with_mask(case, seed=60):
    """The case with about a quarter of the entries missing."""
    observed = jr.bernoulli(jr.key(seed), 0.75, case.batch.shape)
    return Case(case.model, Example(jnp.where(observed, case.batch, 0.0), observed))


# one row a model: the law suite runs over all of them
MODELS: dict[str, Callable[[], Case]] = {
    "linear-gaussian": linear_gaussian,
    "linear-gaussian-masked": linear_gaussian_masked,
    "linear-stack": linear_stack,
    "belief-network": belief_network,
    **{f"vae-{name}": lambda name=name: tiny_vae(name) for name in LIKELIHOODS},
    "vae-masked": lambda: with_mask(tiny_vae()),
    "vae-conv": tiny_conv_vae,
    "hvae": tiny_hvae,
    "nade": tiny_nade,
    "eonade": tiny_eonade,
    "rbm": tiny_rbm,
    "dbn": tiny_dbn,
    "mixture": tiny_mixture,
    "dsae": tiny_dsae,
    "dsae-masked": lambda: with_mask(tiny_dsae()),
    "sequence-flow": tiny_sequence_flow,
    "regression": tiny_regression,
    "classification": tiny_classification,
    "lda": tiny_lda,
    "gaussian-mixture": tiny_gaussian_mixture,
    "gaussian-mixture-masked": lambda: with_mask(tiny_gaussian_mixture()),
    "factorial-mixture": tiny_factorial_mixture,
}
