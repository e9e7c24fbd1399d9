"""The importance-weighted bound by reparameterization: IWAE and its doubly reparameterized gradient."""

from typing import ClassVar

import equinox as eqx
import jax
from jax.lax import stop_gradient
from jaxtyping import Array, Key

from nelbo.core import AnyExample, InputError, choice, log_mean_exp
from nelbo.models import Model
from nelbo.models import stop_gradient as stopped
from nelbo.objectives.base import (
    BoundKind,
    ExampleObjective,
    Loss,
    bound_metrics,
    require_reparameterized,
)
from nelbo.objectives.draws import checked_draws, each_draw

IWAE_FORMS = {
    "plain": "sum_k wt_k d log w_k (Burda et al. 2016, eq. 14)",
    "dreg": "phi through z only, weighted by wt_k^2: unbiased, lower variance (Tucker et al. 2019, eq. 8)",
    "stl": "phi through z only, weighted by wt_k: biased for K > 1 (Roeder et al. 2017)",
}


class Iwae(ExampleObjective):
    """The importance-weighted bound log (1/K) sum_k w_k for latents that are reparameterized.

    Args:
        num_samples: K draws for each example.
        form: gradient, see `IWAE_FORMS`; wt are the normalized weights.
        draws: "iid" or "sobol", see `nelbo.objectives.DRAWS`.
    """

    references: ClassVar[tuple[str, ...]] = ("burda2016", "tucker2019", "roeder2017")
    kind: ClassVar[BoundKind] = "lower"
    num_samples: int = eqx.field(static=True, default=5)
    form: str = eqx.field(static=True, default="plain")
    draws: str = eqx.field(static=True, default="iid")

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        choice("form of IWAE", self.form, IWAE_FORMS)
        if self.num_samples < 1:
            raise InputError(f"IWAE needs at least one sample for each example, got {self.num_samples}.")
        checked_draws(self.draws, self.num_samples)

    def example(self, key: Key[Array, ""], model: Model, x: AnyExample) -> Loss:
        """The importance-weighted bound, and the surrogate of its form."""
        posterior = model.posterior(x)
        one = lambda k, noise: model.draw(k, x, posterior=posterior, noise=noise)  # noqa: E731
        draws = each_draw(one, key, model, self.num_samples, self.draws)
        require_reparameterized(draws.parts)
        log_w = draws.log_w
        bound, metrics = log_mean_exp(log_w), bound_metrics(draws)
        if self.form == "plain":
            return Loss(-bound, bound, metrics)
        weights = stop_gradient(jax.nn.softmax(log_w))
        theta = jax.vmap(lambda z: model.generative.log_prob(x, stop_gradient(z)).sum())(draws.z)
        fixed = stopped(model)
        path = jax.vmap(lambda z: fixed.generative.log_prob(x, z).sum() - fixed.posterior(x).log_prob(z).sum())(draws.z)
        path_weights = weights**2 if self.form == "dreg" else weights
        return Loss(-(weights * theta + path_weights * path).sum(), bound, metrics)
