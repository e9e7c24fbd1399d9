"""Convolutions of stride two as convolutions of stride one, divisive normalization, and where transforms begin."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.nets import DivisiveNorm, Down, Up
from nelbo.nets.packets import packets
from nelbo.nets.picture_transforms import PictureAnalysis, PictureSynthesis

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
