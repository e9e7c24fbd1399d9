import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from nelbo.core import InputError
from nelbo.nets import MLP, Conv, ConvDecoder, ConvEncoder, Frozen, depth_to_space, space_to_depth, trainable


def test_mlp_is_its_formula():
    net = MLP(jr.key(0), (3, 4, 2), activation="relu")
    x = np.array([0.5, -1.0, 2.0], np.float32)
    first, second = net.layers
    hidden = np.maximum(np.asarray(first.weight) @ x + np.asarray(first.bias), 0.0)
    np.testing.assert_allclose(net(jnp.asarray(x)), np.asarray(second.weight) @ hidden + second.bias, rtol=1e-5)


def test_a_context_joins_the_input_and_only_a_network_without_hidden_layers_is_a_matrix():
    net = MLP(jr.key(0), (3, 2))
    x, context = jnp.array([3.0, -2.0]), jnp.array([0.5])
    np.testing.assert_allclose(net(x, context), net(jnp.array([3.0, -2.0, 0.5])), rtol=1e-6)
    np.testing.assert_array_equal(net.matrix, net.layers[0].weight)
    assert MLP(jr.key(0), (3, 2, 2)).matrix is None
    encoder = ConvEncoder(jr.key(0), (4, 4, 1), (2,), 3, context_size=1)
    picture = jnp.ones((4, 4, 1))
    assert (encoder(picture, context) != encoder(picture, 2.0 * context)).all()
    assert encoder.matrix is None


def test_trainable_leaves_integers_and_everything_under_frozen_alone():
    tree = {"a": jnp.ones(2), "b": jnp.ones(2, jnp.int32), "c": Frozen(jnp.ones(2)), "d": "name"}
    marks = trainable(tree)
    assert (marks["a"], marks["b"], marks["c"].value, marks["d"]) == (True, False, False, False)


@pytest.mark.parametrize("init", ["glorot", 0.1])
def test_initial_weights_have_the_stated_spread(init):
    """H0: the variance is the scheme's; the sample variance of 30000 draws lies within 5 of its standard errors."""
    net = MLP(jr.key(1), (200, 150), init=init)
    weights = np.asarray(net.layers[0].weight, np.float64).ravel()
    variance = 2 / 350 if init == "glorot" else 0.01
    kurtosis = 1.8 if init == "glorot" else 3.0
    error = variance * np.sqrt((kurtosis - 1) / weights.size)
    assert abs((weights**2).mean() - variance) < 5 * error


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="did you mean 'tanh'"):
        MLP(jr.key(0), (2, 2), activation="tahn")
    with pytest.raises(InputError, match="initialization"):
        MLP(jr.key(0), (2, 2), init="glorto")


@pytest.mark.parametrize(("h", "w", "c", "factor"), [(2, 3, 1, 2), (1, 2, 3, 3)])
def test_pixel_shuffle_undoes_space_to_depth(h, w, c, factor):
    x = jnp.arange(float(h * w * c * factor**2)).reshape(h * factor, w * factor, c)
    deep = space_to_depth(x, factor)
    assert deep.shape == (h, w, c * factor**2)
    np.testing.assert_array_equal(depth_to_space(deep, factor), x)
    # a block of pixels becomes the channels of one place
    np.testing.assert_array_equal(np.sort(deep[0, 0]), np.sort(np.asarray(x[:factor, :factor]).ravel()))


def test_convolution_is_the_sum_over_its_window():
    conv = Conv(jr.key(0), 2, 3)
    x = np.asarray(jr.normal(jr.key(1), (4, 5, 2)))
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    window = padded[2:5, 1:4]  # around pixel (2, 1)
    exact = np.einsum("hwi,hwio->o", window, np.asarray(conv.weight)) + np.asarray(conv.bias)
    np.testing.assert_allclose(conv(jnp.asarray(x))[2, 1], exact, rtol=1e-4, atol=1e-5)


@pytest.mark.share(2)
@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 7, 3), (1, 3, 2)])
def test_convolutional_pair_fits_any_size(shape):
    encoder = ConvEncoder(jr.key(0), shape, (2, 3), 4, hidden=(5,))
    decoder = ConvDecoder(jr.key(1), 4, (2, 3), shape, planes=2, hidden=(5,))
    code = jax.eval_shape(encoder, jnp.zeros(shape))
    assert code.shape == (4,)
    assert jax.eval_shape(decoder, code).shape == (2 * np.prod(shape),)


def test_decoder_output_is_parameter_major():
    """The first half of the flat output is the first parameter of every pixel: what a head expects."""
    shape = (3, 2, 1)
    decoder = ConvDecoder(jr.key(1), 2, (2,), shape, planes=2)
    one = decoder.convs[-1]
    # only the channels of plane 0 get a bias: within each 2 x 2 block the channel order is (place, plane)
    bias = jnp.asarray(np.tile([1.0, 0.0], 4), jnp.float32)
    quiet = jax.tree.map(jnp.zeros_like, decoder)
    flat = _with_bias(quiet, one, bias)(jnp.zeros(2))
    np.testing.assert_array_equal(flat, np.repeat([1.0, 0.0], 6))


def _with_bias(decoder, conv, bias):
    import equinox as eqx

    assert conv.bias.shape == bias.shape
    return eqx.tree_at(lambda d: d.convs[-1].bias, decoder, bias)


@pytest.mark.parametrize(("shape", "channels"), [((4, 4), (2,)), ((4, 4, 1), ())])
def test_convolutions_say_what_they_need(shape, channels):
    with pytest.raises(InputError, match="convolutional network needs"):
        ConvEncoder(jr.key(0), shape, channels, 2)


def test_frozen_arrays_survive_an_optimizer_with_weight_decay():
    import equinox as eqx

    net = (MLP(jr.key(0), (2, 3)), Frozen(jnp.array([1.0, 2.0])))
    params, static = eqx.partition(net, trainable(net))
    optimizer = optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.1))
    grads = jax.grad(lambda p: eqx.combine(p, static)[0](jnp.ones(2)).sum())(params)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    after = eqx.combine(optax.apply_updates(params, updates), static)
    np.testing.assert_array_equal(after[1].value, net[1].value)
    assert (after[0].layers[0].weight != net[0].layers[0].weight).all()
