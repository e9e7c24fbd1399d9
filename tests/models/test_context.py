"""What p and q are conditioned on reaches every layer that reads it, and nothing else."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import Example, InputError
from nelbo.distributions import Normal
from nelbo.models import Amortized, Conditional, Layer, Model, NormalHead, Reads, Stack, StandardNormal, vae
from nelbo.nets import MLP
from nelbo.objectives import Iwae, ScoreFunction, Sgvb, Vimco, WakeSleep
from nelbo.tasks import sample
from nelbo.testing import check_objective

LABELS = jnp.eye(3)


def conditional_vae(architecture="mlp"):
    shape = (4, 4, 1) if architecture == "conv" else (5,)
    options = {"channels": (2,), "architecture": "conv"} if architecture == "conv" else {}
    return vae(jr.key(0), shape, latents=2, hidden=(4,), context=3, init=0.8, **options)


@pytest.mark.share(2)
@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_both_networks_read_the_context(architecture):
    model = conditional_vae(architecture)
    x = jr.bernoulli(jr.key(1), 0.5, (4, 4, 1) if architecture == "conv" else (5,)).astype(jnp.float32)
    z = (jnp.array([0.3, -0.5]),)
    q = jax.jit(jax.vmap(lambda c: model.recognition(Example(x, context=c)).part(0, ()).mean))(LABELS[:2])
    p = jax.jit(jax.vmap(lambda c: model.generative.likelihood(z, c).mean))(LABELS[:2])
    assert np.abs(q[0] - q[1]).max() > 1e-3
    assert np.abs(p[0] - p[1]).max() > 1e-3
    without = Example(x)
    with pytest.raises(TypeError):  # the networks are wider than what they are given
        model.draw(jr.key(2), without)


@pytest.mark.slow
def test_a_conditional_model_obeys_the_laws():
    model = conditional_vae()
    x = Example(jnp.array([1.0, 0.0, 1.0, 1.0, 0.0]), context=LABELS[1])
    drawn, z = model.generative.sample(jr.key(1), LABELS[1])
    assert model.generative.log_prob(Example(drawn, context=LABELS[1]), z).shape == (2,)
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), x)
    for objective in (Sgvb("B"), Iwae(2), ScoreFunction(), Vimco(2), WakeSleep(2, wake_phi=1.0)):
        check_objective(objective, model, batch, jr.key(2), draws=200, eager=False)


class Trend(Layer):
    """N(slope * time + z, 0.5^2): a layer whose mean follows a time stamp."""

    slope: jax.Array
    reads = Reads.NEAREST
    conditioned = True
    direct_weight = None
    is_linear_gaussian = True

    def __call__(self, parents, context=None):
        return Normal(self.slope * context + parents[0], jnp.full(1, 0.5))


@pytest.mark.slow
def test_time_stamps_shift_an_exact_likelihood():
    """x | t ~ N(2 t, 1 + 0.25), the latent integrated out."""
    q = Conditional(MLP(jr.key(0), (1, 2)), NormalHead((1,)))
    model = Model(Stack((Trend(jnp.array([2.0])), StandardNormal(1)), context_size=1), Amortized((q,)))
    for time in (0.0, 1.5):
        found = model.log_prob(Example(jnp.array([3.2]), context=jnp.array([time])))
        exact = -0.5 * ((3.2 - 2.0 * time) ** 2 / 1.25 + np.log(2 * np.pi * 1.25))
        assert float(found) == pytest.approx(exact, rel=1e-5)
    x = Example(jnp.array([3.2]), context=jnp.array([1.5]))
    assert np.isfinite(float(model.draw(jr.key(1), x).log_w))


def test_samples_need_the_context():
    model = conditional_vae()
    assert sample(jr.key(0), model, 4, mean=True, context=LABELS[0]).shape == (4, 5)
    with pytest.raises(InputError, match="conditioned on a context"):
        sample(jr.key(0), model, 4)
