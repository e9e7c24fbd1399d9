"""What priors say, and what every posterior pays under each of them.

Statistical tests: |z| < 5 in each coordinate, seeds fixed; about 60 coordinates, so one seed in 28,000 would fail.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from families import MEANS, NORMAL, flat, posterior, prior
from scipy import integrate, stats

from nelbo.bayes import POSTERIORS, PRIORS, SharedPosterior, shared_parameters
from nelbo.bayes.contracts import keys_like
from nelbo.core import InputError, Registry, using
from nelbo.models import vae
from nelbo.testing import assert_unbiased

DRAWS = 4000


@jax.jit
def costs_and_ratios(found, priors):
    """The cost under each prior at many keys, and log q - log prior at the draws of other keys."""
    keys, others = jr.split(jr.key(3), DRAWS), jr.split(jr.key(9), DRAWS)

    def ratios(key):
        draw_key, scale_key = jr.split(key)
        value = found.sample(draw_key, MEANS)
        log_q = found.log_prob(MEANS, value)
        return {name: log_q - before.log_prob(jr.clone(scale_key), value) for name, before in priors.items()}

    def costs(key):
        return {name: found.cost(jr.clone(key), MEANS, before) for name, before in priors.items()}

    return jax.vmap(costs)(keys), jax.vmap(ratios)(others)


@functools.cache
def of_all_priors(name):
    """One program for each posterior."""
    return costs_and_ratios(posterior(name), {before: prior(before) for before in PRIORS})


@pytest.mark.share(36)
@pytest.mark.parametrize("before", PRIORS)
@pytest.mark.parametrize("name", NORMAL)
def test_every_posterior_pays_log_q_minus_log_p_on_average(name, before):
    """The closed form, or the estimate, against a Monte Carlo estimate of its own."""
    costs, ratios = (np.asarray(found[before], np.float64) for found in of_all_priors(name))
    assert np.isfinite(costs).all()
    if before != "horseshoe":  # the others are in closed form, whatever the key
        assert np.ptp(costs) == 0.0
    error = np.sqrt((costs.var() + ratios.var()) / DRAWS)
    assert abs(costs.mean() - ratios.mean()) < 5 * error


@pytest.mark.parametrize("before", PRIORS)
def test_a_point_pays_the_log_density_up_to_a_constant(before):
    found, point = prior(before), POSTERIORS["delta"](MEANS)
    moved = jax.tree.map(lambda leaf: 1.3 * leaf, MEANS)
    pays = [float(point.cost(jr.key(0), tree, found)) for tree in (MEANS, moved)]
    densities = [float(found.log_prob(jr.key(0), tree)) for tree in (MEANS, moved)]
    assert pays[1] - pays[0] == pytest.approx(densities[0] - densities[1], rel=1e-4)
    assert point.sample(jr.key(0), MEANS) is MEANS


def test_the_laplace_divergence_is_that_of_quadrature():
    m, s, b = 0.7, 0.4, 0.8

    def integrand(x):
        return stats.norm.pdf(x, m, s) * (stats.norm.logpdf(x, m, s) - stats.laplace.logpdf(x, scale=b))

    wanted, _ = integrate.quad(integrand, m - 10 * s, m + 10 * s, points=[0.0])
    found = PRIORS["laplace"](jnp.zeros(1), prior_scale=b)
    assert float(found.kl(jr.key(0), jnp.array([m]), jnp.log(jnp.array([s])))) == pytest.approx(wanted, rel=1e-5)


def kl_of_normals(m, s, scale):
    return 0.5 * ((m**2 + s**2) / scale**2 - 1 - 2 * np.log(s / scale))


def test_random_scales_cost_their_own_divergence():
    """KL(q(theta) q(scales) || p(theta | scales) p(scales)) by drawing the scales in NumPy."""
    m, s = flat(MEANS), 0.3
    log_scale = jax.tree.map(lambda leaf: jnp.full_like(leaf, np.log(s)), MEANS)
    noise = np.random.default_rng(0).normal(size=(20_000, m.size))
    leaf_of = np.repeat(np.arange(3), [leaf.size for leaf in jax.tree.leaves(MEANS)])

    grouped = prior("hierarchical")
    centre, spread = flat(grouped.log_scale), np.exp(flat(grouped.spread))
    logs = centre + spread * noise[:, :3]
    own = (stats.norm.logpdf(logs, centre, spread) - stats.norm.logpdf(logs, np.log(0.8), 1.0)).sum(1)
    replicates = own + kl_of_normals(m, s, np.exp(logs)[:, leaf_of]).sum(1)
    assert_unbiased(replicates, np.float64(grouped.kl(jr.key(0), MEANS, log_scale)), what="the hierarchical divergence")

    sparse = prior("horseshoe")
    centre, spread = flat(sparse.log_scale), np.exp(flat(sparse.spread))
    logs = centre + spread * noise
    density = stats.halfcauchy.logpdf(np.exp(logs), scale=0.8) + logs
    replicates = (stats.norm.logpdf(logs, centre, spread) - density + kl_of_normals(m, s, np.exp(logs))).sum(1)
    estimates = jax.jit(jax.vmap(lambda key: sparse.kl(key, MEANS, log_scale)))(jr.split(jr.key(1), DRAWS))
    error = np.sqrt(replicates.var() / len(replicates) + np.var(estimates) / DRAWS)
    assert abs(replicates.mean() - np.mean(estimates)) < 5 * error


def test_a_learned_scale_is_best_at_the_second_moment():
    found = posterior("mean-field")
    second = np.mean(flat(MEANS) ** 2 + np.exp(2 * flat(found.log_scale)))
    at_best = PRIORS["learned-normal"](MEANS, prior_scale=float(np.sqrt(second)))
    slope = eqx.filter_grad(lambda p: p.kl(jr.key(0), MEANS, found.log_scale))(at_best)
    assert abs(float(slope.log_scale)) < 1e-4
    assert abs(float(eqx.filter_grad(lambda p: p.kl(jr.key(0), MEANS, found.log_scale))(prior("learned-normal")).log_scale)) > 1.0  # fmt: skip  # noqa: E501


class LaplacePosterior(SharedPosterior):
    """Of a user's own, and not normal."""

    in_bound = True
    width: float = eqx.field(static=True, default=0.5)

    def sample(self, key, mean):
        return jax.tree.map(lambda k, m: m + self.width * jr.laplace(k, m.shape), keys_like(key, mean), mean)

    def log_prob(self, mean, value):
        parts = jax.tree.map(lambda m, x: (-jnp.abs(x - m) / self.width - jnp.log(2 * self.width)).sum(), mean, value)
        return jnp.stack(jax.tree.leaves(parts)).sum()


