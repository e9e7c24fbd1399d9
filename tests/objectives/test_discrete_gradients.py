"""Gradient estimates against exact enumeration.

Null hypothesis of every z-score: the estimator's mean is the enumerated one. |z| < 5 fails by chance in 6e-7 of cases;
with about 5000 coordinates in this file, once in 300 files, but the seeds are fixed.
"""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from oracles_discrete import Network, bits, gradient, layer_sizes_q

from nelbo.bayes import WithGlobals, shared_parameters
from nelbo.core import InputError
from nelbo.distributions import Bernoulli
from nelbo.evaluation import gradient_noise, settled
from nelbo.models import BernoulliHead, belief_network, linear, vae
from nelbo.objectives import (
    InputNoise,
    Iwae,
    ObjectiveState,
    ScoreFunction,
    Sgvb,
    Statistics,
    Vimco,
    WakeSleep,
    half,
    straight_through,
)

DRAWS = 20_000
X = jnp.array([1.0, 0.0, 1.0, 1.0])
CENTRE = jnp.array([0.6, 0.3, 0.5, 0.4])


@functools.cache
def network(layers, dependence="factorial"):
    visible = BernoulliHead((4,))
    options = {"layers": layers, "visible": visible, "prior": dependence, "recognition": dependence}
    model = belief_network(jr.key(1), (4,), init=0.8, centre=CENTRE, **options)
    top = model.generative.layers[-1]
    return eqx.tree_at(lambda m: m.generative.layers[-1].raw, model, 0.7 * jr.normal(jr.key(2), top.raw.shape))


SWITCHES = ("centring", "baseline", "normalization", "local")
MODELS = {"one": ((3,), "factorial"), "two": ((3, 2), "factorial"), "autoregressive": ((3, 2), "autoregressive")}


def replicates(objective, model, state, x=X, draws=DRAWS, seed=0):
    run = eqx.filter_jit(jax.vmap(lambda k: gradient(objective, k, model, x[None], state)))
    return [np.asarray(part, float) for part in run(jr.split(jr.key(seed), draws))]


def assert_mean(samples, exact):
    mean, spread = samples.mean(0), samples.std(0) / np.sqrt(len(samples))
    noisy = spread > 1e-6
    assert noisy.any()
    assert np.abs((mean - exact)[noisy] / spread[noisy]).max() < 5
    np.testing.assert_allclose(mean[~noisy], exact[~noisy], atol=1e-4)


def frozen(signals, objective=None, model=None):
    """Baselines as they start, and averages that no batch changes."""
    averages = Statistics(jnp.linspace(-4.0, -2.0, signals), jnp.linspace(3.0, 0.5, signals), jnp.array(7))
    return ObjectiveState(None if objective is None else objective.init(jr.key(5), model).trained, averages)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_combination_of_variance_reductions_is_unbiased(name):
    model = network(*MODELS[name])
    oracle = Network(model)
    _, theta, phi = oracle.elbo(np.asarray(X, float))
    sizes = layer_sizes_q(oracle)
    switches = list(itertools.product([False, True], repeat=4))
    cases = [dict(zip(SWITCHES, on, strict=True)) for on in (switches if name == "two" else switches[::5])]
    objectives = [ScoreFunction(hidden=(3,), **case) for case in cases]
    signals = [len(sizes) if case["local"] else 1 for case in cases]
    states = [frozen(n, o, model) for n, o in zip(signals, objectives, strict=True)]

    def all_of_them(key):  # one draw serves them all
        return [gradient(o, key, model, X[None], s) for o, s in zip(objectives, states, strict=True)]

    with jax.debug_key_reuse(False):  # shared on purpose
        found = eqx.filter_jit(jax.vmap(all_of_them))(jr.split(jr.key(0), DRAWS))
    for case, state, (by_theta, by_phi) in zip(cases, states, found, strict=True):
        scale = np.ones(len(sizes))
        if case["normalization"]:
            scale = 1 / np.maximum(1, np.sqrt(np.broadcast_to(np.asarray(state.carried.variance, float), len(sizes))))
        assert_mean(np.asarray(by_theta, float), theta)
        assert_mean(np.asarray(by_phi, float), phi * np.repeat(scale, sizes))


