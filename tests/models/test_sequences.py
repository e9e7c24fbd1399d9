"""Sequential models against joint Gaussians and Jacobians in float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from nelbo.core import Example, InputError
from nelbo.distributions import CholeskyNormal
from nelbo.models import Conditional, DynamicCodes, Known, Layer, Model, Posterior, Reads, Stack, build, skeleton
from nelbo.priors import JITTER, AutoregressiveFlow, RecentPast, RecurrentPast, independent_normals

TIME, CHANNELS, LATENTS, STATIC = 4, 3, 2, 2
SMALL = {"latents": LATENTS, "hidden": (), "likelihood": "gaussian-pixel"}
UNITS = {"centre": jnp.array([1.0, 0.0, -1.0]), "spread": jnp.array([2.0, 1.0, 0.5])}


def model(name="dsae", seed=5, shape=(TIME, CHANNELS), **options):
    static = {"static_latents": STATIC, "state_size": 4} if name == "dsae" else {}
    units = UNITS if len(shape) == 2 else {}
    return build(jr.key(seed), name, {"shape": list(shape), **SMALL, **static, **units, **options})


class Given(Layer):
    """q(z | f) of a joint Gaussian."""

    weight: jax.Array
    bias: jax.Array
    lower: jax.Array
    reads = Reads.ALL
    conditioned = False
    direct_weight = None
    is_linear_gaussian = False

    def __call__(self, parents, context=None):
        del context
        return CholeskyNormal(self.bias + self.weight @ parents[0], self.lower)


@eqx.filter_jit
def weight_of(made, x, exact):
    """Log w of a draw from the exact posterior, the model's own bound, and the decoder's matrix."""
    flat = exact.sample(jr.key(1))[0]
    z = (flat[0], flat[1].reshape(TIME, LATENTS))
    log_q = exact.log_prob(flat).sum()
    own = jax.vmap(lambda key: made.draw(key, x).log_w)(jr.split(jr.key(2), 400))
    return made.generative.log_prob(x, z).sum() - log_q, own


def joint(made):
    """Mean and covariance of (f, z, x), z and x frame by frame, in float64, from the decoder's numbers."""
    frames, prior = made.generative.layers[0], made.generative.layers[2]
    matrix = np.asarray(frames.net.matrix, np.float64)
    unit, centre = np.asarray(UNITS["spread"], np.float64), np.asarray(UNITS["centre"], np.float64)
    inner = frames.head.inner
    weight = unit[:, None] * matrix
    bias = centre + unit * np.asarray(frames.net.layers[0].bias, np.float64)
    noise = (unit * (inner.min_scale + inner.scale * np.exp(np.asarray(inner.raw_scale, np.float64)))) ** 2
    lengths = np.asarray(prior.kernels[0].lengths(), np.float64)
    apart = np.abs(np.arange(TIME)[:, None] - np.arange(TIME)[None])
    cov_z = np.zeros((TIME * LATENTS, TIME * LATENTS))
    for i, length in enumerate(lengths):
        cov_z[i::LATENTS, i::LATENTS] = np.exp(-apart / length) + JITTER * np.eye(TIME)
    latent = np.block([[np.eye(STATIC), np.zeros((STATIC, TIME * LATENTS))],
                       [np.zeros((TIME * LATENTS, STATIC)), cov_z]])  # fmt: skip
    reading = np.concatenate([np.tile(weight[:, LATENTS:], (TIME, 1)), np.kron(np.eye(TIME), weight[:, :LATENTS])], 1)
    return latent, reading, np.tile(bias, TIME), np.diag(np.tile(noise, TIME))


