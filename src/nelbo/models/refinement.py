"""Refinement: the posterior of each example moved along the gradient of its own bound, from another model's answer."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, Key

from nelbo.core import AnyExample, Example, InputError, as_example
from nelbo.distributions import Distribution, Offset, moved, no_offset
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.recognition import Around, Posterior, Recognition
from nelbo.models.stack import Model, Stack, stop_gradient

RATE = 0.1  # first step of Adam, in standard deviations of the latents
PAIRS = 2  # of draws for each gradient
CHECK_PAIRS = 16  # of draws by which the start and the end are compared
SEED = 0  # the answer is a function of the example: its draws are always the same


class MovedLayer(Layer):
    """A layer of q whose parameters are moved by the same offset whatever the latents below it are.

    Args:
        inner: the layer.
        offset: of its normal's free parameters, see `nelbo.distributions.moved`.
    """

    inner: Layer
    offset: Offset
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    @property
    def reads(self) -> Reads:
        """What the inner layer reads."""
        return self.inner.reads

    @property
    def conditioned(self) -> bool:
        """Whether the inner layer is."""
        return self.inner.conditioned

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The inner layer's normal, moved."""
        return moved(self.inner(parents, context), self.offset)


def no_offsets(posterior: Posterior) -> tuple[Offset, ...]:
    """For each layer the offset that leaves it as it is.

    Raises:
        InputError: a layer that is no normal.
    """
    parts = eqx.filter_eval_shape(lambda key: posterior.sample(key)[1], jr.key(0))
    return tuple(no_offset(part) for part in parts)


def moved_posterior(posterior: Posterior, offsets: tuple[Offset, ...]) -> Posterior:
    """The posterior with every layer's normal moved."""
    layers = tuple(MovedLayer(layer, offset) for layer, offset in zip(posterior.layers, offsets, strict=True))
    return Posterior(layers, posterior.seen, posterior.context)


def path_bounds(
    key: Key[Array, ""], generative: Stack, x: Example, posterior: Posterior, *, pairs: int
) -> Float[Array, " pairs"]:
    """The evidence lower bound from pairs of mirrored draws, with gradients through the draws alone [nats].

    Its gradient has no noise where q is the posterior (Roeder et al. 2017), and that of the mean none where log p(x, z)
    is quadratic, for the two draws of a pair, as far on either side of the mean, cancel it.
    """
    fixed = stop_gradient(posterior)

    def one(k: Key[Array, ""], side: Float[Array, ""]) -> Float[Array, ""]:
        z, _ = posterior.sample(k, lambda part, value: part.mean + side.astype(value.dtype) * (value - part.mean))
        # a codec has 64-bit networks, but the zeros and ones of a standard normal prior are float32 there too
        with jax.numpy_dtype_promotion("standard"):
            return generative.log_prob(x, z).sum() - fixed.log_prob(z).sum()

    sides = jnp.asarray([1.0, -1.0], jnp.float32)
    return jax.vmap(lambda k: jax.vmap(lambda side: one(k, side))(sides).mean())(jr.split(key, pairs))


class Refined(Around):
    """Another recognition model's answer, moved along the gradient of each example's bound; nothing is trained.

    Steps are those of Adam with a cosine schedule, on the mean in units of its standard deviation and on the other
    parameters without constraints; a layer of a hierarchy has one offset for all draws of the latents below it. Where
    the end is worse than the start, by more than one standard error on 32 other draws, the start is the answer.

    Args:
        inner: gives the start; normal in every layer.
        steps: how many.
        rate: the first step.
    """

    inner: Recognition
    # an array, so that one compiled program takes any number of steps
    steps: Int[Array, ""] = eqx.field(default=20, converter=lambda count: jnp.asarray(count, jnp.int32))
    rate: float = eqx.field(static=True, default=RATE)
    layers: ClassVar[tuple[Layer, ...]] = ()

    def __check_init__(self) -> None:
        """Refuse no step at all."""
        if self.steps < 1:
            raise InputError(f"Refinement takes at least 1 step, got {int(self.steps)}.")

    def path(self, x: AnyExample, generative: Stack) -> tuple[Posterior, ...]:
        """The refined posterior; no gradient passes through it."""
        view, fixed = as_example(x).view, stop_gradient(generative)
        start = stop_gradient(self.inner.path(x, fixed)[-1])
        step_key, check_key = jr.split(jr.key(SEED))
        optimizer = optax.adam(lambda i: self.rate * 0.5 * (1.0 + jnp.cos(math.pi * i / self.steps)))

        def bounds(offsets: tuple[Offset, ...], key: Key[Array, ""], pairs: int) -> Float[Array, " pairs"]:
            return path_bounds(key, fixed, view, moved_posterior(start, offsets), pairs=pairs)

        def step(i: Array, carry: tuple) -> tuple:
            offsets, memory = carry
            slope = jax.grad(lambda o: -bounds(o, jr.fold_in(step_key, i), PAIRS).mean())(offsets)
            with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its integer counts
                updates, memory = optimizer.update(slope, memory)
            return optax.apply_updates(offsets, updates), memory

        first = no_offsets(start)
        last, _ = jax.lax.fori_loop(0, self.steps, step, (first, optimizer.init(first)))
        both = jax.tree.map(lambda a, b: jnp.stack([a, b]), first, last)
        before, after = jax.vmap(lambda o: bounds(o, check_key, CHECK_PAIRS))(both)
        gain = after - before
        kept = gain.mean() > -gain.std() / math.sqrt(CHECK_PAIRS - 1)  # false where it is no number
        chosen = jax.tree.map(lambda new, old: jax.lax.stop_gradient(jnp.where(kept, new, old)), last, first)
        return (moved_posterior(start, chosen),)


def refined(model: Model, steps: int, *, rate: float = RATE) -> Model:
    """The model with a posterior for each example that is refined from its recognition model's answer.

    Args:
        model: with Gaussian latents.
        steps: of each refinement.
        rate: the first step, in standard deviations.

    Raises:
        InputError: no latents, latents that are not Gaussian under q, or no step.
    """
    model.require_latents("Refinement")
    found = Model(model.generative, Refined(model.recognition, steps, rate), globals=model.globals)
    example = jax.tree.map(lambda shape: jax.ShapeDtypeStruct(shape.shape, shape.dtype), _example_shape(model))
    eqx.filter_eval_shape(found.posterior, example)
    return found


def _example_shape(model: Model) -> Example:
    def drawn(key: Key[Array, ""]) -> Example:
        size = model.generative.context_size
        context = jnp.zeros(size, jnp.float32) if size else None
        return Example(model.generative.sample(key, context)[0], context=context)

    return eqx.filter_eval_shape(drawn, jr.key(0))
