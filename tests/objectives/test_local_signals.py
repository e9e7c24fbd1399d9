"""Local learning signals are taken where they are unbiased, and refused elsewhere."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from zoo import randomized

from nelbo.core import Example, InputError
from nelbo.models import MODELS, build
from nelbo.nets import trainable
from nelbo.objectives import ScoreFunction, Sgvb, local_signals_hold
from nelbo.testing import assert_same_mean

OPTIONS = {
    "vae": {"latents": 2, "hidden": [3]},
    "linear": {"latents": 2},
    "factor-analysis": {"latents": 2},
    "nonlinear-factor-analysis": {"latents": 2, "hidden": [3]},
    "nonlinear-belief-network": {"layers": [2, 2], "recognition_hidden": [3]},
    "dlgm": {"layers": [2, 2], "hidden": [3], "activation": "tanh"},
    "hvae": {"layers": [2, 2], "hidden": [3]},
    "sbn": {"layers": [3, 2]},
    "darn": {"layers": [2]},
    "fdarn": {"layers": [3, 2]},
    "nade": {"hidden": [3]},
    "eonade": {"hidden": [3]},
    "rbm": {"hidden": [3]},
    "dbn": {"layers": [3, 2]},
    "mixture": {"components": 3},
    "factorization": {"shape": [1], "rank": 1},
    "table": {"latents": 2, "hidden": [3]},
    "gp-vae": {"shape": [3, 2], "latents": 2, "hidden": [3], "convolutions": [3]},
    "svgp-vae": {"latents": 2, "hidden": [3], "inducing": 3},
    "state-space": {"shape": [3, 2], "latents": 2},
    "dsae": {"shape": [3, 2], "latents": 2, "static_latents": 2, "hidden": [3], "state_size": 3},
    "sequence-flow": {"shape": [3, 2], "base": "gp-vae", "latents": 2, "hidden": [3], "flow_hidden": [3]},
    "events": {"shape": [3, 2], "latents": 2, "state_size": 3},
    "point-process": {"shape": [3, 2], "state_size": 3},
}
BIASED = {"dlgm", "nonlinear-belief-network", "dsae"}


def made(name):
    return build(jr.key(0), name, {"shape": [4], **OPTIONS[name]})


@pytest.mark.share(8)
@pytest.mark.parametrize("name", OPTIONS)
def test_every_family_says_what_its_layers_read(name):
    model = made(name)
    assert local_signals_hold(model) == (name not in BIASED)
    if name in BIASED:
        with pytest.raises(InputError, match="switch local signals off"):
            ScoreFunction(local=True).init(jr.key(1), model)
    state = ScoreFunction().init(jr.key(1), model)
    assert len(state.carried.mean) == (1 if name in BIASED else model.depth)


def test_every_family_that_the_score_function_may_train_has_a_row():
    others = {name for name, family in MODELS.items() if family.targets or family.objective == "svi"}
    # the straight-through gradient of rounding is no density's, and a detector has none
    others |= {"image-codec", "convolutional-codec", "neutral-ad"}
    assert set(OPTIONS) == set(MODELS) - others


def gradients(objective, model, batch, seed, draws=20_000):
    params, static = eqx.partition(model.recognition, trainable(model.recognition))
    state = objective.init(jr.key(1), model)

    def one(key):
        whole = lambda p: eqx.tree_at(lambda m: m.recognition, model, eqx.combine(p, static))  # noqa: E731
        slopes = jax.grad(lambda p: objective(key, whole(p), batch, state)[0].surrogate)(params)
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(slopes)])

    return np.asarray(eqx.filter_jit(jax.vmap(one))(jr.split(jr.key(seed), draws)))


@pytest.mark.slow
def test_what_is_taken_for_a_deep_latent_gaussian_model_is_unbiased():
    """The score function's mean is that of the reparameterized gradient; |z| < 5 in each of about 60 coordinates."""
    model = randomized(made("dlgm"), jr.key(5), 0.6)
    batch = jnp.array([[1.0, 0.0, 1.0, 1.0]])
    score = ScoreFunction(baseline=False, normalization=False)
    assert_same_mean(gradients(score, model, batch, 1), gradients(Sgvb("A"), model, batch, 2))


@pytest.mark.slow
def test_baselines_take_what_the_recognition_model_takes_in():
    """With the mask as further inputs, 64 entries are 128 inputs."""
    model = build(jr.key(0), "vae", {"shape": [6], "latents": 2, "hidden": [3], "missing": "mask"})
    objective = ScoreFunction(hidden=(4,))
    state = objective.init(jr.key(1), model)
    assert state.trained[0].layers[0].kernel.shape == (12, 4)
    observed = jnp.arange(6) < 4
    batch = Example(jnp.ones((3, 6)) * observed.astype(jnp.float32)[None], jnp.broadcast_to(observed, (3, 6)))
    loss, _ = objective(jr.key(2), model, batch, state)
    assert np.isfinite(float(loss.surrogate))
