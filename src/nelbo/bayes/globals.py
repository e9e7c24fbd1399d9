"""Priors and posteriors over what all examples share."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import InputError, choice
from nelbo.models import Globals
from nelbo.nets import trainable

if TYPE_CHECKING:
    # a checker takes Equinox's marker for a field, and asks every subclass's __init__ for it
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar

WHERE: tuple[str, ...] = ("everything", "generative")


class NormalPrior(eqx.Module):
    """Independent normals N(0, scale^2) on every number.

    Args:
        scale: standard deviation.

    Raises:
        InputError: a scale that is not positive.
    """

    scale: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        """Refuse impossible scales."""
        if not self.scale > 0:
            raise InputError(f"The prior of parameters needs a positive standard deviation, got {self.scale}.")

    def penalty(self, tree: PyTree) -> Float[Array, ""]:
        """-log density, constants left out [nats]."""
        squares = sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)), jnp.zeros((), jnp.float32))
        return squares / (2.0 * self.scale**2)

    def kl(self, mean: PyTree, log_scale: PyTree) -> Float[Array, ""]:
        """KL(N(mean, exp(log_scale)^2) || prior) (Kingma and Welling 2014, appendix F) [nats]."""

        def one(mean: Array, log_scale: Array) -> Array:
            ratio = jnp.exp(2.0 * log_scale) / self.scale**2
            log_ratio = 2.0 * log_scale - 2.0 * jnp.log(jnp.asarray(self.scale, log_scale.dtype))
            return 0.5 * (ratio + (mean / self.scale) ** 2 - 1.0 - log_ratio).sum()

        return jnp.stack(jax.tree.leaves(jax.tree.map(one, mean, log_scale))).sum()


class SharedPosterior(eqx.Module):
    """Abstract: a posterior over a tree of arrays whose means are the arrays themselves."""

    # whether its cost is a divergence, which belongs to a bound on the evidence
    in_bound: AbstractVar[bool]

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""], mean: PyTree) -> PyTree:
        """A draw, reparameterized."""

    @abc.abstractmethod
    def cost(self, mean: PyTree, prior: NormalPrior) -> Float[Array, ""]:
        """KL(posterior || prior), or -log prior up to a constant at a point [nats]."""


class Delta(SharedPosterior):
    """A point: the maximum a posteriori estimate."""

    in_bound: ClassVar[bool] = False

    def sample(self, key: Key[Array, ""], mean: PyTree) -> PyTree:
        """The point itself."""
        del key
        return mean

    def cost(self, mean: PyTree, prior: NormalPrior) -> Float[Array, ""]:
        """-log prior, constants left out."""
        return prior.penalty(mean)


class MeanFieldNormal(SharedPosterior):
    """N(mean, diag(scale^2)), independent in every number.

    Args:
        log_scale: a tree like that of the means.
    """

    log_scale: PyTree
    in_bound: ClassVar[bool] = True

    def sample(self, key: Key[Array, ""], mean: PyTree) -> PyTree:
        """Mean + scale * noise."""
        leaves, structure = jax.tree.flatten(mean)
        keys = jax.tree.unflatten(structure, list(jr.split(key, len(leaves))))
        return jax.tree.map(
            lambda k, m, log_scale: m + jnp.exp(log_scale) * jr.normal(k, m.shape, m.dtype), keys, mean, self.log_scale
        )

    def cost(self, mean: PyTree, prior: NormalPrior) -> Float[Array, ""]:
        """KL in closed form."""
        return prior.kl(mean, self.log_scale)


class SharedParameters(Globals):
    """A model's trained arrays as what all examples share.

    Args:
        prior: over each of them.
        posterior: around their values in the model.
        where: "everything" that trains, or the "generative" model's arrays alone.
    """

    prior: NormalPrior
    posterior: SharedPosterior
    where: str = eqx.field(static=True, default="everything")

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

    def cost(self, model: Any) -> Float[Array, ""]:
        """What the arrays cost, once for a whole data set [nats]."""
        return self.posterior.cost(self._parted(model)[0], self.prior)

    def settled(self, model: Any) -> Any:
        """The model as it is, for its arrays are the means, without globals."""
        return eqx.tree_at(lambda m: m.globals, model, None)

    def _parted(self, model: Any) -> tuple[PyTree, PyTree]:
        return parted(eqx.tree_at(lambda m: m.globals, model, None, is_leaf=lambda leaf: leaf is None), self.where)


def parted(model: Any, where: str) -> tuple[PyTree, PyTree]:
    """The shared arrays of a model, and the rest of it."""
    mark = trainable(model)
    if where == "generative":
        nothing = jax.tree.map(lambda _: False, mark)
        mark = eqx.tree_at(lambda m: m.generative, nothing, mark.generative)
    return eqx.partition(model, mark)


def shared_parameters(
    model: Any, *, prior_scale: float = 1.0, log_scale: float | None = None, where: str = "everything"
) -> Any:
    """The model with a posterior over what all examples share.

    Args:
        model: whose arrays are the means.
        prior_scale: standard deviation of the normal prior.
        log_scale: where the log standard deviations of a mean-field posterior start; None: a point (`Delta`).
        where: which arrays, see `SharedParameters`.
    """
    shared, _ = parted(model, where)
    posterior: SharedPosterior = Delta()
    if log_scale is not None:
        posterior = MeanFieldNormal(jax.tree.map(lambda leaf: jnp.full_like(leaf, log_scale), shared))
    found = SharedParameters(NormalPrior(prior_scale), posterior, where)
    return eqx.tree_at(lambda m: m.globals, model, found, is_leaf=lambda leaf: leaf is None)
