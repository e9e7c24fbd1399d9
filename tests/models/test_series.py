"""Models of series against dense Gaussian algebra in float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from nelbo.core import Example, InputError
from nelbo.distributions import closed_form_kl
from nelbo.models import build, load_model, save_model
from nelbo.priors import JITTER

TIME, CHANNELS = 6, 3
STAMPS = np.array([0.0, 0.5, 1.7, 2.0, 4.0, 4.3], np.float32)


def window(seed=0, *, irregular=False):
    x = jr.normal(jr.key(seed), (TIME, CHANNELS))
    observed = jr.bernoulli(jr.key(seed + 1), 0.7, x.shape).at[2].set(False)
    return Example(jnp.where(observed, x, 0.0), observed, context=jnp.asarray(STAMPS) if irregular else None)


def model(name="gp-vae", seed=5, **options):
    """Tiny, in units of data that are not standardized."""
    small = {"gp-vae": {"hidden": (4,), "convolutions": (3,)}}.get(name, {})
    units = {"centre": jnp.array([1.0, 0.0, -1.0]), "spread": jnp.array([2.0, 1.0, 0.5])}
    return build(jr.key(seed), name, {"shape": [TIME, CHANNELS], "latents": 2, **small, **units, **options})


def joint(made, x):
    """Mean and covariance of z and of the observed entries, and what of x is observed, in float64."""
    stamps = np.arange(TIME) if x.context is None else np.asarray(x.context, np.float64)
    lengths = np.asarray(made.generative.layers[1].kernels[0].lengths(), np.float64)
    prior = np.zeros((2 * TIME, 2 * TIME))
    for i, length in enumerate(lengths):
        r = np.sqrt(3) * np.abs(stamps[:, None] - stamps[None]) / length
        prior[i::2, i::2] = (1 + r) * np.exp(-r) + JITTER * np.eye(TIME)
    weight, bias, variance = (np.asarray(part, np.float64) for part in made.generative.layers[0].affine())
    reading, mean = np.kron(np.eye(TIME), weight), np.tile(bias, TIME)
    noise = np.diag(np.tile(variance, TIME))
    seen = np.asarray(x.observed).ravel()
    return prior, reading[seen], mean[seen], noise[np.ix_(seen, seen)], np.asarray(x.values, np.float64).ravel()[seen]


@eqx.filter_jit
def exact_answers(made, x):
    q = made.posterior(x).part(0, ())
    draw = made.draw(jr.key(3), x)
    kl = closed_form_kl(q, made.generative.root(1, jnp.zeros(1) if x.context is None else x.context))
    return made.log_prob(x), q.mean, q.covariances, draw.log_w, q.sample(jr.key(1)), kl


@pytest.mark.parametrize("irregular", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_linear_decoder_has_the_exact_evidence_and_posterior(irregular):
    made, x = model("state-space", kernels=("matern32",), irregular=irregular), window(irregular=irregular)
    log_p, mean, covariances, log_w, _, kl = exact_answers(made, x)
    prior, reading, centre, noise, values = joint(made, x)
    cov = reading @ prior @ reading.T + noise
    evidence = multivariate_normal(centre, cov).logpdf(values)
    np.testing.assert_allclose(log_p, evidence, rtol=1e-5)
    # q is the posterior, so every draw has the evidence as its weight
    np.testing.assert_allclose(log_w, evidence, rtol=1e-4)
    gain = prior @ reading.T @ np.linalg.inv(cov)
    np.testing.assert_allclose(np.ravel(mean), gain @ (values - centre), atol=1e-4)
    posterior = prior - gain @ reading @ prior
    for t in range(TIME):
        np.testing.assert_allclose(covariances[t], posterior[2 * t : 2 * t + 2, 2 * t : 2 * t + 2], atol=2e-5)
    inverse, shift = np.linalg.inv(prior), gain @ (values - centre)
    spread = np.trace(inverse @ posterior) + shift @ inverse @ shift - len(prior)
    wanted = 0.5 * (spread + np.linalg.slogdet(prior)[1] - np.linalg.slogdet(posterior)[1])
    np.testing.assert_allclose(kl, wanted, rtol=1e-3)


@pytest.mark.slow
def test_draws_of_the_exact_posterior_have_its_moments():
    """4000 draws; 24 means and 24 variances within 5 standard errors: a false alarm of about 3e-5."""
    made, x = model("state-space", kernels=("matern32",)), window()
    draws = jax.jit(jax.vmap(lambda key: made.posterior(x).part(0, ()).sample(key)))(jr.split(jr.key(2), 4000))
    prior, reading, centre, noise, values = joint(made, x)
    gain = prior @ reading.T @ np.linalg.inv(reading @ prior @ reading.T + noise)
    mean, variance = gain @ (values - centre), np.diag(prior - gain @ reading @ prior)
    found = np.asarray(draws, np.float64).reshape(len(draws), -1)
    assert (np.abs(found.mean(0) - mean) < 5 * np.sqrt(variance / len(draws)) + 1e-4).all()
    assert (np.abs(found.var(0) - variance) < 5 * variance * np.sqrt(2 / len(draws)) + 1e-4).all()


@eqx.filter_jit
def bounds(made, x):
    """The terms of the bound of one window from 2000 draws, the closed-form KL, and what the prior says of draws."""
    prior = made.generative.root(1, x.context)
    q = made.posterior(x).part(0, ())
    draws = jax.vmap(lambda key: made.draw(key, x))(jr.split(jr.key(0), 2000))
    return draws.log_w, closed_form_kl(q, prior), draws.log_q[:, 0] - draws.log_p[:, 1], q.mean, q.variance, draws.z[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("posterior", "form"),
    [
        ("smoothed", "state-space"),
        *(pytest.param(name, "dense", marks=pytest.mark.slow) for name in ("smoothed", "banded", "independent")),
    ],
)
def test_the_bound_of_a_linear_decoder_stays_below_the_evidence(posterior, form):
    options = {"posterior": posterior, "prior_form": form, "likelihood": "gaussian-pixel", "kernels": ("matern32",)}
    made = model(**options)
    # a decoder without hidden layers
    linear = model("state-space", kernels=("matern32",))
    made = eqx.tree_at(lambda m: m.generative.layers[0], made, linear.generative.layers[0])
    x = window()
    log_w, kl, sampled, mean, variance, z = map(np.asarray, bounds(made, x))
    prior, reading, centre, noise, values = joint(made, x)
    evidence = multivariate_normal(centre, reading @ prior @ reading.T + noise).logpdf(values)
    error = log_w.std() / np.sqrt(len(log_w))
    assert log_w.mean() < evidence + 5 * error
    # 2000 draws, 5 standard errors in 25 comparisons: a false alarm of about 3e-5
    assert abs(sampled.mean() - kl) < 5 * sampled.std() / np.sqrt(len(sampled)) + 1e-3
    assert (np.abs(z.mean(0) - mean) < 5 * np.sqrt(variance / len(z)) + 1e-3).all()
    assert (np.abs(z.var(0) - variance) < 5 * variance * np.sqrt(2 / len(z)) + 1e-3).all()


def test_an_identity_kernel_makes_a_plain_auto_encoder_of_every_frame():
    made = model(posterior="independent", kernels=("white",), convolutions=())
    x = window()

    @eqx.filter_jit
    def terms(x):
        draw = made.draw(jr.key(0), x)
        q = draw.parts[0]
        return made.kl(draw), q.mean, q.variance

    kl, mean, variance = terms(x)
    plain = 0.5 * (variance + mean**2 - 1.0 - jnp.log(variance)).sum()
    np.testing.assert_allclose(kl[0], plain, rtol=2e-2)  # the prior has JITTER more variance
    _, reversed_mean, _ = terms(Example(x.values[::-1], x.observed[::-1]))
    np.testing.assert_allclose(reversed_mean, mean[::-1], rtol=1e-5)


@pytest.mark.share(2)
@pytest.mark.parametrize("posterior", ["smoothed", "banded"])
def test_nothing_depends_on_what_a_missing_entry_holds(posterior):
    made, x = model(posterior=posterior), window()
    other = Example(jnp.where(x.observed, x.values, 77.0), x.observed)
    seen = [np.asarray(made.recognition.see(each)) for each in (x, other)]
    np.testing.assert_array_equal(*seen)
    assert not np.isin(77.0, seen[1])


@pytest.mark.slow
def test_files_give_the_same_model(tmp_path):
    for name, options in (("gp-vae", {"kernels": ("cauchy", "matern32"), "irregular": True}), ("state-space", {})):
        made = model(name, **options)
        save_model(tmp_path / "model.safetensors", made)
        found = load_model(tmp_path / "model.safetensors")
        assert jax.tree.structure(found) == jax.tree.structure(made)
        assert all(bool((a == b).all()) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(made), strict=True))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("state-space", {"kernels": ("rbf",)}, "no Markov process"),
        ("gp-vae", {"lengths": (1.0, 2.0, 3.0)}, "one length for all latents or one for each"),
        ("gp-vae", {"kernels": ("periodic",)}, "needs a period"),
        ("gp-vae", {"kernel_size": 2}, "odd number of frames"),
        ("gp-vae", {"posterior": "full"}, "posterior"),
        ("gp-vae", {"kernels": ()}, "at least one kernel"),
    ],
)
def test_options_that_make_no_sense_are_refused(name, options, said):
    with pytest.raises(InputError, match=said):
        model(name, **options)
