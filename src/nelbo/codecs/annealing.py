"""Better whole numbers for one picture at a fixed decoder: stochastic Gumbel annealing and what it is compared with.

The latents of one picture are fitted to the loss that its file is judged by, rate and distortion, by gradients through
a relaxation of rounding that hardens as it goes (Yang, Bamler and Mandt 2020, "Improving inference for neural image
compression", section 3.2). The decoder is that of any other file.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from nelbo.core import Example, InputError, choice, compiled
from nelbo.models import Latents, Model, Reads, fill, named_arrays, skeleton

METHODS = {
    "sga": "each number is drawn between its two neighbours, ever more certainly",
    "annealing": "the same without noise: the mean of the two neighbours, weighed ever more unevenly",
    "straight-through": "rounded, with gradients as if it were not",
    "uniform": "noise of width one, as in training",
    "map": "left as it is, and rounded at the end",
}
PUBLISHED_STEPS = 2000  # for which the temperatures are those of the paper
_LEAST, _EDGE = 1e-8, 1e-5
# of a sender's own choice: how far towards the real numbers annealing begins, at most
_TOWARDS, _AT_MOST = 0.2, 0.49
# of a normal q of hyper-latents: log of its first deviation, rate of Adam, draws for its bound
_FIRST_LOG_SCALE, _RATE_OF_Q, _DRAWS = -1.0, 0.02, 20


class AnnealingSchedule(NamedTuple):
    """How far and how freely latents move.

    Args:
        rate: of Adam, in steps of the grid.
        hottest: the temperature for the first third of the time.
    """

    rate: float = 0.005
    hottest: float = 0.5


PUBLISHED, FROM_A_CHOICE = AnnealingSchedule(), AnnealingSchedule(hottest=0.2)


def temperature(
    step: Float[Array, ""], steps: int | Int[Array, ""], hottest: float = PUBLISHED.hottest
) -> Float[Array, ""]:
    """Tau at a step: the hottest for a third of the time, then falling to 0.27 of it (2000 steps: e^-0.001 a step)."""
    place = step * (PUBLISHED_STEPS / steps)
    return jnp.clip(hottest * jnp.exp(-1e-3 * (place - 700.0)), _LEAST, hottest)


def neighbour_logits(y: Float[Array, "*d"], tau: Float[Array, ""]) -> tuple[Float[Array, "*d"], Float[Array, "*d"]]:
    """Log weights of the whole numbers below and above, up to a constant: -atanh of the distance over tau."""
    part = jnp.clip(y - jnp.floor(y), 0.0, 1.0 - _EDGE)
    return -jnp.arctanh(part) / tau, -jnp.arctanh(jnp.clip(1.0 - part, 0.0, 1.0 - _EDGE)) / tau


def relaxed(key: Key[Array, ""], y: Float[Array, "*d"], tau: Float[Array, ""], method: str) -> Float[Array, "*d"]:
    """What stands for the whole numbers of y in a step of a method.

    Args:
        key: for the noise.
        y: real numbers.
        tau: the temperature.
        method: see `METHODS`.
    """
    if method == "map":
        return y
    if method == "uniform":
        return y + jr.uniform(key, y.shape, y.dtype, -0.5, 0.5)
    if method == "straight-through":
        return y + jax.lax.stop_gradient(jnp.round(y) - y)
    below, above = neighbour_logits(y, tau)
    if method == "sga":
        noise = jr.gumbel(key, (2, *y.shape), y.dtype)
        below, above = (below + noise[0]) / tau, (above + noise[1]) / tau
    return jnp.floor(y) + jax.nn.sigmoid(above - below)


def _annealed(
    loss: Callable[[Any, Latents], Float[Array, ""]],
    given: Any,
    start: Latents,
    key: Key[Array, ""],
    steps: Int[Array, ""],
    how: tuple,
) -> Latents:
    method, schedule, whole = how
    optimizer = optax.adam(schedule.rate)

    def step(number: Any, carry: Any) -> Any:
        z, state = carry
        tau = temperature(jnp.asarray(number, jnp.float32), steps, schedule.hottest)
        keys = jr.split(jr.fold_in(key, number), len(z))

        def relaxed_loss(z: Latents) -> Float[Array, ""]:
            return loss(given, tuple(relaxed(k, part, tau, method) for k, part in zip(keys, z, strict=True)))

        slope = jax.grad(relaxed_loss)(z)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its integer counts
            moves, state = optimizer.update(slope, state)
        return optax.apply_updates(z, moves), state

    z, _ = jax.lax.fori_loop(0, steps, step, (start, optimizer.init(start)))
    return jax.tree.map(jnp.round, z) if whole else z


# less of the optimizer makes it twice as fast too: 38 ms a step of 256 x 256 pixels against 92
_run = compiled(_annealed, seldom=True)


def annealed(
    key: Key[Array, ""],
    loss: Callable[[Any, Latents], Float[Array, ""]],
    given: Any,
    start: Latents,
    *,
    steps: int,
    method: str = "sga",
    schedule: AnnealingSchedule = PUBLISHED,
    whole: bool = True,
) -> Latents:
    """Whole numbers near a start at which a loss is small.

    Args:
        key: for the noise.
        loss: of `given` and the latents; a function of a module, since each is compiled once.
        given: the loss's first argument (the model, the picture).
        start: real numbers, the encoder's.
        steps: of Adam.
        method: see `METHODS`.
        schedule: of the steps.
        whole: round them at the end.

    Raises:
        InputError: an unknown method, or fewer than one step.
    """
    choice("method of refinement", method, METHODS)
    if steps < 1:
        raise InputError(f"refine is a number of steps, at least one, got {steps}.")
    # an array, so that another number of steps is the same program
    return _run(loss, given, start, key, jnp.asarray(steps), (method, schedule, whole))


def refined_picture(
    key: Key[Array, ""],
    model: Model,
    x: np.ndarray,
    log_step: float,
    *,
    steps: int,
    thrift: float,
    chosen: Sequence[np.ndarray] | None = None,
) -> list[np.ndarray] | None:
    """Whole numbers of each band of a picture, the coarsest first, that cost less than those of one pass.

    None where so few steps find none: their noise has not settled.

    Args:
        key: for the noise.
        model: an image codec.
        x: `(height, width, 3)`, grey levels, sides multiples of four blocks.
        log_step: log2 of the step.
        steps: of Adam.
        thrift: weight of the rate.
        chosen: what the sender chose by rate and distortion, near which the search begins; None: it rounds.
    """
    given, start = _begun(model, x, log_step, thrift)
    before, found = _searched(key, given, start, steps, chosen)
    if _loss(given, found) >= _loss(given, before):
        return None
    return [np.asarray(part, np.int64) for part in reversed(found)]


def _searched(
    key: Key[Array, ""], given: Any, start: Latents, steps: int, chosen: Sequence[np.ndarray] | None
) -> tuple[Latents, Latents]:
    """The whole numbers of one pass, and those of annealing.

    A choice by rate and distortion is sparse, and annealing at the published temperatures would stir it up: it begins
    near the choice, and cooler.
    """
    if chosen is None:
        return jax.tree.map(jnp.round, start), annealed(key, picture_loss, given, start, steps=steps)
    before = tuple(jnp.asarray(part, jnp.float32) for part in reversed(chosen))
    near = tuple(
        own + jnp.clip(_TOWARDS * (real - own), -_AT_MOST, _AT_MOST) for own, real in zip(before, start, strict=True)
    )
    return before, annealed(key, picture_loss, given, near, steps=steps, schedule=FROM_A_CHOICE)


@dataclasses.dataclass(frozen=True)
class Gaps:
    """Why a picture's code is longer than it need be, in bits of rate at an equal exchange with distortion.

    The loss is rate + distortion / thrift, in bits. Cremer, Li and Duvenaud (2018) and Yang, Bamler and Mandt (2020)
    tell these gaps apart.

    Args:
        amortization: loss at the encoder's latents less that at the best real ones that were found for this picture.
        discretization: loss at the whole numbers that are sent, the better of one pass's and annealing's, less that at
            the best real ones.
        marginalization: what latents cost that are sent as side information and need not be, at the whole numbers
            that are sent: their rate less the negative ELBO of a normal q of the side information, fitted to this
            picture. Zero where nothing is sent beside the picture's own coefficients, and where it gets its bits back.
    """

    amortization: float
    discretization: float
    marginalization: float = 0.0

    def __add__(self, other: "Gaps") -> "Gaps":
        """Those of two parts of a picture together."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Gaps(*(a + b for a, b in pairs))


