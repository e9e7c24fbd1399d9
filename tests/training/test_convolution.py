"""Steps with convolutions are run one by one, and give the numbers of the compiled loop."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.data import Split, source
from nelbo.models import vae
from nelbo.objectives import Sgvb
from nelbo.training import fit, loop, optimizer
from nelbo.training.steps import Rule, convolve, run_chunk, run_steps, start

SHAPE = (4, 4, 1)
FEED = jnp.arange(12, dtype=jnp.int32).reshape(3, 4)


def data():
    return source(Split((np.random.default_rng(0).random((12, *SHAPE)) < 0.4).astype(np.uint8)), "binary")


def parts(architecture):
    model = vae(jr.key(0), SHAPE, latents=2, hidden=(3,), architecture=architecture, channels=(2,))
    objective, adam = Sgvb(), optimizer("adam")
    carry, static = start(model, objective, adam, jr.key(2))
    return carry, Rule(static, objective, adam, None)


@pytest.mark.parametrize(("architecture", "expected"), [("conv", True), ("mlp", False)])
def test_only_convolutions_leave_the_compiled_loop(architecture, expected):
    carry, rule = parts(architecture)
    assert convolve(carry, rule, data(), (FEED, None), jr.key(1), jnp.asarray(2, jnp.int32), indexed=True) is expected


@pytest.mark.share(2)
@pytest.mark.parametrize("architecture", ["conv", "mlp"])
def test_steps_one_by_one_give_the_numbers_of_the_loop(architecture):
    ends = []
    for run, count in ((run_chunk, jnp.asarray(2, jnp.int32)), (run_steps, 2)):
        carry, rule = parts(architecture)
        carry, metrics, sound = run(carry, rule, data(), (FEED, None), jr.key(1), count, indexed=True)
        assert sound
        ends.append((carry.params, carry.step, {name: row[:2] for name, row in metrics.items()}))
    for one, other in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_fit_runs_a_convolutional_model_step_by_step(monkeypatch):
    used = []

    def remember(*args, **kwargs):
        used.append(True)
        return run_steps(*args, **kwargs)

    monkeypatch.setattr(loop, "run_steps", remember)
    model = vae(jr.key(0), SHAPE, latents=2, hidden=(3,), architecture="conv", channels=(2,))
    fitted = fit(jr.key(1), model, Sgvb(), data(), optimizer("adam"), steps=5, batch_size=4, chunk=2, keep="last")
    assert used
    assert fitted.state.step == 5
    assert jnp.isfinite(fitted.history[-1]["train_bound"])
