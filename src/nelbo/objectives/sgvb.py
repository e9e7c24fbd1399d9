"""Stochastic gradient variational Bayes: the reparameterized evidence lower bound in three forms."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from nelbo.core import AnyExample, InputError, choice
from nelbo.models import Latents, Model, Posterior, Through, reparameterized, stop_gradient
from nelbo.nets import trainable
from nelbo.objectives.base import (
    BoundKind,
    Loss,
    Objective,
    ObjectiveState,
    batch_mean,
    over_batch,
    require_reparameterized,
)
from nelbo.objectives.draws import checked_draws, each_draw, growing_power
from nelbo.objectives.score import ScoreFunction

# reconstruction and KL [nats], or nothing
Pair = tuple[Float[Array, ""], ...]

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
        draws: "iid" or "sobol", see `nelbo.objectives.DRAWS`.
        growth: tau; training step t takes 1 / tau^t draws, rounded up to a power of two, at most `num_samples`. None:
            `num_samples` in every step.
    """

    references: ClassVar[tuple[str, ...]] = ("kingma2014", "roeder2017", "gregor2014")
    kind: ClassVar[BoundKind] = "lower"
    form: str = eqx.field(static=True, default="B")
    num_samples: int = eqx.field(static=True, default=1)
    beta: float | Callable[[Int[Array, ""]], Float[Array, ""]] = eqx.field(static=True, default=1.0)
    through: Through = eqx.field(static=True, default=reparameterized)
    draws: str = eqx.field(static=True, default="iid")
    growth: float | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        choice("form of SGVB", self.form, FORMS)
        if self.num_samples < 1:
            raise InputError(f"SGVB needs at least one sample for each example, got {self.num_samples}.")
        checked_draws(self.draws, self.num_samples)
        if self.growth is not None and not 0.0 < self.growth < 1.0:
            raise InputError(
                f"growth is a factor between 0 and 1 by which 1 / draws shrinks a step, got {self.growth}."
            )
        if self.growth is not None and self.num_samples & (self.num_samples - 1):
            raise InputError(
                f"Draws grow in powers of two up to samples, but samples is {self.num_samples}: use 64, say."
            )
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
        (reconstruction, kl), earlier = self._means(key, model, batch, step)
        metrics = {"reconstruction": reconstruction, "kl": kl}
        surrogate = beta * kl - reconstruction
        if earlier:
            surrogate = surrogate + beta * earlier[1] - earlier[0]
        return Loss(surrogate, reconstruction - kl, metrics), ObjectiveState(carried=step + 1)

    def _means(self, key: Key[Array, ""], model: Model, batch: AnyExample, step: Int[Array, ""]) -> tuple[Pair, Pair]:
        """Means over the batch, of the answer and of the steps on the way to it, where there are any."""

        def of(count: int) -> Callable[[], tuple[Pair, Pair]]:
            # averaged before they are combined: XLA repeats the likelihood for every mean that is taken of it
            return lambda: batch_mean(over_batch(lambda k, x: self._parts(k, model, x, count), key, batch), batch)

        if self.growth is None:
            return of(self.num_samples)()
        powers = range(self.num_samples.bit_length())
        power = growing_power(step, self.growth, self.num_samples)
        return jax.lax.switch(power, [of(2**one) for one in powers])

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """The bound of each example."""
        reconstruction, kl = over_batch(lambda k, x: self._parts(k, model, x, self.num_samples)[0], key, batch)
        return reconstruction - kl

    def _parts(self, key: Key[Array, ""], model: Model, x: AnyExample, count: int) -> tuple[Pair, Pair]:
        """Reconstruction and KL of one example, averaged over the draws of z [nats].

        Where the recognition model takes steps, q learns from the mean over all of them (Marino et al. 2018, eq. 10),
        and p from the last: the second pair is what the earlier ones add to the loss, with no gradient for p.
        """
        *earlier, last = model.recognition.path(x, model.generative)
        if not earlier:
            return self._mean(key, model, x, last, count), ()
        share = 1.0 / (1 + len(earlier))
        held = eqx.tree_at(lambda m: m.generative, model, replace_fn=stop_gradient)
        keys = jr.split(key, 1 + len(earlier))
        lags = [self._mean(k, held, x, one, count) for k, one in zip(keys[1:], earlier, strict=True)]
        reconstruction, kl = (share * sum(parts) for parts in zip(*lags, strict=True))
        added: Any = (reconstruction, kl)  # a sum of arrays, which a checker takes for a float
        return self._mean(keys[0], model, x, _slowed(last, share), count), added

    def _mean(self, key: Key[Array, ""], model: Model, x: AnyExample, posterior: Posterior, count: int) -> Pair:
        if count == 1:
            return self._sample(key, model, x, posterior)
        parts = each_draw(lambda k, noise: self._sample(k, model, x, posterior, noise), key, model, count, self.draws)
        return jax.tree.map(jnp.mean, parts)

    def _sample(
        self, key: Key[Array, ""], model: Model, x: AnyExample, posterior: Posterior, noise: Latents | None = None
    ) -> Pair:
        draw = model.draw(key, x, self.through, posterior, noise)
        if self.through is reparameterized:
            require_reparameterized(draw.parts)
        if self.form == "B":
            return draw.log_p[0], model.kl(draw).sum()
        # the path form is the same number as form A; XLA shares its forward pass with the draw's
        frozen = self.form == "path"
        log_q = stop_gradient(posterior).log_prob(draw.z) if frozen else draw.log_q
        return draw.log_p[0], log_q.sum() - draw.log_p[1:].sum()


def _slowed(posterior: Posterior, share: float) -> Posterior:
    """The same posterior, through which a share of the gradient passes."""
    slow = lambda a: jax.lax.stop_gradient(a) + share * (a - jax.lax.stop_gradient(a))  # noqa: E731
    return jax.tree.map(lambda leaf: slow(leaf) if eqx.is_inexact_array(leaf) else leaf, posterior)


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
        bound = batch_mean(self.bounds(key, model, batch), batch)
        surrogate = -bound
        # an exact posterior has nothing of its own to train
        if model.depth and any(jax.tree.leaves(trainable(model.recognition))):
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
