"""A model's arrays as what all examples share: which of them, under which prior, with which posterior."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from nelbo.bayes.contracts import Marginals, SharedPosterior, SharedPrior
from nelbo.bayes.posteriors import POSTERIORS
from nelbo.bayes.priors import PRIORS
from nelbo.core import InputError, Option, added, checked_arguments, choice, defaults, joined, options_of
from nelbo.models import Globals, ModelSpec, unknown_widths, with_globals, without_globals
from nelbo.nets import trainable

WHERE: tuple[str, ...] = ("everything", "generative")
PARAMETERS = "shared parameters"  # what `SharedParameters.spec` is called


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

    of_family: ClassVar[bool] = False

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

    def marginals(self, model: Any) -> Marginals | None:
        """The posterior one number at a time, where it is normal."""
        return self.posterior.marginals(self._parted(model)[0])

    def widths(self, model: Any) -> Any:
        """As the marginals of a normal posterior say."""
        found = self.marginals(model)
        if found is None:
            return None
        scales = jax.tree.map(jnp.exp, found.log_scale)
        return eqx.combine(scales, unknown_widths(self._parted(model)[1]))

    def noise(self, key: Key[Array, ""], model: Any) -> PyTree:
        """The posterior's."""
        return self.posterior.noise(key, self._parted(model)[0])

    def from_noise(self, noise: PyTree, model: Any) -> Any:
        """The model with the draw that the noise stands for, and no globals."""
        shared, rest = self._parted(model)
        return eqx.combine(self.posterior.from_noise(noise, shared), rest)

    def log_ratio(self, key: Key[Array, ""], model: Any, drawn: Any) -> Float[Array, ""]:
        """Log posterior - log prior of a draw [nats]."""
        value = self._parted(drawn)[0]
        return self.posterior.log_prob(self._parted(model)[0], value) - self.prior.log_prob(key, value)

    def described(self) -> ModelSpec | None:
        """As `shared_parameters` was called."""
        return self.spec

    def _parted(self, model: Any) -> tuple[PyTree, PyTree]:
        return parted(without_globals(model), self.where)


def parted(model: Any, where: str) -> tuple[PyTree, PyTree]:
    """The shared arrays of a model, and the rest of it."""
    mark = trainable(model)
    if where == "generative":
        nothing = jax.tree.map(lambda _: False, mark)
        mark = eqx.tree_at(lambda m: m.generative, nothing, mark.generative)
    return eqx.partition(model, mark)


def named_posteriors() -> Mapping[str, Callable[..., SharedPosterior]]:
    """Every posterior over shared arrays by name: nelbo's own, and those that were added."""
    return joined("posteriors", POSTERIORS, added().posteriors)


def named_priors() -> Mapping[str, Callable[..., SharedPrior]]:
    """Every prior over shared arrays by name: nelbo's own, and those that were added."""
    return joined("priors", PRIORS, added().priors)


def options_of_pair(posterior: str, prior: str) -> tuple[Option, ...]:
    """The options of a posterior and of a prior, by their names; one that both have belongs to both.

    Raises:
        InputError: an unknown name.
    """
    makers = _makers(posterior, prior)
    return tuple({option.name: option for make in makers for option in options_of(make)}.values())


def checked_options(posterior: str, prior: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a posterior and of a prior with the defaults filled in.

    Raises:
        InputError: an unknown name or option, or a value of another type.
    """
    known = options_of_pair(posterior, prior)
    kind = f"option of posterior {posterior} with prior {prior}"
    for name in options:
        choice(kind, name, [option.name for option in known])
    for make in _makers(posterior, prior):
        checked_arguments(kind, make, _of(make, options), hidden=("mean",))
    return {option.name: option.default for option in known} | dict(options)


def shared_parameters(
    model: Any, *, posterior: str = "mean-field", prior: str = "normal", where: str = "everything", **options: Any
) -> Any:
    """The model with a posterior over what all examples share.

    Args:
        model: whose arrays are the means.
        posterior: name of the posterior, see `named_posteriors`.
        prior: name of the prior, see `named_priors`.
        where: which arrays, see `SharedParameters`.
        options: of the posterior and of the prior, by name: the keyword options of the functions in the two tables.

    Raises:
        InputError: an unknown name or option, an impossible value, a point with a prior that is fitted to a spread.
    """
    choice("choice of shared parameters", where, WHERE)
    spelled_out = checked_options(posterior, prior, options)
    make, make_prior = _makers(posterior, prior)
    means, _ = parted(without_globals(model), where)
    if not jax.tree.leaves(means):
        raise InputError("This model has no trained arrays to put a posterior on.")
    found, before = make(means, **_of(make, spelled_out)), make_prior(means, **_of(make_prior, spelled_out))
    if before.needs_spread and not found.in_bound:
        raise InputError(
            f"The prior {prior} is fitted to the spread of a posterior, and {posterior} is a point, which has none: "
            "all parameters would shrink to zero; take another prior (normal, say) or posterior (mean-field)."
        )
    spec = ModelSpec.of(PARAMETERS, posterior=posterior, prior=prior, where=where, options=spelled_out)
    return with_globals(model, SharedParameters(before, found, where, spec))


def described_parameters(spec: ModelSpec, model: Any) -> Any:
    """The model with the globals that a specification describes, as they are before any training.

    Raises:
        InputError: globals of a kind that is not known here, or of a name or option that there is not.
    """
    arguments = spec.arguments
    if spec.name != PARAMETERS or set(arguments) != {"posterior", "prior", "where", "options"}:
        raise InputError(f"Globals of the kind {spec.name!r} are not known to this nelbo: update it.")
    return shared_parameters(model, **{name: arguments[name] for name in ("posterior", "prior", "where")},
                             **arguments["options"])  # fmt: skip


def _makers(posterior: str, prior: str) -> tuple[Callable[..., SharedPosterior], Callable[..., SharedPrior]]:
    every, every_prior = named_posteriors(), named_priors()
    return every[choice("posterior", posterior, every)], every_prior[choice("prior", prior, every_prior)]


def _of(make: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a function takes."""
    return {name: value for name, value in options.items() if name in defaults(make)}
