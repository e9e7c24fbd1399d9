"""A linear auto-encoder trained by gradient descent finds probabilistic PCA's maximum likelihood."""

import jax.random as jr
import numpy as np
import oracles
import zoo
from small import train

from nelbo.data import Split, source
from nelbo.models import linear
from nelbo.objectives import Sgvb
from nelbo.training import optimizer


def test_a_linear_auto_encoder_reaches_the_closed_form_optimum():
    """The exact ELBO of the trained model is within 0.5 % of max log p(x) (Tipping and Bishop 1999), never above."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 6)) * 1.5 + 0.5 * rng.normal(size=(500, 6)) + rng.normal(size=6)
    x = x.astype(np.float32)
    variance, best = oracles.ppca_optimum(x, 2)
    steps = 4000
    result = train(
        model=linear(jr.key(1), (6,), latents=2),
        objective=Sgvb("path"),
        data=source(Split(x), "real"),
        optimizer=optimizer("adam", learning_rate=0.01, schedule="cosine", steps=steps),
        steps=steps,
        batch_size=100,
        valid=None,
        evaluate_every=steps,
        chunk=steps,
    )
    reached = np.mean([zoo.gaussian_elbo(result.model, row) for row in x])
    assert best - 0.005 * abs(best) < reached <= best + 1e-6
    noise = zoo.gaussian_oracle(result.model).generative[0].scale
    np.testing.assert_allclose(noise**2, variance, rtol=0.03)