def laplace_posterior(mean, *, width: float | int = 0.5):
    """Laplace distributions.

    Args:
        mean: the means.
        width: of them.
    """
    del mean
    return LaplacePosterior(float(width))


@pytest.mark.slow
def test_a_posterior_of_ones_own_needs_no_closed_form():
    """One file, one row: its cost is log q - log p of the draw of the same key, KL on average (by quadrature)."""
    model = vae(jr.key(0), (3,), latents=1, hidden=(2,))
    with using(Registry(posteriors={"laplace": laplace_posterior})):
        shared = shared_parameters(model, posterior="laplace", width=0.3, prior="normal", prior_scale=0.8)
    assert shared.globals.posterior.width == 0.3
    mine, normal, key = LaplacePosterior(0.5), prior("normal"), jr.key(4)
    value = mine.sample(key, MEANS)
    paid = mine.cost(jr.clone(key), MEANS, normal)
    np.testing.assert_allclose(paid, mine.log_prob(MEANS, value) - normal.log_prob(jr.key(0), value), rtol=1e-5)

    def divergence(m):
        def integrand(x):
            q = stats.laplace(m, 0.5)
            return q.pdf(x) * (q.logpdf(x) - stats.norm.logpdf(x, scale=0.8))

        return integrate.quad(integrand, m - 15, m + 15, points=[m])[0]

    wanted = sum(divergence(m) for m in flat(MEANS))
    costs, _ = costs_and_ratios(mine, {"normal": normal})
    assert_unbiased(np.asarray(costs["normal"]), np.float64(wanted), what="the cost")


def test_impossible_pairs_and_options_are_refused():
    model = vae(jr.key(0), (3,), latents=1, hidden=(2,))
    for name in ("learned-normal", "hierarchical"):
        with pytest.raises(InputError, match=f"The prior {name} is fitted to the spread"):
            shared_parameters(model, posterior="delta", prior=name)
    with pytest.raises(InputError, match="Unknown posterior 'k-tide': did you mean 'k-tied'"):
        shared_parameters(model, posterior="k-tide")
    with pytest.raises(InputError, match="Unknown prior 'cauchy'"):
        shared_parameters(model, prior="cauchy")
    with pytest.raises(InputError, match="Unknown option of posterior mean-field with prior normal 'k'"):
        shared_parameters(model, k=3)
    with pytest.raises(InputError, match="must be a whole number"):
        shared_parameters(model, posterior="k-tied", k=1.5)
    for name in PRIORS:
        with pytest.raises(InputError, match="positive standard deviation"):
            shared_parameters(model, prior=name, prior_scale=-1.0)