def test_a_score_function_takes_a_prior_and_noise():
    """Where every bit is flipped for q and none for p: the exact ELBO of a model whose q reads 1 - x, and the prior."""
    model = network(*MODELS["one"])
    place = lambda m: (m.recognition.layers[0].net.layers[0].kernel, m.recognition.layers[0].net.layers[0].bias)  # noqa: E731
    kernel, bias = place(model)
    turned = Network(eqx.tree_at(place, model, (-kernel, bias + (1.0 - 2.0 * CENTRE) @ kernel)))
    _, theta, phi = turned.elbo(np.asarray(X, float))
    values = np.concatenate([np.append(np.ravel([] if d.W is None else d.W), d.b) for d in turned.down])
    by_weight, by_bias = phi[:12].reshape(3, 4), phi[12:]
    by_kernel = np.outer(by_bias, 1.0 - 2.0 * np.asarray(CENTRE)) - by_weight
    plain = ScoreFunction(hidden=(3,), normalization=False)
    objective = WithGlobals(InputNoise(plain, rate=1.0), num_data=4)
    shared = shared_parameters(model, posterior="delta", prior_scale=2.0, where="generative")
    by_theta, by_phi = replicates(objective, shared, frozen(1, plain, model))
    assert_mean(by_theta, theta - values / (4 * 2.0**2))
    assert_mean(by_phi, np.append(by_kernel.ravel(), by_bias))


@pytest.mark.share(2)
@pytest.mark.parametrize(("name", "k"), [("one", 3), ("autoregressive", 2)])
def test_vimco_is_the_gradient_of_the_importance_bound(k, name):
    model = network(*MODELS[name])
    _, theta, phi, _ = Network(model).importance(np.asarray(X, float), k)
    by_theta, by_phi = replicates(Vimco(k), model, ObjectiveState())
    assert_mean(by_theta, theta)
    assert_mean(by_phi, phi)


@pytest.mark.share(2)
@pytest.mark.parametrize("name", ["one", "autoregressive"])
def test_wake_sleep_follows_its_own_updates(name):
    model = network(*MODELS[name])
    oracle = Network(model)
    _, theta, _ = oracle.elbo(np.asarray(X, float))
    by_theta, by_phi = replicates(WakeSleep(), model, ObjectiveState())
    assert_mean(by_theta, theta)
    assert_mean(by_phi, oracle.sleep())


@pytest.mark.slow
def test_reweighted_wake_sleep_follows_its_own_updates():
    model = network(*MODELS["two"])
    oracle = Network(model)
    _, theta, _, wake = oracle.importance(np.asarray(X, float), 2)
    by_theta, by_phi = replicates(WakeSleep(2, wake_phi=1.0, sleep_phi=0.0), model, ObjectiveState())
    assert_mean(by_theta, theta)
    assert_mean(by_phi, wake)
    _, by_phi = replicates(WakeSleep(2, wake_phi=0.5, sleep_phi=2.0), model, ObjectiveState())
    assert_mean(by_phi, 0.5 * wake + 2.0 * oracle.sleep())


def test_the_half_estimator_follows_its_own_update_which_is_biased():
    model = network(*MODELS["one"])
    oracle = Network(model)
    _, theta, phi = oracle.elbo(np.asarray(X, float))
    by_theta, by_phi = replicates(Sgvb("path", through=half), model, ObjectiveState(carried=jnp.zeros((), jnp.int32)))
    assert_mean(by_theta, theta)
    assert_mean(by_phi, oracle.half(np.asarray(X, float)))
    assert np.abs(oracle.half(np.asarray(X, float)) - phi).max() > 1e-3


def expected(function, through, logit):
    """The estimator's exact mean over both values of one unit, and the exact derivative by the logit."""
    on = jax.nn.sigmoid(logit)

    def estimate(value):
        return jax.grad(lambda a: function(through(Bernoulli(a), jnp.asarray(value))))(logit)

    return on * estimate(1.0) + (1 - on) * estimate(0.0), on * (1 - on) * (function(1.0) - function(0.0))


def test_the_half_estimator_is_exact_for_quadratics_only():
    logit = jnp.array(0.7)
    mean, exact = expected(lambda h: 3.0 * h**2 - 2.0 * h + 1.0, half, logit)
    assert float(mean) == pytest.approx(float(exact), rel=1e-5)
    mean, exact = expected(lambda h: h**3, half, logit)
    assert abs(float(mean - exact)) > 0.05
    mean, exact = expected(lambda h: 3.0 * h, straight_through, logit)
    assert float(mean) == pytest.approx(float(exact), rel=1e-5)


