"""What is done with normals of every family alike: parameters taken out, moved and put back, noise put in."""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as nd
from jaxtyping import Array
from numpyro.distributions import biject_to

from nelbo.core import InputError
from nelbo.distributions.correlated import CorrelatedNormal

Offset = dict[str, Array]


def free_parameters(q: nd.Distribution) -> Offset:
    """The parameters of a normal as numbers without constraints: its mean, the logs of what is positive, and so on.

    Raises:
        InputError: it is no normal.
    """
    if not isinstance(q, nd.Normal | CorrelatedNormal):
        raise InputError(
            f"Steps along gradients move the parameters of a normal posterior, but this model's is {type(q).__name__}: "
            "use a model with Gaussian latents (vae, dlgm, hvae, linear), or leave refinement out."
        )
    return {name: _bijection(constraint).inv(getattr(q, name)) for name, constraint in q.arg_constraints.items()}


def moved(q: Any, offset: Offset) -> Any:
    """The normal of the same family at other parameters.

    Args:
        q: a normal.
        offset: added to its `free_parameters`; of the mean in units of the standard deviations that q has, so that a
            step of one size fits every latent.
    """
    values = {name: value + offset[name] for name, value in free_parameters(q).items() if name != "loc"}
    found = {name: _bijection(q.arg_constraints[name])(value) for name, value in values.items()}
    return type(q)(loc=q.loc + jnp.sqrt(q.variance) * offset["loc"], **found)


def no_offset(q: Any) -> Offset:
    """The offset that leaves a normal as it is; q may have shapes in place of arrays.

    Raises:
        InputError: it is no normal.
    """
    shapes = jax.eval_shape(free_parameters, q)
    return {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}


def from_noise(q: Any, noise: Array) -> Array:
    """The draw of a normal that standard normal noise of its shape stands for: mean + R noise, C = R R'.

    Raises:
        InputError: it is no normal.
    """
    if isinstance(q, CorrelatedNormal):
        return q.loc + q.scaled(noise)
    if not isinstance(q, nd.Normal):
        raise InputError(f"Sobol draws are made for normal latents, but this model's are {type(q).__name__}: use iid.")
    normal: Any = q
    return normal.loc + normal.scale * noise


def _bijection(constraint: Any) -> Any:
    return biject_to(constraint)
