"""Variational tempering: likelihoods at temperatures above one, so that training passes poor local optima.

The temperature T of the likelihood is a random variable too, on a grid that begins at one:

    p(x, z, b | T) = p(b) prod_i p(x_i, z_i | b)^(1/T) / C(T).

Every update of variational Bayes stays as it is with E[1/T] in front of the likelihood, and

    q(T) ~ p(T) exp(E log p(x, z | b) / T - log C(T)).

C(T) = E_p(b) prod_i of the sum over x and z of p(x, z | b)^(1/T) is estimated once, from draws of the prior; without it
q(T) would run to an end of the grid. Source: Mandt, McInerney, Abrol, Ranganath and Blei (2016).
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from nelbo.core import AnyExample, InputError, choice, log_mean_exp
from nelbo.models import ConjugateGlobals
from nelbo.objectives import batch_mean, batch_size

TEMPERINGS = ("none", "annealed", "global", "local")
ROUNDS = 3  # between q(z) and q(T) of an example, in a step
MEMORY = 0.1  # weight of the newest batch in the running energy of the data set
Metrics = dict[str, Float[Array, ""]]


class Grid(eqx.Module):
    """Temperatures from one to the highest, evenly spaced in 1 / T, with a uniform prior.

    Args:
        highest: temperature.
        count: how many; one is no tempering.
    """

    highest: float = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuse impossible grids."""
        if not (1.0 <= self.highest <= 1e6 and 1 <= self.count <= 100_000):
            raise InputError(
                f"Temperatures reach from 1 to at most 1e6, 1 to 100,000 of them, got {self.highest} and {self.count}."
            )

    @property
    def powers(self) -> Float[Array, " m"]:
        """1 / T, from one down."""
        return jnp.linspace(1.0, 1.0 / self.highest, self.count, dtype=jnp.float32)

    def posterior(self, energy: Float[Array, ""], log_volume: Float[Array, " m"]) -> Float[Array, " m"]:
        """q(T) given E log p(x, z | b) and log C(T) [nats]."""
        return jax.nn.softmax(self.powers * energy - log_volume)

    def divergence(self, q: Float[Array, " m"]) -> Float[Array, ""]:
        """KL(q(T) || p(T)) [nats]."""
        return jnp.log(jnp.asarray(self.count, q.dtype)) - jax.scipy.special.entr(q).sum()


class Tempering(eqx.Module):
    """Abstract: the power 1 / temperature of the likelihood, from step to step."""

    @abc.abstractmethod
    def init(self, key: Key[Array, ""], shared: ConjugateGlobals) -> PyTree:
        """What is carried from step to step, before the first one."""

    @abc.abstractmethod
    def powers(
        self, shared: ConjugateGlobals, expected: PyTree, batch: AnyExample, carried: Any
    ) -> Float[Array, "*batch"]:
        """E[1 / temperature], one for the batch or one for each of its examples."""

    @abc.abstractmethod
    def after(
        self, shared: ConjugateGlobals, batch: AnyExample, carried: Any, energy: Float[Array, ""]
    ) -> tuple[PyTree, Metrics]:
        """What is carried to the next step, and metrics.

        Args:
            shared: the posterior.
            batch: of the step.
            carried: from the last step.
            energy: mean over the batch of E log p(x, z | b) [nats].
        """


class Untempered(Tempering):
    """Temperature one."""

    def init(self, key: Key[Array, ""], shared: ConjugateGlobals) -> None:
        """Nothing."""
        del key, shared

    def powers(self, shared: ConjugateGlobals, expected: PyTree, batch: AnyExample, carried: Any) -> Float[Array, ""]:
        """One."""
        del shared, expected, batch, carried
        return jnp.ones((), jnp.float32)

    def after(
        self, shared: ConjugateGlobals, batch: AnyExample, carried: Any, energy: Float[Array, ""]
    ) -> tuple[None, Metrics]:
        """Nothing."""
        del shared, batch, carried, energy
        return None, {}


class Annealed(Tempering):
    """A temperature that falls linearly to one (Katahira, Watanabe and Okada 2008).

    Args:
        highest: temperature of the first step.
        steps: at the end of which it is one.
    """

    highest: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    def init(self, key: Key[Array, ""], shared: ConjugateGlobals) -> Int[Array, ""]:
        """No step is done."""
        del key, shared
        return jnp.zeros((), jnp.int32)

    def powers(
        self, shared: ConjugateGlobals, expected: PyTree, batch: AnyExample, carried: Int[Array, ""]
    ) -> Float[Array, ""]:
        """By the count of steps."""
        del shared, expected, batch
        left = jnp.maximum(1.0 - carried.astype(jnp.float32) / self.steps, 0.0)
        return 1.0 / (1.0 + (self.highest - 1.0) * left)

    def after(
        self, shared: ConjugateGlobals, batch: AnyExample, carried: Int[Array, ""], energy: Float[Array, ""]
    ) -> tuple[Int[Array, ""], Metrics]:
        """One step more."""
        del shared, batch, energy
        return carried + 1, {}


