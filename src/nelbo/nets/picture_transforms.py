"""Transforms of learned image codecs: pictures to latents, latents to hyper-latents, and both inverse directions."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.nets.convolution import Conv
from nelbo.nets.packets import packets, spread
from nelbo.nets.strided import DivisiveNorm, Down, Up

MIDDLE_GREY, RANGE = 128.0, 64.0  # grey level that is subtracted, and by how many the rest is divided
PICTURE_LEVELS, HYPER_LEVELS = 4, 2  # halvings of the picture, and of the latents
USUAL_LOG_STEP = 3.0  # log2 of the step at which a latent's unit is one, in grey levels of an orthonormal transform
PICTURE_STARTS = ("wavelet", "random")
_SCALE = RANGE / 2.0**USUAL_LOG_STEP  # of latents that are orthonormal coefficients, to steps
_RANDOM_SCALES = (4.0, 2.0)  # of latents at a random start, about, and of hyper-latents
_LITTLE = 0.05  # random weights beside those of wavelet packets


def log_spreads(filters: int, latents: int, start: str) -> np.ndarray:
    """About log2 of the latents' deviations at the start, in steps, `(latents,)`."""
    found = np.full(latents, math.log2(_RANDOM_SCALES[0]))
    if start == "wavelet":
        kept = packets((*[filters] * (PICTURE_LEVELS - 1), latents))[1][-1]
        found[: len(kept)] = [spread(channel, PICTURE_LEVELS) - USUAL_LOG_STEP for channel in kept]
        found[len(kept) :] = 0.0
    return found


def _chain(
    kind: Callable[..., Any], keys: Key[Array, " layers"], sizes: Sequence[int], gains: Sequence[float]
) -> tuple:
    """Layers one after another, each with its key and gain, from each number of channels to the next."""
    each = zip(keys, sizes[:-1], sizes[1:], gains, strict=True)
    return tuple(kind(key, inputs, outputs, gain=gain) for key, inputs, outputs, gain in each)


def _norms(filters: int, start: str, *, inverse: bool) -> tuple[DivisiveNorm, ...]:
    """The normalizations between the layers of a picture transform; they begin linear where wavelets are to begin."""
    one = lambda: DivisiveNorm(filters, inverse=inverse, linear=start == "wavelet")  # noqa: E731
    return tuple(one() for _ in range(PICTURE_LEVELS - 1))


def _wavelets(layers: Sequence[Down] | Sequence[Up], taps: list[np.ndarray], *, back: bool) -> tuple:
    """The layers with wavelet packets for weights, and a little of their random ones."""
    made = []
    for number, (layer, own) in enumerate(zip(layers, taps, strict=True)):
        table = own.transpose(0, 1, 3, 2) if back else own
        last = number == PICTURE_LEVELS - 1
        scale = (1.0 / _SCALE if not number else 1.0) if back else (_SCALE if last else 1.0)
        # what no packet is for goes back as nothing, and learns from there
        there = np.any(table, axis=(0, 1, 3)) if back else np.ones(table.shape[2], bool)
        little = layer.weight * jnp.asarray(_LITTLE * there, jnp.float32)[None, None, :, None]
        made.append(eqx.tree_at(lambda one: one.weight, layer, scale * jnp.asarray(table) + little))
    return tuple(made)


class PictureAnalysis(eqx.Module):
    """From a picture to latents before they are divided by their unit.

    Args:
        key: for the weights.
        filters: channels inside.
        latents: channels that come out.
        start: "wavelet" or "random".
    """

    downs: tuple[Down, ...]
    norms: tuple[DivisiveNorm, ...]

    def __init__(self, key: Key[Array, ""], filters: int, latents: int, start: str) -> None:
        sizes = (3, *[filters] * (PICTURE_LEVELS - 1), latents)
        gains = (*[1.2] * (PICTURE_LEVELS - 1), _RANDOM_SCALES[0])
        downs = _chain(Down, jr.split(key, PICTURE_LEVELS), sizes, gains)
        self.downs = _wavelets(downs, packets(sizes[1:])[0], back=False) if start == "wavelet" else downs
        self.norms = _norms(filters, start, inverse=False)

    def __call__(self, x: Float[Array, "h w 3"]) -> Float[Array, "rows columns latents"]:
        """Apply to one picture, 0 .. 255."""
        y = (x - MIDDLE_GREY) / RANGE
        for down, norm in zip(self.downs[:-1], self.norms, strict=True):
            y = norm(down(y))
        return self.downs[-1](y)


