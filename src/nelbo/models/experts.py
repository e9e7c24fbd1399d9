"""q of a user's latents as a mixture over other sequences of the user, each of which gives a normal."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array
from numpyro.distributions import Categorical, MixtureSameFamily

from nelbo.core import AnyExample, InputError, as_example
from nelbo.distributions import Normal
from nelbo.models.conjugate import Known
from nelbo.models.layers import Layer, Reads
from nelbo.models.recognition import Amortized, Posterior, Recognition


class Experts(Recognition):
    """q(z | R) = 1/|R| sum_{r in R} N(mu(r), diag s^2(r)) over sequences R that the context holds (Boyd et al. 2020).

    The example itself is not looked at. Without any sequence q is N(0, I), the prior.

    Args:
        inner: from one sequence to a normal; the context holds, for each sequence, what it sees.
    """

    inner: Amortized
    reads: ClassVar[tuple[Reads, ...]] = (Reads.FURTHEST,)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Of the experts."""
        return self.inner.layers

    @property
    def sees_context_alone(self) -> bool:
        """Of an example nothing but the user's other sequences is read."""
        return True

    def see(self, x: AnyExample) -> Array:
        """The other sequences, `(sequences, events, 4)`: values, and which are there.

        Raises:
            InputError: there is no context.
        """
        context = as_example(x).context
        if context is None:
            raise InputError("This model reads a user's latents from the user's other sequences: give them as context.")
        return jnp.asarray(context)

    def __call__(self, x: AnyExample) -> Posterior:
        """The mixture."""
        seen = self.see(x)

        def expert(sequence: Array) -> tuple[Array, Array]:
            found = self.inner.layers[0]((sequence,))
            return found.mean, found.variance

        mean, variance = jax.vmap(expert)(seen)
        there = (seen[..., 3] > 0.0).any(-1)
        alone = ~there.any()
        mean = jnp.where(there[:, None], mean, 0.0)
        variance = jnp.where(there[:, None], variance, 1.0)
        logits = jnp.where(there | alone, 0.0, -jnp.inf)
        mixture = MixtureSameFamily(Categorical(logits=logits), Normal(mean, jnp.sqrt(variance)).to_event(1))
        return Posterior((Known(mixture),), seen, as_example(x).context)