def test_the_bounds_lie_in_order_below_the_evidence():
    oracle = Network(network(*MODELS["one"]))
    x = np.asarray(X, float)
    two, three = oracle.importance(x, 2)[0], oracle.importance(x, 3)[0]
    assert oracle.elbo(x)[0] < two < three < oracle.log_evidence(x)


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("objective", "exact"),
    [
        (ScoreFunction(baseline=False), lambda oracle, x: oracle.elbo(x)[0]),
        (WakeSleep(), lambda oracle, x: oracle.elbo(x)[0]),
        (Vimco(2), lambda oracle, x: oracle.importance(x, 2)[0]),
        (WakeSleep(2, wake_phi=1.0), lambda oracle, x: oracle.importance(x, 2)[0]),
    ],
)
def test_what_is_reported_is_the_bound(objective, exact):
    model = network(*MODELS["two"])
    batch = jnp.broadcast_to(X, (DRAWS, 4))
    bounds = eqx.filter_jit(objective.bounds)(jr.key(3), model, batch)
    loss, _ = eqx.filter_jit(objective)(jr.key(3), model, batch, objective.init(jr.key(5), model))
    value = exact(Network(model), np.asarray(X, float))
    assert abs(float(bounds.mean()) - value) / (float(bounds.std()) / np.sqrt(DRAWS)) < 5
    assert abs(float(loss.bound) - value) / (float(bounds.std()) / np.sqrt(DRAWS)) < 5


@pytest.mark.slow
def test_centring_baselines_and_local_signals_each_lower_the_variance():
    """On all 16 examples, baselines trained, averages gathered; variances differ by far more than their noise."""
    model = network(*MODELS["two"])
    xs = jnp.asarray(bits(4), jnp.float32)
    off = {"centring": False, "baseline": False, "normalization": False, "local": False}

    def variance(**on):
        objective = ScoreFunction(**(off | on))
        state = settled(jr.key(9), objective, model, xs, steps=1500)
        noise = gradient_noise(jr.key(8), objective, model, xs, state, draws=3000)
        return np.array([noise[layer]["variance"] for layer in ("q1", "q2")])

    plain, centred = variance(), variance(centring=True)
    assert np.all(centred < 0.7 * plain)
    assert variance(baseline=True).sum() < 0.9 * centred.sum()
    # the second layer's signal no longer holds log p(x | z_1), which it cannot change
    assert variance(centring=True, local=True)[1] < 0.9 * centred[1]


@pytest.mark.slow
def test_the_variance_of_gradients_is_that_of_replicates():
    """The same draws, so the same numbers: the sums of squares in float64, of all gradients at once."""
    model, draws = network(*MODELS["two"]), 500
    objective = ScoreFunction(baseline=False)
    noise = gradient_noise(jr.key(8), objective, model, X[None], frozen(2), draws=draws)
    _, by_phi = replicates(objective, model, frozen(2), draws=draws, seed=8)
    sizes = layer_sizes_q(Network(model))
    for name, part in zip(("q1", "q2"), np.split(by_phi, np.cumsum(sizes)[:-1], axis=1), strict=True):
        variance = part.var(0, ddof=1).sum()
        assert noise[name]["variance"] == pytest.approx(variance, rel=1e-4)
        signal = (part.mean(0) ** 2).sum() - variance / draws
        assert noise[name]["signal"] == pytest.approx(signal, rel=1e-4, abs=1e-4 * variance / draws)


def test_the_statistics_are_of_the_batches_before():
    model = network(*MODELS["two"])
    objective = ScoreFunction()
    xs = jr.bernoulli(jr.key(0), 0.5, (50, 4)).astype(jnp.float32)
    state = objective.init(jr.key(5), model)
    assert int(state.carried.count) == 0
    step = eqx.filter_jit(objective)
    _, once = step(jr.key(1), model, xs, state)
    _, twice = step(jr.key(2), model, xs, once)
    _, fresh = step(jr.key(2), model, xs, state)
    # the first batch counts fully; the second with weight (1 - a) / (1 - a^2)
    rate = 0.2 / (1 - 0.8**2)
    np.testing.assert_allclose(
        twice.carried.mean, once.carried.mean + rate * (fresh.carried.mean - once.carried.mean), rtol=1e-5
    )
    first, second, alone = (state.carried.variance for state in (once, twice, fresh))
    np.testing.assert_allclose(second, first + rate * (alone - first), rtol=1e-5)
    assert np.all(np.asarray(once.carried.mean) < 0)


