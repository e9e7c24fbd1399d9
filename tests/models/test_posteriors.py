"""Recognition heads: sizes, names, and that every family trains in a variational auto-encoder."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.models import POSTERIORS, build, load_model, posterior_head, save_model, vae
from nelbo.objectives import Sgvb


@pytest.mark.share(2)
@pytest.mark.parametrize("name", POSTERIORS)
def test_zero_parameters_give_a_standard_normal_but_a_fresh_network_gives_correlations(name):
    head = posterior_head(name, 4, rank=2)
    noise = jnp.arange(4.0)
    log_p = jax.jit(lambda raw: head(raw).log_prob(noise).sum())(jnp.zeros(head.size))
    np.testing.assert_allclose(log_p, -0.5 * 14.0 - 2.0 * np.log(2 * np.pi), rtol=1e-6)
    if name != "diagonal":

        @jax.jit
        def greatest(key):
            model = vae(key, (8,), latents=20, hidden=(200,), posterior=name, activation="relu")
            part = model.recognition(jnp.ones(8)).sample(jr.key(1))[1][0]
            return jnp.abs(part.covariance - jnp.diag(part.variance)).max()

        assert 1e-4 < float(greatest(jr.key(0))) < 0.5


@pytest.mark.share(4)
@pytest.mark.parametrize("name", POSTERIORS)
def test_every_family_trains_and_every_part_of_it_gets_a_gradient(name, tmp_path):
    model = vae(jr.key(0), (6,), latents=3, hidden=(5,), posterior=name, rank=2)
    batch = jnp.asarray(np.random.default_rng(0).integers(0, 2, (4, 6)), jnp.float32)
    objective = Sgvb("B")

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model):
        return objective(jr.key(1), model, batch, objective.init(jr.key(5), model))[0].surrogate

    grads = jax.tree.map(np.asarray, gradient(model))
    last = grads.recognition.layers[0].net.layers[-1].weight
    assert last.shape[0] == posterior_head(name, 3, rank=2).size
    assert (np.abs(last).max(1) > 0).all()
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    save_model(tmp_path / "model.safetensors", model)
    again = load_model(tmp_path / "model.safetensors")
    assert eqx.tree_equal(model, again)


def test_bad_names_and_ranks_are_one_sentence():
    with pytest.raises(InputError, match="did you mean 'rank-one'"):
        build(jr.key(0), "vae", {"shape": [4], "posterior": "rank-1"})
    with pytest.raises(InputError, match="must be 1 to 3, got 0"):
        build(jr.key(0), "vae", {"shape": [4], "latents": 3, "posterior": "low-rank", "rank": 0})
    wide = build(jr.key(0), "vae", {"shape": [4], "latents": 3, "posterior": "low-rank", "rank": 9})
    assert wide.recognition.layers[0].head.rank == 3
