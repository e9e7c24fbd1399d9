"""Stochastic gradient variational Bayes: the reparameterized evidence lower bound in three forms."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from nelbo.core import AnyExample, InputError, choice
from nelbo.models import Model, Through, reparameterized, stop_gradient
from nelbo.objectives.base import BoundKind, Loss, Objective, ObjectiveState, over_batch, require_reparameterized
from nelbo.objectives.score import ScoreFunction

FORMS = {
    "A": "log p(x, z) - log q(z|x), sampled (Kingma and Welling 2014, eq. 6)",
    "B": "sampled log p(x|z) minus KL(q || p) in closed form where there is one (eq. 7)",
    "path": "A with no gradient through the parameters of log q (Roeder et al. 2017, sticking the landing)",
}


class Sgvb(Objective):
    """The evidence lower bound, by reparameterization.

    Args:
        form: "A", "B" or "path", see `FORMS`.
        num_samples: draws of z for each example.
        beta: weight of the KL part, a number or a function of the step (annealing). The reported bound always has
            beta = 1.
        through: what gradients see of a draw; the biased gradients for binary latents (`half`,
            `straight_through`) go with form "path", for terms of log q itself have mean zero.
    """

    references: ClassVar[tuple[str, ...]] = ("kingma2014", "roeder2017", "gregor2014")
    kind: ClassVar[BoundKind] = "lower"
    form: str = eqx.field(static=True, default="B")
    num_samples: int = eqx.field(static=True, default=1)
    beta: float | Callable[[Int[Array, ""]], Float[Array, ""]] = eqx.field(static=True, default=1.0)
    through: Through = eqx.field(static=True, default=reparameterized)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        choice("form of SGVB", self.form, FORMS)
        if self.num_samples < 1:
            raise InputError(f"SGVB needs at least one sample for each example, got {self.num_samples}.")
        if self.through is not reparameterized and self.form != "path":
            raise InputError(f'Biased gradients through draws need form "path", got {self.form!r}.')

    def init(self, key: Key[Array, ""], model: Model) -> ObjectiveState:
        """The step count, for annealing."""
        del key, model
        return ObjectiveState(carried=jnp.zeros((), jnp.int32))

    def __call__(
        self, key: Key[Array, ""], model: Model, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        step = state.carried
        beta = jnp.asarray(self.beta(step) if callable(self.beta) else self.beta, jnp.float32)
        # averaged before they are combined: XLA repeats the likelihood for every mean that is taken of it
        parts = over_batch(lambda k, x: self._parts(k, model, x), key, batch)
        reconstruction, kl = (part.mean() for part in parts)
        metrics = {"reconstruction": reconstruction, "kl": kl}
        return Loss(beta * kl - reconstruction, reconstruction - kl, metrics), ObjectiveState(carried=step + 1)

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """The bound of each example."""
        reconstruction, kl = over_batch(lambda k, x: self._parts(k, model, x), key, batch)
        return reconstruction - kl

    def _parts(self, key: Key[Array, ""], model: Model, x: AnyExample) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Reconstruction and KL of one example, averaged over the draws of z [nats]."""
        if self.num_samples == 1:
            return self._sample(key, model, x)
        reconstruction, kl = jax.vmap(lambda k: self._sample(k, model, x))(jr.split(key, self.num_samples))
        return reconstruction.mean(), kl.mean()

    def _sample(self, key: Key[Array, ""], model: Model, x: AnyExample) -> tuple[Float[Array, ""], Float[Array, ""]]:
        posterior = model.posterior(x)
        draw = model.draw(key, x, self.through, posterior)
        if self.through is reparameterized:
            require_reparameterized(draw.parts)
        if self.form == "B":
            return draw.log_p[0], model.kl(draw).sum()
        # the path form is the same number as form A; XLA shares its forward pass with the draw's
        frozen = self.form == "path"
        log_q = stop_gradient(posterior).log_prob(draw.z) if frozen else draw.log_q
        return draw.log_p[0], log_q.sum() - draw.log_p[1:].sum()


class WarmUp(eqx.Module):
    """A weight that rises in a straight line to its last value.

    Args:
        last: the value after `steps`.
        steps: how long it rises.
    """

    last: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    def __call__(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The weight at a step."""
        return self.last * jnp.minimum(step.astype(jnp.float32) / self.steps, 1.0)


class MaximumLikelihood(Objective):
    """The exact log-likelihood, where latents can be summed out or there are none (`Model.log_prob`) [nats].

    A recognition model beside it follows the evidence lower bound, which is highest where q is the posterior; the
    generative model does not.
    """

    references: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[BoundKind] = "exact"

    def init(self, key: Key[Array, ""], model: Any) -> ObjectiveState:
        """No state."""
        del key, model
        return ObjectiveState()

    def __call__(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        bound = self.bounds(key, model, batch).mean()
        surrogate = -bound
        if model.depth:
            held = eqx.tree_at(lambda m: m.generative, model, replace_fn=stop_gradient)
            # an unbiased gradient of the bound for whatever latents there are
            discrete = any(part.is_discrete for part in model.generative.shapes()[1:])
            plain = ScoreFunction(baseline=False, centring=False, normalization=False)
            follow = plain if discrete else Sgvb("B")
            surrogate = surrogate + follow(key, held, batch, follow.init(key, held))[0].surrogate
        return Loss(surrogate, bound, {"log_likelihood": bound}), state

    def bounds(self, key: Key[Array, ""], model: Any, batch: AnyExample) -> Float[Array, " batch"]:
        """Log-likelihood of each example.

        Raises:
            InputError: it has no closed form for this model.
        """
        del key
        return jax.vmap(model.log_prob)(batch)
