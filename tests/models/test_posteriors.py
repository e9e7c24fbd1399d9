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


@pytest.mark.parametrize("name", POSTERIORS)
def test_zero_parameters_give_a_standard_normal_but_a_fresh_network_gives_correlations(name):
    head = posterior_head(name, 4, rank=2)
    noise = jnp.arange(4.0)
    distribution = head(jnp.zeros(head.size))
    np.testing.assert_allclose(distribution.log_prob(noise).sum(), -0.5 * 14.0 - 2.0 * np.log(2 * np.pi), rtol=1e-6)
    if name != "diagonal":
        model = vae(jr.key(0), (8,), latents=20, hidden=(200,), posterior=name, activation="relu")
        part = model.recognition(jnp.ones(8)).sample(jr.key(1))[1][0]
        correlation = part.covariance - jnp.diag(part.variance)
        assert 1e-4 < float(jnp.abs(correlation).max()) < 0.5


@pytest.mark.parametrize("name", POSTERIORS)
def test_every_family_trains_and_every_part_of_it_gets_a_gradient(name, tmp_path):
    model = vae(jr.key(0), (6,), latents=3, hidden=(5,), posterior=name, rank=2)
    batch = jnp.asarray(np.random.default_rng(0).integers(0, 2, (4, 6)), jnp.float32)
    objective = Sgvb("B")

    def loss(model):
        return objective(jr.key(1), model, batch, objective.init(jr.key(5), model))[0].surrogate

    grads = eqx.filter_grad(loss)(model)
    last = grads.recognition.layers[0].net.layers[-1].weight
    assert last.shape[0] == posterior_head(name, 3, rank=2).size
    assert (jnp.abs(last).max(1) > 0).all()
    assert jax.tree.all(jax.tree.map(lambda g: bool(jnp.isfinite(g).all()), eqx.filter(grads, eqx.is_array)))
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
