"""Perturbative bounds: the Taylor series of exp around a reference energy, cut off at an odd order."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int, Key

from nelbo.core import AnyExample, Example, InputError
from nelbo.distributions import example_shape
from nelbo.models import Model
from nelbo.nets import MLP
from nelbo.objectives.base import (
    BoundKind,
    Loss,
    Objective,
    ObjectiveState,
    batch_mean,
    bound_metrics,
    over_batch,
    require_reparameterized,
)
from nelbo.objectives.draws import checked_draws, each_draw

DECAY = 0.9  # of the moving averages of energies
HALVINGS = 40  # of the interval in which the best reference energy of some draws lies


def taylor(d: Float[Array, "*n"], order: int) -> Float[Array, "*n"]:
    """1 + d + d^2 / 2 + .. + d^K / K!: for odd K never above exp(d), for even K never below zero."""
    total = jnp.ones_like(d)
    for k in range(order, 0, -1):
        total = 1.0 + total * d / k
    return total


def best_reference(energies: Float[Array, " k"], order: int) -> Float[Array, ""]:
    """The reference energy V0 with the highest series over some draws: the root of sum_k (V0 - V_k)^K [nats]."""

    def halve(_: Int[Array, ""], ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        d = middle - energies
        above = ((d / jnp.maximum(jnp.abs(d).max(), 1e-30)) ** order).sum() > 0  # no power overflows
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, HALVINGS, halve, (energies.min(), energies.max()))
    return 0.5 * (low + high)


def perturbative_bound(energies: Float[Array, " k"], order: int) -> Float[Array, ""]:
    """Log L_K of some draws at their best reference energy [nats]: at most log (1/k) sum exp(-V) of the same draws."""
    reference = best_reference(energies, order)
    return jnp.log(taylor(reference - energies, order).mean()) - reference


class Energies(eqx.Module):
    """Moving averages over training steps.

    Args:
        mean: of V [nats].
        square: of V^2 [nats^2].
        weight: that they have by now; 0 before the first step.
    """

    mean: Float[Array, ""]
    square: Float[Array, ""]
    weight: Float[Array, ""]


class Perturbative(Objective):
    """Log L_K, L_K = e^-V0 E_q[sum_{k<=K} (V0 - V)^k / k!], V = log q(z|x) - log p(x, z) (Bamler et al. 2017).

    For odd K the series stays below exp, so L_K <= p(x) for every reference energy V0. K = 1 is the evidence lower
    bound, with the gradient of SGVB whatever V0 is. Higher orders weigh the posterior's tails more, as
    importance-weighted bounds do: q covers heavy ones that the evidence lower bound cuts off. The cost is noise, which
    grows with the number of latents.

    V0(x) is learned: a network of what q sees, in units of the energies' moving spread around their moving mean, with
    the gradient dL_K / dV0 = -e^-V0 E[(V0 - V)^K] / K!. The common factor e^-V0 is left out of all gradients. Where the
    series over an example's draws is not positive, V0 is far off: for that step the best V0 of these draws takes its
    place, and it is drawn towards their mean.

    The reported bound takes the best V0 of each example's draws. Every term of it is below that of the importance-
    weighted bound of the same draws, so its mean is a lower bound too.

    Args:
        order: K, odd.
        num_samples: draws of z for each example.
        hidden: width of the hidden layer of V0's network.
        draws: "iid" or "sobol", see `nelbo.objectives.DRAWS`.
    """

    references: ClassVar[tuple[str, ...]] = ("bamler2017",)
    kind: ClassVar[BoundKind] = "lower"
    order: int = eqx.field(static=True, default=3)
    num_samples: int = eqx.field(static=True, default=8)
    hidden: int = eqx.field(static=True, default=100)
    draws: str = eqx.field(static=True, default="iid")

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if self.order < 1 or self.order % 2 == 0:
            raise InputError(f"A perturbative series is a bound for odd orders alone (1, 3, 5), got {self.order}.")
        if min(self.num_samples, self.hidden) < 1:
            raise InputError(
                f"A perturbative bound needs at least one sample and one hidden unit, got {self.num_samples} and "
                f"{self.hidden}."
            )
        checked_draws(self.draws, self.num_samples)

    def init(self, key: Key[Array, ""], model: Model) -> ObjectiveState:
        """The network of V0, and no energy seen yet."""
        shape = example_shape(model.generative.shapes()[0])
        seen = jax.eval_shape(model.recognition.see, Example(jax.ShapeDtypeStruct(shape, jnp.float32))).shape
        zero = jnp.zeros((), jnp.float32)
        return ObjectiveState(MLP(key, (math.prod(seen), self.hidden, 1), init=0.01), Energies(zero, zero, zero))

    def __call__(
        self, key: Key[Array, ""], model: Model, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        energies, metrics = over_batch(lambda k, x: self._energies(k, model, x), key, batch)
        seen = stop_gradient(jax.vmap(model.recognition.see)(batch))
        past: Energies = state.carried
        now = stop_gradient(energies)
        first = past.weight == 0
        mean = jnp.where(first, now.mean(), past.mean / jnp.where(first, 1.0, past.weight))
        square = jnp.where(first, (now**2).mean(), past.square / jnp.where(first, 1.0, past.weight))
        spread = jnp.sqrt(jnp.maximum(square - mean**2, 1.0))
        reference = jax.vmap(lambda s: mean + spread * state.trained(jnp.ravel(s))[0])(seen)
        surrogates, bounds = jax.vmap(self._surrogate)(energies, reference)
        gained = 1.0 - DECAY
        after = Energies(
            DECAY * past.mean + gained * now.mean(),
            DECAY * past.square + gained * (now**2).mean(),
            DECAY * past.weight + gained,
        )
        surrogate, bound, averages = batch_mean((surrogates, bounds, metrics), batch)
        return Loss(surrogate, bound, averages), ObjectiveState(state.trained, after)

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """The bound of each example."""
        return over_batch(lambda k, x: perturbative_bound(self._energies(k, model, x)[0], self.order), key, batch)

    def _energies(
        self, key: Key[Array, ""], model: Model, x: AnyExample
    ) -> tuple[Float[Array, " k"], dict[str, Float[Array, ""]]]:
        """V of each draw of one example, and the parts of the evidence lower bound."""
        posterior = model.posterior(x)
        one = lambda k, noise: model.draw(k, x, posterior=posterior, noise=noise)  # noqa: E731
        draws = each_draw(one, key, model, self.num_samples, self.draws)
        require_reparameterized(draws.parts)
        return -draws.log_w, bound_metrics(draws)

    def _surrogate(
        self, energies: Float[Array, " k"], reference: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """What is differentiated for one example, and its bound."""
        order, fixed, learned = self.order, stop_gradient(energies), stop_gradient(reference)
        exists = taylor(learned - fixed, order).mean() > 0
        centre = jnp.where(exists, learned, best_reference(fixed, order))
        weights = taylor(centre - fixed, order - 1)  # the derivative of the series
        slope = ((learned - fixed) ** order).mean() / math.factorial(order)
        slope = jnp.where(exists, slope, learned - fixed.mean())
        return (weights * energies).mean() + slope * reference, perturbative_bound(fixed, order)
