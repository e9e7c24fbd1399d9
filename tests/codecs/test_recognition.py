"""Any recognition model codes, by its contract alone: masks, fits to each example, a user's own."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jaxtyping import Array

from nelbo.codecs import BlockCoder, Layout, Networks, compress, decompress
from nelbo.core import NATS_PER_BIT, Example, InputError, as_example
from nelbo.distributions import Normal
from nelbo.models import (
    Amortized,
    BernoulliHead,
    Conditional,
    Layer,
    Model,
    Posterior,
    Reads,
    Recognition,
    Stack,
    StandardNormal,
    belief_network_model,
    dlgm,
    gaussian_belief_net,
    hvae,
    vae,
)
from nelbo.nets import MLP

SMALL = Layout(batch=16, lanes=4, block=40)


def bits(count, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (count, *shape)).astype(np.uint8)


@pytest.mark.share(6)
@pytest.mark.parametrize("name", ["vae", "conv", "dlgm", "hvae"])
def test_a_model_that_sees_masks_codes_complete_data(name):
    shape = (4, 4, 1) if name == "conv" else (6,)
    moments = {"centre": jnp.full(shape, 0.4), "spread": jnp.full(shape, 0.5), "missing": "mask"}
    model = {
        "vae": lambda: vae(jr.key(1), shape, latents=2, hidden=(4,), **moments),
        "conv": lambda: vae(
            jr.key(1), shape, latents=2, hidden=(), architecture="conv", channels=(2,), init=0.3, **moments
        ),
        "dlgm": lambda: dlgm(jr.key(1), shape, layers=(2, 2), hidden=(4,), **moments),
        "hvae": lambda: hvae(jr.key(1), shape, layers=(3, 2), hidden=(4,), **moments),
    }[name]()
    x = bits(40, shape)
    assert np.array_equal(decompress(compress(model, x, layout=SMALL, verify=False), model), x)


def test_missing_entries_are_refused_for_what_they_are():
    model = vae(jr.key(1), (6,), latents=2, hidden=(4,), missing="mask")
    x = bits(5, (6,)).astype(np.float32)
    x[2, 3] = np.nan
    with pytest.raises(InputError, match="missing entries"):
        compress(model, x)


@pytest.mark.slow
def test_a_posterior_that_is_fitted_to_each_example_codes():
    net = gaussian_belief_net(jr.key(3), 5, (3,), functions=("probit",), visible="binary")
    model = belief_network_model(net, sweeps=4)
    x = bits(30, (5,))
    assert np.array_equal(decompress(compress(model, x, layout=SMALL, verify=False), model), x)


class _Shifted(Layer):
    """A normal around half of the sum of what is nearest."""

    reads: Reads
    size: int
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents, context=None):
        del context
        source = parents[0 if self.reads is Reads.NEAREST else -1]
        return Normal(0.5 * source.sum() * jnp.ones(self.size), 0.7 * jnp.ones(self.size))


class Own(Recognition):
    """A user's own: it takes in the example's running sums, and has no layers to train."""

    reads: tuple[Reads, ...]
    layers: ClassVar[tuple[Layer, ...]] = ()

    def see(self, x: Example) -> Array:
        return jnp.cumsum(jnp.ravel(as_example(x).values)) / 4.0

    def __call__(self, x: Example) -> Posterior:
        return Posterior(tuple(_Shifted(reads, 2) for reads in self.reads), self.see(x), as_example(x).context)


@pytest.mark.slow
@pytest.mark.parametrize("reads", [(Reads.FURTHEST, Reads.NEAREST), (Reads.FURTHEST, Reads.FURTHEST)])
def test_a_users_own_recognition_codes(reads):
    chain = hvae(jr.key(0), (6,), layers=(2, 2), hidden=(3,))
    model = Model(chain.generative, Own(reads))
    x = bits(60, (6,))
    assert np.array_equal(decompress(compress(model, x, layout=SMALL, verify=False), model), x)
    # a layer that reads its neighbour alone is drawn once the data are pushed, as Bit-Swap does
    then = ("push", 0) if reads[1] is Reads.NEAREST else ("pop", 2)
    assert Networks(model, (6,), 4).steps[:2] == [("pop", 1), then]


def test_it_codes_at_its_elbo():
    """2000 examples by a user's own recognition: within 1.5 % of the mean of log w by Monte Carlo, and a start.

    The standard error of that mean is under 0.3 % here.
    """
    decoder = Conditional(MLP(jr.key(0), (2, 6)), BernoulliHead((6,)))
    model = Model(Stack((decoder, StandardNormal(2))), Own((Reads.FURTHEST,)))
    x = bits(2000, (6,))

    @jax.jit
    def log_w(keys, rows):
        return jax.vmap(lambda key, row: jax.vmap(lambda k: model.draw(k, row).log_w)(jr.split(key, 16)).mean())(
            keys, rows
        )

    mean = -float(log_w(jr.split(jr.key(6), len(x)), x.astype(np.float32)).sum()) / NATS_PER_BIT
    coded = BlockCoder(Networks(model, (6,), 256), 256, 16).encode(x.astype(np.int64))
    assert abs(8 * len(coded.message) - mean) < 0.015 * mean + 400


def test_another_depth_in_q_than_in_p_is_refused():
    model = hvae(jr.key(0), (6,), layers=(2, 2), hidden=(3,))
    with pytest.raises(InputError, match="2 layers of latents in p, but 1 in q"):
        compress(Model(model.generative, Amortized(model.recognition.layers[:1])), bits(3, (6,)))


@pytest.mark.share(2)
@pytest.mark.parametrize("name", ["vae", "hvae"])
def test_a_model_that_has_diverged_is_refused_before_it_codes(name):
    model = {"vae": vae, "hvae": hvae}[name](jr.key(0), (6,))
    for value in (jnp.nan, jnp.inf):
        place = lambda m: m.generative.layers[0].net.layers[0].bias  # noqa: E731
        spoilt = eqx.tree_at(place, model, replace_fn=lambda bias, value=value: bias.at[0].set(value))
        with pytest.raises(InputError, match=r"not finite.*diverged"):
            compress(spoilt, bits(3, (6,)))


@pytest.mark.parametrize("bias", [1e20, 3e38])
def test_a_chain_whose_draws_run_away_is_refused(bias):
    """Finite parameters, draws that are infinite or of 1e20: the bins of the middle layer would have no ends."""
    model = hvae(jr.key(0), (6,), layers=(2, 2), hidden=(3,))
    where = lambda m: m.generative.layers[1].net.layers[-1].bias  # noqa: E731
    spoilt = eqx.tree_at(where, model, replace_fn=lambda was: jnp.full_like(was, bias))
    with pytest.raises(InputError, match="Draws of the model run away"):
        compress(spoilt, bits(3, (6,)))