def picture_gaps(
    key: Key[Array, ""],
    model: Model,
    x: np.ndarray,
    log_step: float,
    *,
    steps: int,
    thrift: float,
    chosen: Sequence[np.ndarray] | None = None,
) -> Gaps:
    """The gaps of a picture, the best real latents being those of so many steps; arguments as of `refined_picture`."""
    given, start = _begun(model, x, log_step, thrift)
    sga_key, map_key = jr.split(key)
    real = annealed(map_key, picture_loss, given, start, steps=steps, method="map", whole=False)
    sent = min(_searched(sga_key, given, start, steps, chosen), key=lambda z: float(_loss(given, z)))
    at_start, at_real, at_sent = (float(_loss(given, z)) for z in (start, real, sent))
    at_real = min(at_real, at_start, at_sent)  # all are real numbers, and so few steps may find no better ones
    bit = thrift * math.log(2.0)
    found = Gaps((at_start - at_real) / bit, (at_sent - at_real) / bit)
    if model.generative.layers[0].reads is not Reads.NEAREST or len(sent) < 2:
        return found  # the picture is made of all latents that are sent: none of them is side information
    cost, marginal = marginal_cost(key, given, sent, steps)
    return dataclasses.replace(found, marginalization=(cost - marginal) / math.log(2.0))