def test_a_linear_model_is_a_joint_gaussian():
    """Log w of a draw from the exact posterior of (f, z) is the evidence, whatever the draw; its own bound is below."""
    made = model(prior="ar1", posterior="factorized", static_encoder="pooled")
    observed = np.ones((TIME, CHANNELS), bool)
    observed[1], observed[2, 0] = False, False
    x = np.where(observed, np.asarray(jr.normal(jr.key(0), (TIME, CHANNELS))), 0.0).astype(np.float32)
    latent, reading, mean, noise = joint(made)
    seen = observed.ravel()
    reading, values = reading[seen], x.ravel()[seen] - mean[seen]
    cov = reading @ latent @ reading.T + noise[np.ix_(seen, seen)]
    evidence = multivariate_normal(np.zeros(len(cov)), cov).logpdf(values)
    gain = latent @ reading.T @ np.linalg.inv(cov)
    centre, left = gain @ values, latent - gain @ reading @ latent
    f, z = slice(0, STATIC), slice(STATIC, None)
    weight = left[z, f] @ np.linalg.inv(left[f, f])
    rest = left[z, z] - weight @ left[f, z]
    arrays = (weight, centre[z] - weight @ centre[f], np.linalg.cholesky(rest))
    given = Given(*(jnp.asarray(a, jnp.float32) for a in arrays))
    root = CholeskyNormal(*(jnp.asarray(a, jnp.float32) for a in (centre[f], np.linalg.cholesky(left[f, f]))))
    exact = Posterior((Known(root), given), jnp.zeros(1))
    found, own = weight_of(made, Example(jnp.asarray(x), jnp.asarray(observed)), exact)
    np.testing.assert_allclose(found, evidence, rtol=2e-4)
    # the bound of q, which is not exact: 400 draws, below by more than five standard errors
    assert own.mean() + 5 * own.std() / 20 < evidence


