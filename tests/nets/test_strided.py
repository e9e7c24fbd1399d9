"""Convolutions of stride two and their transposes, divisive normalization, and where transforms begin."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.nets import DivisiveNorm, Down, Up
from nelbo.nets.packets import packets
from nelbo.nets.picture_transforms import PictureAnalysis, PictureSynthesis
from nelbo.nets.strided import strided, transposed

X = np.random.default_rng(0).normal(size=(6, 8, 3)).astype(np.float32)
both = jax.jit(lambda down, up, x: (down(x), up(x)))


@pytest.mark.parametrize("channels", [(3, 2), (16, 17)])  # few, and many, which go other ways
def test_they_are_the_strided_convolution_and_its_transpose(channels):
    before, after = channels
    down, up = Down(jr.key(0), before, after), Up(jr.key(1), before, after)
    x = np.random.default_rng(1).normal(size=(6, 8, before)).astype(np.float32)
    found = both(down, up, jnp.asarray(x))
    weight, padded = np.asarray(down.weight, float), np.pad(x, ((2, 2), (2, 2), (0, 0)))
    want = np.array([[np.einsum("abc,abco->o", padded[i : i + 5, j : j + 5], weight) for j in range(0, 8, 2)]
                     for i in range(0, 6, 2)])  # fmt: skip
    np.testing.assert_allclose(found[0], want, atol=1e-5)
    spread, weight = np.zeros((6 * 2 + 4, 8 * 2 + 4, after)), np.asarray(up.weight, float)
    for i in range(6):
        for j in range(8):
            spread[2 * i : 2 * i + 5, 2 * j : 2 * j + 5] += np.einsum("c,abco->abo", x[i, j], weight)
    np.testing.assert_allclose(found[1], spread[2:-2, 2:-2], atol=1e-5)


def test_their_slopes_are_those_of_the_formula():
    """Of each example, and of the sum over a batch, which is computed in another way."""
    rng = np.random.default_rng(2)
    small, large = (jnp.asarray(rng.normal(size=(2, *side, channels)), jnp.float32) for side, channels in (((2, 3), 17), ((4, 6), 3)))  # fmt: skip  # noqa: E501
    weight = jnp.asarray(rng.normal(size=(5, 5, 3, 17)), jnp.float32)

    def formula(x, weight):
        around = ((2, 2), (2, 2))
        return jax.lax.conv_general_dilated(x, weight, (2, 2), around, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    @jax.jit
    def slopes(small, large, weight):
        def product(x, y, weight):
            return jnp.vdot(y, strided(x, weight))

        def back(x, y, weight):
            return jnp.vdot(x, transposed(y, weight.swapaxes(2, 3)))

        def all_of(function):
            return lambda x, y, weight: jax.vmap(function, (0, 0, None))(x, y, weight).sum()

        places = (0, 1, 2)
        want = jax.grad(lambda x, y, weight: jnp.vdot(y, formula(x, weight)), places)(large, small, weight)
        batches = [jax.grad(all_of(one), places)(large, small, weight) for one in (product, back)]
        singles = [jax.grad(one, (0, 1))(large[1], small[1], weight) for one in (product, back)]
        return want, batches, singles

    want, batches, singles = slopes(small, large, weight)
    for found in batches:
        for own, right in zip(found, want, strict=True):
            np.testing.assert_allclose(own, right, atol=1e-4)
    for found in singles:
        for own, right in zip(found, want, strict=False):
            np.testing.assert_allclose(own, right[1], atol=1e-4)


def test_normalization_is_its_formula():
    norm, inverse = DivisiveNorm(3), DivisiveNorm(3, inverse=True)
    root = np.sqrt(1e-6 + 1.0 + X**2 @ (0.1 * np.eye(3) + 1e-4 * (1 - np.eye(3))))
    there, back = both(norm, inverse, jnp.asarray(X))
    np.testing.assert_allclose(there, X / root, rtol=1e-5)
    np.testing.assert_allclose(back, X * root, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("inverse", [False, True])
def test_its_slopes_are_those_of_the_formula(inverse):
    norm = DivisiveNorm(3, inverse=inverse)

    def plain(norm, x):
        energy = (x * x) @ norm.root_gamma**2 + (norm.root_beta**2)[None, None, :] + 1e-6
        return x * energy ** (0.5 if inverse else -0.5)

    slopes = [
        jax.jit(jax.grad(lambda n, x, f=f: (jnp.sin(f(n, x))).sum(), argnums=(0, 1)))(norm, jnp.asarray(X))
        for f in (lambda n, x: n(x), plain)
    ]
    for own, want in zip(*map(jax.tree.leaves, slopes), strict=True):
        np.testing.assert_allclose(own, want, rtol=1e-3, atol=1e-4)


def test_wavelet_packets_are_orthonormal_rows():
    """All 768 packets of 16 x 16 pixels: each halving's matrix has its inverse for a transpose."""
    taps, channels = packets((12, 48, 192, 768))
    assert [len(set(level)) for level in channels] == [12, 48, 192, 768]
    for own in taps:
        matrix = own[2:4, 2:4].reshape(-1, own.shape[-1])
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(own.shape[-1]), atol=1e-6)
    assert channels[-1][0] == (0, 0, 0)  # the strongest one: mean lightness


@pytest.mark.slow
def test_transforms_that_begin_as_wavelets_bring_smooth_pictures_back():
    rows, columns = np.mgrid[:64, :64]
    x = jnp.asarray(np.stack([60 + rows + columns, 200 - 2 * rows, 90 + columns], axis=-1), jnp.float32)

    @jax.jit
    def through(analysis, synthesis, x):
        return synthesis(analysis(x))

    errors = []
    for start in ("wavelet", "random"):
        back = through(PictureAnalysis(jr.key(0), 48, 128, start), PictureSynthesis(jr.key(1), 48, 128, start), x)
        errors.append(float(jnp.sqrt(jnp.mean((back - x)[16:-16, 16:-16] ** 2))))
    assert errors[0] < 8.0 < errors[1]
