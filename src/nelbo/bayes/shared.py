"""A model's arrays as what all examples share: which of them, under which prior, with which posterior."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import SharedPosterior, SharedPrior
from nelbo.bayes.posteriors import POSTERIORS
from nelbo.bayes.priors import PRIORS
from nelbo.core import InputError, added, checked_arguments, choice, defaults, joined
from nelbo.models import Globals, ModelSpec
from nelbo.nets import trainable

WHERE: tuple[str, ...] = ("everything", "generative")


class SharedParameters(Globals):
    """A model's trained arrays as what all examples share.

    Args:
        prior: over each of them.
        posterior: around their values in the model.
        where: "everything" that trains, or the "generative" model's arrays alone.
        spec: what `shared_parameters` rebuilds it from, or None.
    """

    prior: SharedPrior
    posterior: SharedPosterior
    where: str = eqx.field(static=True, default="everything")
    spec: ModelSpec | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Refuse an unknown choice of arrays."""
        choice("choice of shared parameters", self.where, WHERE)

    @property
    def in_bound(self) -> bool:
        """As the posterior says."""
        return self.posterior.in_bound

    def sample(self, key: Key[Array, ""], model: Any) -> Any:
        """The model with its shared arrays drawn, and no globals."""
        shared, rest = self._parted(model)
        return eqx.combine(self.posterior.sample(key, shared), rest)

    def cost(self, key: Key[Array, ""], model: Any) -> Float[Array, ""]:
        """What the arrays cost, once for a whole data set [nats]."""
        return self.posterior.cost(key, self._parted(model)[0], self.prior)

    def _parted(self, model: Any) -> tuple[PyTree, PyTree]:
        return parted(without_globals(model), self.where)


def without_globals(model: Any) -> Any:
    """The model with nothing random that all examples share."""
    return _with(model, None)


def _with(model: Any, shared: Globals | None) -> Any:
    return eqx.tree_at(lambda m: m.globals, model, shared, is_leaf=lambda leaf: leaf is None)


def parted(model: Any, where: str) -> tuple[PyTree, PyTree]:
    """The shared arrays of a model, and the rest of it."""
    mark = trainable(model)
    if where == "generative":
        nothing = jax.tree.map(lambda _: False, mark)
        mark = eqx.tree_at(lambda m: m.generative, nothing, mark.generative)
    return eqx.partition(model, mark)


def posteriors() -> Mapping[str, Callable[..., SharedPosterior]]:
    """Every posterior over shared arrays by name: nelbo's own, and those that were added."""
    return joined("posteriors", POSTERIORS, added().posteriors)


def priors() -> Mapping[str, Callable[..., SharedPrior]]:
    """Every prior over shared arrays by name: nelbo's own, and those that were added."""
    return joined("priors", PRIORS, added().priors)


def shared_parameters(
    model: Any,
    *,
    posterior: str = "mean-field",
    prior: str = "normal",
    where: str = "everything",
    **options: Any,
) -> Any:
    """The model with a posterior over what all examples share.

    Args:
        model: whose arrays are the means.
        posterior: name of the posterior, see `posteriors`.
        prior: name of the prior, see `priors`.
        where: which arrays, see `SharedParameters`.
        options: of the posterior and of the prior, by name: the keyword options of the functions in the two tables.

    Raises:
        InputError: an unknown name or option, an impossible value, a point with a prior that is fitted to a spread.
    """
    choice("choice of shared parameters", where, WHERE)
    make = posteriors()[choice("posterior", posterior, posteriors())]
    make_prior = priors()[choice("prior", prior, priors())]
    of_prior = {name: value for name, value in options.items() if name in defaults(make_prior)}
    of_posterior = {name: value for name, value in options.items() if name not in of_prior}
    checked_arguments(f"option of prior {prior}", make_prior, of_prior, hidden=("mean",))
    checked_arguments(f"option of posterior {posterior}", make, of_posterior, hidden=("mean",))
    shared, _ = parted(model, where)
    found, before = make(shared, **of_posterior), make_prior(shared, **of_prior)
    if before.needs_spread and not found.in_bound:
        raise InputError(
            f"The prior {prior} is fitted to the spread of a posterior, and {posterior} is a point, which has none: "
            "all parameters would shrink to zero; take another prior (normal, say) or posterior (mean-field)."
        )
    named = {"posterior": posterior, "prior": prior, "where": where}
    spec = ModelSpec.of("shared parameters", **(named | defaults(make) | defaults(make_prior) | options))
    return _with(model, SharedParameters(before, found, where, spec))
