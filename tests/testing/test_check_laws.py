"""The law suites notice parts that break a law, and say which."""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import zoo

from nelbo.core import as_example
from nelbo.distributions import Normal
from nelbo.models import Amortized, Conditional, Head, Model, Stack, StandardNormal
from nelbo.nets import MLP
from nelbo.objectives import Loss, MaximumLikelihood, Objective, ObjectiveState, Sgvb
from nelbo.testing import assert_below, assert_same_mean, assert_unbiased, check_model, check_objective


def test_statistics_pass_what_is_true_and_name_what_is_not():
    draws = np.random.default_rng(0).normal(size=(2000, 2))
    assert assert_unbiased({"a": draws}, {"a": np.zeros(2)}) < 5
    with pytest.raises(AssertionError, match=r"slope: \['a'\]\[1\] has mean .* expected 0.2; .* z = -"):
        assert_unbiased({"a": draws}, {"a": np.array([0.0, 0.2])}, what="slope")
    with pytest.raises(AssertionError, match="other parts"):
        assert_unbiased({"a": draws}, {"b": np.zeros(2)})
    with pytest.raises(AssertionError, match="shape"):
        assert_unbiased({"a": draws}, {"a": np.zeros(3)})
    with pytest.raises(AssertionError, match="not finite"):
        assert_unbiased(np.full((10, 1), np.nan), np.zeros(1))
    assert_below(draws, 0.1)
    with pytest.raises(AssertionError, match="above its limit"):
        assert_below(draws, -0.2)
    assert_same_mean(draws[:1000], draws[1000:])
    with pytest.raises(AssertionError):
        assert_same_mean(draws[:1000], draws[1000:] + 0.4)


def test_constant_replicates_are_compared_to_rounding():
    assert_unbiased(np.full(100, np.float32(0.1)), np.asarray(0.1))
    with pytest.raises(AssertionError):
        assert_unbiased(np.full(100, 0.1), np.asarray(0.101))


class Wide(Normal):
    """Samples are twice as wide as the density says."""

    def sample(self, key, sample_shape=()):
        return self.loc + 2.0 * (super().sample(key, sample_shape) - self.loc)


class WideHead(Head):
    shape: tuple = eqx.field(static=True)
    planes = 2
    is_homoscedastic = False

    def __call__(self, raw):
        mean, log_scale = self._split(raw)
        return Wide(mean, jnp.exp(log_scale))


@pytest.mark.slow
def test_a_sampler_that_disagrees_with_its_density_is_found():
    layer = Conditional(MLP(jr.key(0), (2, 6)), WideHead((3,)))
    case = zoo.linear_gaussian(size=3)
    model = Model(Stack((layer, StandardNormal(2))), case.model.recognition)
    with pytest.raises(AssertionError, match=r"samples and log density of p\(x, z\) disagree"):
        check_model(model, jr.key(1), draws=1000)


def test_a_recognition_model_of_another_size_is_found():
    first, second = zoo.linear_gaussian(), zoo.linear_gaussian(latents=1)
    for recognition in (second.model.recognition, Amortized(())):
        with pytest.raises(AssertionError, match="the recognition model draws latents"):
            check_model(Model(first.model.generative, recognition), jr.key(1), draws=0)


class Changed(Objective):
    """SGVB with something wrong with it."""

    kind: ClassVar[str] = "lower"
    what: str = eqx.field(static=True)

    def init(self, key, model):
        return Sgvb("A").init(key, model)

    def __call__(self, key, model, batch, state):
        if self.what == "no weights":
            batch = dataclasses.replace(batch, weight=None)
        loss, after = Sgvb("A")(key, model, batch, state)
        surrogate, bound, metrics = loss.surrogate, loss.bound, loss.metrics
        if self.what == "biased gradient":
            surrogate = 1.2 * surrogate
        if self.what == "another bound":
            bound = bound + 0.5
        if self.what == "state":
            after = ObjectiveState(carried=after.carried.astype(jnp.float32))
        if self.what == "flat":
            surrogate = jax.lax.stop_gradient(surrogate)
        if self.what == "per-example metric":
            metrics = metrics | {"kl": jnp.zeros(3)}
        if self.what == "nan":
            surrogate = surrogate * jnp.nan
        return Loss(surrogate, bound, metrics), after

    def bounds(self, key, model, batch):
        bounds = Sgvb("A").bounds(key, model, batch)
        return bounds + 100.0 if self.what == "too high" else bounds


@pytest.mark.share(8)
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("biased gradient", "the gradient: "),
        ("another bound", "the reported bound"),
        ("state", "changed a shape or a type"),
        ("flat", "the gradient is zero everywhere"),
        ("per-example metric", "jaxtyping|metric|kl has shape|type"),
        ("nan", "not finite"),
        ("no weights", "weights of the examples do not count"),
        ("too high", "the reported bound|bound of an example"),
    ],
)
def test_a_wrong_objective_is_found(what, words):
    from test_laws import exact_gradient

    case = zoo.linear_gaussian()
    with pytest.raises((AssertionError, TypeError), match=words):
        check_objective(
            Changed(what),
            case.model,
            case.batch,
            jr.key(0),
            evidence=case.mean_log_evidence() + 10.0,
            exact_gradient=exact_gradient(case),
            draws=2000,
        )


def test_a_bound_above_the_evidence_is_found():
    case = zoo.linear_gaussian(latents=1)
    with pytest.raises(AssertionError, match="bound of an example above its limit"):
        check_objective(Sgvb("A"), case.model, case.batch, jr.key(0), evidence=-1e3, draws=200)


def test_a_model_without_latents_passes_by_its_exact_likelihood():
    class Location(eqx.Module):
        mean: jax.Array
        depth: ClassVar[int] = 0

        def log_prob(self, x):
            x = as_example(x).values
            return -0.5 * ((x - self.mean) ** 2).sum()

    check_objective(MaximumLikelihood(), Location(jnp.ones(2)), jnp.zeros((3, 2)), jr.key(0), draws=50)
