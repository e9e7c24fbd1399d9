"""Hamiltonian dynamics, from blackjax, with a step size that is learned while the chain warms up."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from nelbo.samplers.kernel import Info, Kernel, Position

LEAPFROGS = 8
_JITTER = 0.2  # the step size is up to this share off at random, so that no orbit closes


class HamiltonianState(eqx.Module):
    """Where a chain is, and what it has learned.

    Args:
        inner: blackjax's state: position, log density and gradient.
        adaptation: blackjax's state of the step size.
        count: of the steps so far.
    """

    inner: Any
    adaptation: Any
    count: Int[Array, ""]


class Hamiltonian(Kernel[HamiltonianState]):
    """Trajectories of Hamiltonian dynamics with unit masses (Neal 2011), for trees of real arrays.

    During the first `warmup` steps the step size is learned by dual averaging (Hoffman and Gelman 2014, section 3.2);
    what the chain visits then is no sample. After that it is held, so that the chain leaves the density as it is.

    Args:
        log_density: up to a constant [nats].
        warmup: steps that learn.
        leapfrogs: steps of a trajectory.
        first_step: step size at the start, and for good where nothing is learned.
        target: the acceptance that is aimed at.
    """

    log_density: Callable[[Position], Float[Array, ""]]
    warmup: int = eqx.field(static=True, default=0)
    leapfrogs: int = eqx.field(static=True, default=LEAPFROGS)
    first_step: float | Float[Array, ""] = 0.2
    target: float = eqx.field(static=True, default=0.7)

    def init(self, position: Position) -> HamiltonianState:
        """The state at a position."""
        from blackjax.mcmc import hmc  # imports slowly, and only this needs it

        first, _, _ = self._adaptation()
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            learned = first(jnp.asarray(self.first_step, jnp.float32))
            inner = hmc.init(position, self.log_density)
        learned = learned._replace(
            **{name: jnp.asarray(value, jnp.float32) for name, value in learned._asdict().items()}
        )
        return HamiltonianState(inner, learned, jnp.zeros((), jnp.int32))

    def step(self, key: Key[Array, ""], state: HamiltonianState) -> tuple[HamiltonianState, Info]:
        """One trajectory; `accepted` is the probability of its end, zero where the dynamics diverged."""
        _, update, final = self._adaptation()
        move_key, jitter_key = jr.split(key)
        units = sum(leaf.size for leaf in jax.tree.leaves(state.inner.position))
        learns = state.count < self.warmup
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            held = final(state.adaptation) if self.warmup else jnp.asarray(self.first_step, jnp.float32)
            size = jnp.where(learns, jnp.exp(state.adaptation.log_step_size), held)
            size = size * jr.uniform(jitter_key, dtype=jnp.float32, minval=1.0 - _JITTER, maxval=1.0 + _JITTER)
            inner, info = self._moved(move_key, state.inner, size, jnp.ones(units, jnp.float32))
            accepted = jnp.where(jnp.isfinite(info.acceptance_rate), info.acceptance_rate, 0.0)
            if not self.warmup:
                return HamiltonianState(inner, state.adaptation, state.count + 1), Info(accepted)
            updated = update(state.adaptation, accepted)
        adaptation = jax.tree.map(
            lambda new, old: jnp.where(learns, new.astype(old.dtype), old), updated, state.adaptation
        )
        return HamiltonianState(inner, adaptation, state.count + 1), Info(accepted)

    def position(self, state: HamiltonianState) -> Position:
        """Where a chain is."""
        return state.inner.position

    def _moved(self, key: Key[Array, ""], inner: Any, size: Array, masses: Array) -> tuple[Any, Any]:
        """Blackjax's next state, and what it tells of the step."""
        from blackjax.mcmc import hmc

        kernel: Any = hmc.build_kernel()
        return kernel(key, inner, self.log_density, size, masses, self.leapfrogs)

    def _adaptation(self) -> tuple[Any, Any, Any]:
        from blackjax.adaptation.step_size import dual_averaging_adaptation

        return dual_averaging_adaptation(self.target)


class NoUTurn(Hamiltonian):
    """The same with trajectories that end where they turn back: the no-U-turn sampler (Hoffman and Gelman 2014).

    `leapfrogs` is the most that a trajectory may take, rounded up to a power of two. Chains under `jax.vmap` wait for
    the longest trajectory among them: for many short chains `Hamiltonian` costs less.
    """

    def _moved(self, key: Key[Array, ""], inner: Any, size: Array, masses: Array) -> tuple[Any, Any]:
        from blackjax.mcmc import nuts

        kernel: Any = nuts.build_kernel()
        doublings = max(1, math.ceil(math.log2(self.leapfrogs)))
        # as plain numbers: blackjax carries a used key through a conditional, where JAX's checker suspects a second use
        numbers = jr.key_data(jr.clone(key))
        return kernel(numbers, inner, self.log_density, size, masses, max_num_doublings=doublings)