@pytest.mark.parametrize("kind", ["pooled", pytest.param("recurrent", marks=pytest.mark.slow)])
def test_a_pooled_code_does_not_depend_on_the_order_of_frames_and_a_recurrent_one_does(kind):
    """With independent dynamics the bound does not either."""
    order = jnp.array([2, 0, 3, 1])
    x = jr.normal(jr.key(3), (TIME, CHANNELS))

    @eqx.filter_jit
    def codes(made):
        found = []
        for series in (x, x[order]):
            q = made.posterior(series)
            f = q.part(0, ())
            z = q.part(1, (f.mean,))
            terms = made.generative.log_prob(series, (f.mean, z.mean))
            found.append((f.mean, f.variance, z.mean, terms))
        return found

    plain, moved = codes(model(posterior="factorized", prior="independent", static_encoder=kind))
    if kind == "recurrent":
        assert np.abs(plain[0] - moved[0]).max() > 1e-3
        return
    for one, other in zip((plain[0], plain[1], plain[2][order], plain[3]), moved, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def pasts():
    """Flows away from the identity, one of each kind."""
    for past in (RecurrentPast(jr.key(0), 2, 3), RecentPast(jr.key(1), (2,), 2), RecentPast(jr.key(2), (2, 2, 1), 2)):
        leaves, structure = jax.tree.flatten(past)
        keys = jr.split(jr.key(4), len(leaves))
        yield jax.tree.unflatten(
            structure, [leaf + 0.3 * jr.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
        )


@pytest.mark.parametrize("past", [pytest.param(past, id=str(i)) for i, past in enumerate(pasts())])
def test_the_log_determinant_is_that_of_the_jacobian(past):
    """And drawing undoes whitening, and a series goes on from its middle as from its beginning."""
    frame = (2, 2, 1) if isinstance(past, RecentPast) and len(past.frame) == 3 else (2,)
    size = int(np.prod(frame))

    @jax.jit
    def answers(y):
        base = independent_normals(4, size)
        flow = AutoregressiveFlow(base, past)
        x = flow.unrolled(y)[0]
        back, log_scale = flow.whitened(x)
        jacobian = jax.jacfwd(lambda flat: jnp.ravel(flow.unrolled(flat.reshape(y.shape))[0]))(jnp.ravel(y))
        later = AutoregressiveFlow(base, past, past.after(x[:2])).unrolled(y[2:])[0]
        return x, back, log_scale, jacobian, later

    y = jr.normal(jr.key(9), (4, *frame))
    x, back, log_scale, jacobian, later = answers(y)
    sign, log_det = np.linalg.slogdet(np.asarray(jacobian, np.float64))
    assert sign == 1.0
    assert abs(log_det) > 0.1
    np.testing.assert_allclose(log_scale.sum(), log_det, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(back, y, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(later, x[2:], rtol=1e-4, atol=1e-5)
    assert np.abs(np.triu(jacobian, 1)).max() < 1e-6


@eqx.filter_jit
def log_w(made, x):
    return made.draw(jr.key(7), x).log_w


@pytest.mark.parametrize("base", ["normal", *(pytest.param(one, marks=pytest.mark.slow) for one in ("gp-vae", "dsae"))])
def test_a_constant_flow_is_its_base(base):
    """With mu = 0 and s = 1 of every frame log w is that of the model below, for the same draw."""
    made = model("sequence-flow", base=base)
    last = lambda m: m.generative.layers[0].past.layers.layers[-1]  # noqa: E731
    zero = jax.tree.map(jnp.zeros_like, last(made))
    flat = eqx.tree_at(last, made, zero)
    layers = (made.generative.layers[0].inner, *made.generative.layers[1:])
    below = Model(Stack(layers), made.recognition if base == "normal" else made.recognition.inner)
    observed = jr.bernoulli(jr.key(1), 0.8, (TIME, CHANNELS))
    x = Example(jnp.where(observed, jr.normal(jr.key(2), (TIME, CHANNELS)), 0.0), observed)
    np.testing.assert_allclose(log_w(flat, x), log_w(below, x), rtol=1e-5)
    # s = e of every frame: the density of x is that of x / e, over e for every observed number
    wide = eqx.tree_at(lambda m: last(m).bias, flat, zero.bias.at[CHANNELS:].set(4.0 * np.arctanh(0.25)))
    scaled = Example((x.values / np.e).astype(jnp.float32), observed)
    np.testing.assert_allclose(log_w(wide, x), log_w(below, scaled) - float(observed.sum()), rtol=1e-4)


def test_a_flow_without_latents_has_its_likelihood_frame_by_frame():
    """In NumPy: N(x_t; mu(x_<t) + s m, s sigma), with mu and s read off the model at each frame's past."""
    made = model("sequence-flow", base="normal", flow_hidden=(3,))
    layers, head = made.generative.layers[0].past.layers.layers, made.generative.layers[0].inner.head
    first, second = ((np.asarray(one.kernel, np.float64), np.asarray(one.bias, np.float64)) for one in layers)
    unit, centre = (np.asarray(UNITS[name], np.float64) for name in ("spread", "centre"))
    scale = unit * (head.inner.min_scale + head.inner.scale)
    x = np.asarray(jr.normal(jr.key(4), (TIME, CHANNELS)), np.float64)
    past, total = np.zeros((2, CHANNELS)), 0.0
    for frame in x:
        h = past.ravel() @ first[0] + first[1]
        shift, raw = np.split((h / (1 + np.exp(-h))) @ second[0] + second[1], 2)
        s = np.exp(4 * np.tanh(raw / 4))
        total += multivariate_normal(unit * shift + s * centre, np.diag((s * scale) ** 2)).logpdf(frame)
        past = np.stack([past[1], (frame - centre) / unit])
    np.testing.assert_allclose(made.log_prob(jnp.asarray(x, jnp.float32)), total, rtol=1e-4)


@pytest.mark.slow  # the base's own likelihood is in test_series.py, the flow's part in the tests above
def test_a_flow_on_the_state_space_model_has_an_exact_likelihood():
    made = model("sequence-flow", base="state-space")
    x = jr.normal(jr.key(0), (TIME, CHANNELS))
    exact, log_w = eqx.filter_jit(lambda m: (m.log_prob(x), m.draw(jr.key(1), x).log_w))(made)
    np.testing.assert_allclose(log_w, exact, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("dsae", {"shape": (1, 3)}, "a sequence of one frame"),
        ("dsae", {"shape": (3, 4, 5)}, "takes windows of time x channels"),
        ("dsae", {"prior": "arima"}, "prior of sequences"),
        ("dsae", {"posterior": "banded"}, "posterior of sequences"),
        ("dsae", {"irregular": True}, "use ar1"),
        ("sequence-flow", {"base": "gp-vae", "shape": (2, 4, 4, 1)}, "not pictures"),
        ("sequence-flow", {"likelihood": "bernoulli"}, "normal likelihood"),
        ("sequence-flow", {"base": "normal", "irregular": True}, "irregular"),
        ("sequence-flow", {"order": -1}, "order"),
    ],
)
def test_options_that_make_no_sense_are_refused(name, options, said):
    with pytest.raises(InputError, match=f"(?i){said}"):
        model(name, **options)


def test_layers_say_what_they_read():
    made = skeleton("dsae", {"shape": [TIME, CHANNELS], "state_size": 4})
    assert [layer.reads for layer in made.generative.layers] == [Reads.ALL, Reads.NONE, Reads.NONE]
    static, dynamic = made.recognition.layers
    assert isinstance(static, Conditional)
    assert isinstance(dynamic, DynamicCodes)
    assert made.recognition.reads == (Reads.FURTHEST, Reads.ALL)
