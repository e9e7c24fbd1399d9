"""A small run for the tests of the loop, and how to compare two runs."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.scipy.stats import norm

from nelbo.data import Split, source
from nelbo.models import linear
from nelbo.objectives import Sgvb, WarmUp
from nelbo.training import fit, load_state, optimizer, save_state


class Location(eqx.Module):
    """log N(x; mean, 1), summed over dimensions: the smallest model that trains."""

    mean: jax.Array
    depth: ClassVar[int] = 0

    def log_prob(self, x):
        return norm.logpdf(x.values, self.mean).sum()


def rows(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32) + 1.0


def location():
    return Location(jnp.zeros(4))


STEPS, EVERY = 25, 10


def train(**changes):
    """25 steps of an auto-encoder on 33 rows, evaluated at steps 10, 20 and 25."""
    settings = {
        "model": linear(jr.key(1), (4,), latents=2),
        "objective": Sgvb("B", beta=WarmUp(1.0, 10)),
        "data": source(Split(rows(33)), "real"),
        "optimizer": optimizer("adam", learning_rate=0.01),
        "steps": STEPS,
        "batch_size": 8,
        "valid": source(Split(rows(9, seed=1)), "real"),
        "evaluate_every": EVERY,
        "chunk": 4,
    } | changes
    positional = [settings.pop(name) for name in ("model", "objective", "data", "optimizer")]
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats with its integer step count
        return fit(jr.key(0), *positional, **settings)


class Keep:
    """A callback that writes a checkpoint at every event and remembers which."""

    def __init__(self, folder):
        self.folder, self.events = folder, []

    def __call__(self, event, state):
        self.events.append((event, state.step))
        save_state(self.path(event, state.step), state)

    def path(self, event, step):
        return self.folder / f"{event}-{step}.safetensors"

    def resume(self, event, step):
        return lambda fresh: load_state(self.path(event, step), fresh)


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def without_time(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def assert_same_bits(first, second, *, other_program=False):
    """Two runs ended in the same bits: parameters, optimizer, objective, best parameters, history.

    With `other_program`, XLA compiled the two separately: with JAX 0.7 they then agree to rounding only.
    """
    if other_program and jax.__version_info__ < (0, 8):
        for one, other in zip(leaves(first.state.carry), leaves(second.state.carry), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
        for one, other in zip(without_time(first.history), without_time(second.history), strict=True):
            assert one == pytest.approx(other, rel=1e-4)
        return
    for a, b in ((first.state.carry, second.state.carry), (first.state.best, second.state.best)):
        for one, other in zip(leaves(a), leaves(b), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(leaves(first.model), leaves(second.model), strict=True):
        np.testing.assert_array_equal(one, other)
    assert without_time(first.history) == without_time(second.history)