class PictureSynthesis(eqx.Module):
    """The way back, to grey levels.

    Args:
        key: for the weights.
        filters: channels inside.
        latents: channels that go in.
        start: "wavelet" or "random".
    """

    ups: tuple[Up, ...]
    norms: tuple[DivisiveNorm, ...]

    def __init__(self, key: Key[Array, ""], filters: int, latents: int, start: str) -> None:
        sizes = (latents, *[filters] * (PICTURE_LEVELS - 1), 3)
        gains = (1.0 / _RANDOM_SCALES[0], *[0.8] * (PICTURE_LEVELS - 1))
        ups = _chain(Up, jr.split(key, PICTURE_LEVELS), sizes, gains)
        taps = packets(sizes[-2::-1])[0][::-1]
        self.ups = _wavelets(ups, taps, back=True) if start == "wavelet" else ups
        self.norms = _norms(filters, start, inverse=True)

    def __call__(self, y: Float[Array, "rows columns latents"]) -> Float[Array, "h w 3"]:
        """Apply to the latents of one picture."""
        for up, norm in zip(self.ups[:-1], self.norms, strict=True):
            y = norm(up(y))
        return self.ups[-1](y) * RANGE + MIDDLE_GREY


class HyperAnalysis(eqx.Module):
    """From latents to hyper-latents.

    Args:
        key: for the weights.
        filters: channels inside.
        outputs: channels that come out.
        log_spreads: about log2 of the latents' deviations.
        magnitudes: whether signs are left out.
    """

    first: Conv
    downs: tuple[Down, ...]
    magnitudes: bool = eqx.field(static=True)

    def __init__(
        self, key: Key[Array, ""], filters: int, outputs: int, log_spreads: np.ndarray, *, magnitudes: bool
    ) -> None:
        keys = jr.split(key, 1 + HYPER_LEVELS)
        first = Conv(keys[0], log_spreads.size, filters)
        less = jnp.asarray(np.exp2(-log_spreads)[:, None], jnp.float32)
        self.first = eqx.tree_at(lambda conv: conv.weight, first, first.weight * less[None, None])
        self.downs = _chain(Down, keys[1:], (filters, filters, outputs), (1.4, 1.4 * _RANDOM_SCALES[1]))
        self.magnitudes = magnitudes

    def __call__(self, y: Float[Array, "rows columns latents"]) -> Float[Array, "rows4 columns4 outputs"]:
        """Apply to the latents of one picture, in units."""
        z = self.first(jnp.abs(y) if self.magnitudes else y)
        for down in self.downs:
            z = down(jax.nn.relu(z))
        return z


class HyperSynthesis(eqx.Module):
    """From hyper-latents to log2 of the latents' deviations, after their means where these come out too.

    Args:
        key: for the weights.
        filters: channels of the hyper-latents, and inside.
        log_spreads: about log2 of the latents' deviations.
        means: whether means come out too.
    """

    ups: tuple[Up, ...]
    last: Conv

    def __init__(self, key: Key[Array, ""], filters: int, log_spreads: np.ndarray, *, means: bool) -> None:
        keys = jr.split(key, 1 + HYPER_LEVELS)
        self.ups = _chain(Up, keys[:-1], (filters,) * (HYPER_LEVELS + 1), (1.4 / _RANDOM_SCALES[1], 1.4))
        last = Conv(keys[-1], filters, (1 + means) * log_spreads.size)
        size, nothing = 0.3 * np.ones(log_spreads.size), np.zeros(log_spreads.size)
        sizes = np.concatenate([0.05 * np.exp2(log_spreads), size]) if means else size
        bias = np.concatenate([nothing, log_spreads]) if means else log_spreads
        weight = last.weight * jnp.asarray(sizes, jnp.float32)[None, None, None, :]
        self.last = eqx.tree_at(lambda conv: (conv.weight, conv.bias), last, (weight, jnp.asarray(bias, jnp.float32)))

    def __call__(self, z: Float[Array, "rows4 columns4 filters"]) -> Float[Array, "rows columns outputs"]:
        """Apply to the hyper-latents of one picture."""
        for up in self.ups:
            z = jax.nn.relu(up(z))
        return self.last(z)