class Heat(eqx.Module):
    """What a global temperature carries from step to step.

    Args:
        q: of the temperatures.
        energy: running mean of E log p(x, z | b) of an example [nats].
        log_volume: running mean over examples of log of the sum over x and z, for each draw of b [nats].
        count: steps done.
        volumes: see `ConjugateGlobals.volumes`.
    """

    q: Float[Array, " m"]
    energy: Float[Array, ""]
    log_volume: Float[Array, "draws m"]
    count: Int[Array, ""]
    volumes: PyTree


class Global(Tempering):
    """One temperature for all data, with a posterior.

    The energy of the data set and its normalizer are N times running means over batches; a batch that is the whole set
    gives them exactly, but for the draws.

    Args:
        grid: of temperatures.
        num_data: N.
        draws: of the prior, for C(T).
    """

    grid: Grid
    num_data: int = eqx.field(static=True)
    draws: int = eqx.field(static=True)

    def init(self, key: Key[Array, ""], shared: ConjugateGlobals) -> Heat:
        """The prior of the temperatures."""
        powers = self.grid.powers
        empty = jnp.zeros((self.draws, len(powers)), jnp.float32)
        volumes = shared.volumes(key, powers, self.draws)
        q = jnp.full(len(powers), 1.0 / len(powers), jnp.float32)
        return Heat(q, jnp.zeros((), jnp.float32), empty, jnp.zeros((), jnp.int32), volumes)

    def powers(self, shared: ConjugateGlobals, expected: PyTree, batch: AnyExample, carried: Heat) -> Float[Array, ""]:
        """E[1 / T]."""
        del shared, expected, batch
        return carried.q @ self.grid.powers

    def after(
        self, shared: ConjugateGlobals, batch: AnyExample, carried: Heat, energy: Float[Array, ""]
    ) -> tuple[Heat, Metrics]:
        """Q(T) given the energy."""
        count = carried.count + 1
        newest = jnp.maximum(1.0 / count.astype(jnp.float32), 1.0 if batch_size(batch) >= self.num_data else MEMORY)
        volume = batch_mean(jax.vmap(lambda x: shared.local.log_volume(carried.volumes, x))(batch), batch)
        energy = carried.energy + newest * (energy - carried.energy)
        volume = carried.log_volume + newest * (volume - carried.log_volume)
        log_c = log_mean_exp(self.num_data * volume, axis=0)
        q = self.grid.posterior(self.num_data * energy, log_c)
        normalizer = (carried.q @ log_c + self.grid.divergence(carried.q)) / self.num_data
        return Heat(q, energy, volume, count, carried.volumes), {"temperature_cost": normalizer}


class Local(Tempering):
    """A temperature for each example, with its posterior: what the model accounts for badly counts less.

    The normalizer is taken to factorize over examples, each with b drawn from its prior.

    Args:
        grid: of temperatures.
        draws: of the prior, for the normalizers.
    """

    grid: Grid
    draws: int = eqx.field(static=True)

    def init(self, key: Key[Array, ""], shared: ConjugateGlobals) -> PyTree:
        """Draws of the prior, as the model wants them."""
        return shared.volumes(key, self.grid.powers, self.draws)

    def powers(
        self, shared: ConjugateGlobals, expected: PyTree, batch: AnyExample, carried: PyTree
    ) -> Float[Array, " batch"]:
        """E[1 / T] of each example, by rounds of coordinate ascent between q(T) and q(z)."""
        powers = self.grid.powers

        def one(x: AnyExample) -> Float[Array, ""]:
            log_c = log_mean_exp(shared.local.log_volume(carried, x), axis=0)
            power = powers.mean()
            for _ in range(ROUNDS):
                energy = jax.grad(shared.local.bound, 2)(expected, x, power)
                power = self.grid.posterior(energy, log_c) @ powers
            return power

        return jax.lax.stop_gradient(jax.vmap(one)(batch))

    def after(
        self, shared: ConjugateGlobals, batch: AnyExample, carried: PyTree, energy: Float[Array, ""]
    ) -> tuple[PyTree, Metrics]:
        """The same draws."""
        del shared, batch, energy
        return carried, {}


def tempered(how: str, *, highest: float, count: int, steps: int, num_data: int, draws: int) -> Tempering:
    """A tempering by name.

    Args:
        how: see `TEMPERINGS`.
        highest: temperature.
        count: of temperatures, from one to the highest.
        steps: in which an annealed temperature falls to one.
        num_data: N, the number of training examples.
        draws: of the prior, for the normalizers.

    Raises:
        InputError: an unknown name or an impossible number.
    """
    choice("tempering", how, TEMPERINGS)
    grid = Grid(highest, count)
    if draws < 1:
        raise InputError(f"The normalizer of a temperature needs at least one draw of the prior, got {draws}.")
    if how == "annealed":
        return Annealed(highest, steps)
    if how == "global":
        return Global(grid, num_data, draws)
    return Local(grid, draws) if how == "local" else Untempered()