def marginal_cost(key: Key[Array, ""], given: Any, z: Latents, steps: int) -> tuple[float, float]:
    """What whole latents cost with side information that is sent, and with one that gets its bits back [nats].

    The latter is an upper bound on -log p(lower latents): the negative ELBO of a normal q of the uppermost ones that is
    fitted to this picture, where their prior is taken for a density of real numbers.

    Args:
        key: for the draws of q.
        given: see `picture_loss`.
        z: whole numbers.
        steps: of Adam.
    """
    *lower, top = z
    log_scale = jnp.full(top.shape, _FIRST_LOG_SCALE)
    q = _fitted_q(given, tuple(lower), (top, log_scale), key, steps)
    bounds = [_at_draw(given, tuple(lower), q, jr.fold_in(key, draw)) for draw in range(_DRAWS)]
    return float(_rate(given, z)), float(np.mean([float(bound) for bound in bounds]))


def _free_energy(given: Any, lower: Latents, q: tuple[Array, Array], key: Key[Array, ""]) -> Float[Array, ""]:
    noise = jr.normal(key, q[0].shape)
    log_q = (-0.5 * noise**2 - q[1] - 0.5 * math.log(2.0 * math.pi)).sum()
    return picture_rate(given, (*lower, q[0] + jnp.exp(q[1]) * noise)) + log_q


def _fitted(given: Any, lower: Latents, q: tuple[Array, Array], key: Key[Array, ""], steps: int) -> tuple[Array, Array]:
    optimizer = optax.adam(_RATE_OF_Q)

    def step(number: Any, carry: Any) -> Any:
        q, state = carry
        slope = jax.grad(lambda q: _free_energy(given, lower, q, jr.fold_in(key, number)))(q)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its integer counts
            moves, state = optimizer.update(slope, state)
        return optax.apply_updates(q, moves), state

    return jax.lax.fori_loop(0, steps, step, (q, optimizer.init(q)))[0]


_fitted_q, _at_draw = compiled(_fitted), compiled(_free_energy)


def _begun(model: Model, x: np.ndarray, log_step: float, thrift: float) -> tuple[Any, Latents]:
    """What `picture_loss` is given, and the encoder's latents before rounding."""
    model = for_extent(model, (x.shape[0], x.shape[1]))
    context, pixels = jnp.full(1, log_step, jnp.float32), jnp.asarray(x, jnp.float32)
    start = _start(model, Example(pixels, context=context))
    return (model, pixels, context, jnp.asarray(thrift, jnp.float32)), start


@compiled
def _start(model: Model, x: Example) -> Latents:
    """What the recognition model gives before rounding, of latents that are told by the picture alone.

    Those that are told by the latents below them follow from these, and are not fitted.
    """
    posterior = model.posterior(x)
    told = [i for i, reads in enumerate(model.recognition.reads) if reads is Reads.FURTHEST]
    return tuple(jnp.asarray(posterior.part(i, ()).mean) for i in told)


def for_extent(model: Model, sides: tuple[int, int]) -> Model:
    """The image codec with the same arrays for pictures of other sides.

    Args:
        model: an image codec.
        sides: height and width.
    """
    if model.spec is None:
        raise InputError("This model has no specification, so it cannot be used on pictures of other sizes.")
    arguments = model.spec.arguments | {"shape": [*sides, 3]}
    return fill(skeleton(model.spec.name, arguments), named_arrays(model), "the model")


def picture_loss(given: tuple[Model, Array, Array, Array], z: Latents) -> Float[Array, ""]:
    """-log p(x | z) - thrift log p(z) of a picture [nats], less what does not depend on z.

    Args:
        given: the model, its pixels, log2 of the step, and what a nat of rate weighs.
        z: the latents; what is left out is drawn from q given those below, always by the same noise.
    """
    model, x, context, thrift = given
    pixels = model.generative.layers[0](z, context)
    return thrift * picture_rate(given, z) + 0.5 * (((x - pixels.mean) / pixels.variance**0.5) ** 2).sum()


def picture_rate(given: tuple[Model, Array, Array, Array], z: Latents) -> Float[Array, ""]:
    """-log p(z), and + log q of what is drawn [nats]; arguments as of `picture_loss`."""
    model, x, context, _ = given
    layers, q = model.generative.layers, model.recognition.layers
    rate = jnp.zeros((), jnp.float32)
    for i in range(len(z), model.depth):
        part = q[i](z[::-1], context)
        drawn = jnp.asarray(part.sample(jr.key(i)))
        rate, z = rate + jnp.sum(jnp.asarray(part.log_prob(drawn))), (*z, drawn)
    nodes = (x, *z)
    terms = [jnp.sum(jnp.asarray(layers[i](nodes[i + 1 :], context).log_prob(nodes[i]))) for i in range(1, len(nodes))]
    return rate - jnp.stack(terms).sum()


_loss, _rate = compiled(picture_loss, seldom=True), compiled(picture_rate, seldom=True)