@pytest.mark.slow
def test_baselines_learn_the_signal_and_do_not_move_the_model():
    model = network(*MODELS["two"])
    objective = ScoreFunction(centring=False, normalization=False)
    bare = ScoreFunction(centring=False, normalization=False, baseline=False)
    xs = jnp.broadcast_to(X, (200, 4))
    state = objective.init(jr.key(5), model)
    params, static = eqx.partition(state.trained, eqx.is_inexact_array)

    def surrogate(p):
        before = ObjectiveState(eqx.combine(p, static), state.carried)
        return objective(jr.key(1), model, xs, before)[0].surrogate

    # the first batch counts fully
    signals = eqx.filter_jit(bare)(jr.key(1), model, xs, bare.init(jr.key(5), model))[1].carried.mean
    grads = eqx.filter_jit(jax.grad(surrogate))(params)
    output = float(state.trained[0](X - CENTRE)[0])
    # d/dbias of (l - C)^2 / 2 is C - l
    assert float(grads[0].layers[-1].bias[0]) == pytest.approx(output - float(signals[0]), rel=1e-4)


@pytest.mark.slow
def test_dreg_has_the_mean_of_iwae_and_less_variance():
    model = linear(jr.key(0), (3,), latents=2, scale=0.7, init=0.5)
    x = jnp.array([0.5, -1.0, 0.8])

    def run(form):
        def one(key):
            params, static = eqx.partition(model, eqx.is_inexact_array)
            loss = lambda p: Iwae(3, form=form)(key, eqx.combine(p, static), x[None], ObjectiveState())[0].surrogate  # noqa: E731
            grads = jax.grad(loss)(params)
            return [
                jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(side)])
                for side in (grads.generative, grads.recognition)
            ]

        return [np.asarray(part, float) for part in jax.jit(jax.vmap(one))(jr.split(jr.key(3), DRAWS))]

    plain, dreg = run("plain"), run("dreg")
    for a, b in zip(plain, dreg, strict=True):
        difference = a - b  # paired by key
        spread = difference.std(0) / np.sqrt(DRAWS)
        noisy = spread > 1e-6
        assert np.abs(difference.mean(0)[noisy] / spread[noisy]).max(initial=0.0) < 5
        np.testing.assert_allclose(difference.mean(0)[~noisy], 0.0, atol=1e-5)
    assert dreg[1].var(0).sum() < 0.7 * plain[1].var(0).sum()


def test_objectives_refuse_what_they_cannot_do():
    discrete, continuous = network(*MODELS["two"]), vae(jr.key(0), (4,), latents=2, hidden=(3,))
    for objective in (Sgvb("A"), Sgvb("B"), Iwae(2)):
        with pytest.raises(InputError, match="discrete"):
            eqx.filter_eval_shape(objective, jr.key(0), discrete, X[None], objective.init(jr.key(5), discrete))
    state = ObjectiveState(carried=jnp.zeros((), jnp.int32))
    with pytest.raises(InputError, match="binary"):
        eqx.filter_eval_shape(Sgvb("path", through=half), jr.key(0), continuous, X[None], state)
    with pytest.raises(InputError, match="at least 2"):
        Vimco(1)
    with pytest.raises(InputError, match="path"):
        Sgvb("A", through=half)
    with pytest.raises(InputError, match="one sample"):
        WakeSleep(1, wake_phi=1.0, sleep_phi=0.0)
    with pytest.raises(InputError, match="decay"):
        ScoreFunction(decay=1.0)


def test_the_score_function_serves_continuous_latents_too():
    """Its mean is SGVB's: the same exact gradient, here of the ELBO of a Gaussian model, from independent draws."""
    model = linear(jr.key(0), (3,), latents=2, scale=0.7, init=0.5)
    x = jnp.array([0.5, -1.0, 0.8])

    def run(objective, seed):
        def one(key):
            params, static = eqx.partition(model.recognition, eqx.is_inexact_array)
            whole = lambda p: eqx.tree_at(lambda m: m.recognition, model, eqx.combine(p, static))  # noqa: E731
            grads = jax.grad(
                lambda p: objective(key, whole(p), x[None], objective.init(jr.key(5), model))[0].surrogate
            )(params)
            return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(grads)])

        return np.asarray(jax.jit(jax.vmap(one))(jr.split(jr.key(seed), DRAWS)), float)

    score, path = run(ScoreFunction(baseline=False), 1), run(Sgvb("A"), 2)
    spread = np.sqrt((score.var(0) + path.var(0)) / DRAWS)
    assert np.abs((score.mean(0) - path.mean(0)) / spread).max() < 5
