"""Monte Carlo EM: latents by Hamiltonian chains on the posterior itself, no recognition model in the gradient."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError, as_example
from nelbo.models import Model, detached
from nelbo.models import stop_gradient as stop_arrays
from nelbo.objectives.base import (
    BoundKind,
    Loss,
    Objective,
    ObjectiveState,
    batch_mean,
    bound_metrics,
    over_batch,
)
from nelbo.samplers import Hamiltonian, run_chain

ACCEPTANCE = 0.9  # that is aimed at
_FIRST_STEP = 0.1
_GAIN = 0.5  # of the logarithm of the step size, by what the acceptance of a batch is off


class MonteCarloEM(Objective):
    """The E step draws z from p(z|x) by a Hamiltonian chain, the M step is a gradient step on log p(x, z) at its end.

    Each chain starts from q(z|x). All chains of a step share one step size, which follows the acceptance of the batches
    before: it is held while a chain runs. q itself follows d log q(z|x) at the same draws, so that chains start closer
    and closer and the model can be scored by any bound; the gradient of theta depends on q only through what the chain
    has not forgotten. The bound that is reported is the evidence lower bound of q. Sources: Wei and Tanner (1990);
    Kingma and Welling (2014), section 5.

    Args:
        trajectories: moves of a chain.
        leapfrogs: steps of a trajectory.
    """

    references: ClassVar[tuple[str, ...]] = ("kingma2014",)
    kind: ClassVar[BoundKind] = "lower"
    trajectories: int = eqx.field(static=True, default=5)
    leapfrogs: int = eqx.field(static=True, default=10)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if min(self.trajectories, self.leapfrogs) < 1:
            raise InputError(
                "Monte Carlo EM needs at least one trajectory of one leapfrog step, got "
                f"{self.trajectories} of {self.leapfrogs}."
            )

    def init(self, key: Key[Array, ""], model: Model) -> ObjectiveState:
        """The logarithm of the step size.

        Raises:
            InputError: the latents are discrete.
        """
        del key
        if any(layer.is_discrete for layer in model.generative.shapes()[1:]):
            raise InputError(
                "Monte Carlo EM moves latents along gradients, but these are discrete: use nvil, wake-sleep or rws."
            )
        return ObjectiveState(carried=jnp.log(jnp.asarray(_FIRST_STEP, jnp.float32)))

    def __call__(
        self, key: Key[Array, ""], model: Model, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        step = jnp.exp(state.carried)
        loss = batch_mean(over_batch(lambda k, x: self._example(k, model, x, step), key, batch), batch)
        change = _GAIN * (loss.metrics["acceptance"] - ACCEPTANCE)
        return loss, ObjectiveState(carried=state.carried + change)

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """The evidence lower bound of each example."""
        return over_batch(lambda k, x: model.draw(k, x, detached).log_w, key, batch)

    def _example(self, key: Key[Array, ""], model: Model, x: AnyExample, step: Float[Array, ""]) -> Loss:
        x = as_example(x)
        draw_key, chain_key = jr.split(key)
        draw = stop_gradient(model.draw(draw_key, x, detached))
        fixed = stop_arrays(model.generative)
        kernel = Hamiltonian(lambda z: fixed.log_prob(x, z).sum(), leapfrogs=self.leapfrogs, first_step=step)
        state, accepted, _ = run_chain(chain_key, kernel, draw.z, self.trajectories)
        z = stop_gradient(kernel.position(state))
        surrogate = -model.generative.log_prob(x, z).sum() - model.posterior(x).log_prob(z).sum()
        return Loss(surrogate, draw.log_w, bound_metrics(draw) | {"acceptance": accepted.mean()})
