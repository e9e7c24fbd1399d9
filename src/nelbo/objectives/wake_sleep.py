"""Wake-sleep and its reweighted form: the recognition model learns by regression on draws and on dreams."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.random as jr
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, Example, InputError, as_example, log_mean_exp
from nelbo.models import Model, detached
from nelbo.objectives.base import BoundKind, ExampleObjective, Loss, bound_metrics, over_batch


class WakeSleep(ExampleObjective):
    """Wake-sleep with K draws: K = 1 with sleep only is the classical algorithm, K > 1 is reweighted wake-sleep.

    Wake: theta follows sum_k wt_k d log p(x, z_k), z_k ~ q(z|x), wt the normalized importance weights; phi follows
    `wake_phi` times sum_k wt_k d log q(z_k|x). Sleep: (x', z') ~ p, and phi follows `sleep_phi` times
    d log q(z'|x'). For discrete and for continuous latents. The updates of phi are not the gradient of the bound that
    is reported, log (1/K) sum_k w_k. Sources: Hinton et al. (1995); Bornschein and Bengio (2015), section 2.

    Args:
        num_samples: K draws for each example.
        wake_phi: weight of the wake-phase update of q.
        sleep_phi: weight of the sleep-phase update of q.
    """

    references: ClassVar[tuple[str, ...]] = ("hinton1995", "bornschein2015")
    kind: ClassVar[BoundKind] = "lower"
    num_samples: int = eqx.field(static=True, default=1)
    wake_phi: float = eqx.field(static=True, default=0.0)
    sleep_phi: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if self.num_samples < 1:
            raise InputError(f"Wake-sleep needs at least one sample for each example, got {self.num_samples}.")
        if min(self.wake_phi, self.sleep_phi) < 0 or self.wake_phi + self.sleep_phi == 0:
            raise InputError("Wake-sleep needs weights wake_phi and sleep_phi that are not negative and not both zero.")
        if self.num_samples == 1 and self.sleep_phi == 0:
            raise InputError("With one sample the wake phase teaches q nothing: use more samples or the sleep phase.")

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """The importance-weighted bound of each example, the evidence lower bound for K = 1."""
        return over_batch(lambda k, x: self._wake(k, model, x).bound, key, batch)

    def example(self, key: Key[Array, ""], model: Model, x: AnyExample) -> Loss:
        """The wake phase, and one dream."""
        x = as_example(x)
        if self.sleep_phi == 0:
            return self._wake(key, model, x)
        wake_key, sleep_key = jr.split(key)
        wake = self._wake(wake_key, model, x)
        dream, z = stop_gradient(model.generative.sample(sleep_key, x.context))
        log_q = model.posterior(Example(dream, context=x.context)).log_prob(z).sum()
        surrogate = wake.surrogate - self.sleep_phi * log_q
        return Loss(surrogate, wake.bound, wake.metrics | {"sleep": log_q})

    def _wake(self, key: Key[Array, ""], model: Model, x: AnyExample) -> Loss:
        draws = jax.vmap(lambda k: model.draw(k, x, detached))(jr.split(key, self.num_samples))
        log_p, log_q, log_w = draws.log_p.sum(-1), draws.log_q.sum(-1), draws.log_w
        weights = stop_gradient(jax.nn.softmax(log_w))
        surrogate = -(weights * (log_p + self.wake_phi * log_q)).sum()
        return Loss(surrogate, log_mean_exp(log_w), bound_metrics(draws))
