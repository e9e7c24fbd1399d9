"""Lower bounds on the rate-distortion function of a source from samples, for squared error.

For every function u > 0 with sup_y E[exp(-lambda rho(X, y)) / u(X)] <= 1 it holds that R(D) >= E[-log u(X)] - lambda D
(Csiszar 1974). A network gives log u, and the supremum is divided out: C_k = sup_y (1/k) sum_i exp(-lambda rho(x_i, y))
/ u(x_i) is at least the true supremum in expectation, so with a constant a

    xi = -(1/k) sum_i log u(x_i) - C_k / a - log a + 1        [nats]

has a mean of at most R(D) + lambda D (Yang and Mandt 2022, section 4). That holds only if the supremum is found, so
what the search for it saw is told with every bound.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, as_example, compiled
from nelbo.nets import MLP, Frozen
from nelbo.objectives import BoundKind, Loss, Objective, ObjectiveState

_STARTS, _MOVES = 8, 10  # of each kind of start, and moves of each, in a step of training
_EVERY, _MOST_MOVES = 32, 100  # the same where the bound is evaluated
_LOOKED_AT = 512  # samples whose sums are compared to choose the starts, beside those of the largest weights
_STILL = 1e-5  # nats: a start that gains less has arrived
_SHARE = 10.0  # samples on the floor of u that would make up a C_k by themselves, to begin with
_AGREE = 1e-3  # nats: starts whose ends differ by less have found the same value
_STEEPEST = 5.0  # times a, of C_k: what a draw pulls at most


class LogU(eqx.Module):
    """log u(x) of a source around zero: that of a Gaussian source in closed form, a floor, a network's correction.

    The optimum of a Gaussian source is -x_j^2 / (2 max(s_j^2, theta)) along each principal axis, theta being the water
    level 1 / (2 lambda). Where u is far below 1 / k, single samples would make up C_k, so that u has a floor. Both
    train with the network, whose correction begins at zero.

    Args:
        key: for the weights.
        covariance: of the source.
        slope: lambda.
        hidden: widths of the network.
        group_size: k.
    """

    axes: Frozen
    log_precision: Float[Array, " d"]
    log_floor: Float[Array, ""]
    network: MLP

    def __init__(
        self,
        key: Key[Array, ""],
        covariance: Float[np.ndarray, "d d"],
        slope: float,
        hidden: Sequence[int],
        group_size: int,
    ) -> None:
        variances, axes = np.linalg.eigh(covariance)
        level = 0.5 / slope
        self.axes = Frozen(jnp.asarray(axes, jnp.float32))
        self.log_precision = jnp.asarray(-np.log(np.maximum(variances, level)), jnp.float32)
        # of a Gaussian source the supremum is the product of sqrt(theta / s_j^2) along the axes above the water
        log_c = -0.5 * np.log(np.maximum(variances, level) / level).sum()
        self.log_floor = jnp.asarray(math.log(_SHARE / group_size) - log_c, jnp.float32)
        network = MLP(key, (len(covariance), *hidden, 1), activation="silu")
        last = network.layers[-1]
        self.network = eqx.tree_at(lambda one: one.layers[-1].kernel, network, jnp.zeros_like(last.kernel))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Log u of one example."""
        along = x @ self.axes()
        curved = -0.5 * (jnp.exp(self.log_precision) * along**2).sum() + self.network(x)[0]
        return jnp.logaddexp(curved, self.log_floor)


class Supremum(eqx.Module):
    """What a search for the largest sum_i exp(log_w_i - lambda ||x_i - y||^2) over y found.

    Args:
        place: y.
        values: log of the sum at the end of each start [nats].
        gains: what the last move of each start gained [nats].
        best_start: log of the sum at the best place before any move [nats].
    """

    place: Float[Array, " d"]
    values: Float[Array, " starts"]
    gains: Float[Array, " starts"]
    best_start: Float[Array, ""]


def squared_distances(y: Float[Array, "m d"], x: Float[Array, "k d"]) -> Float[Array, "m k"]:
    """||y - x||^2 of each pair."""
    return jnp.maximum((y**2).sum(1)[:, None] + (x**2).sum(1)[None, :] - 2.0 * y @ x.T, 0.0)


def supremum(
    key: Key[Array, ""],
    x: Float[Array, "k d"],
    log_w: Float[Array, " k"],
    slope: Float[Array, ""],
    starts: int,
    moves: int,
) -> Supremum:
    """Climb a mixture of normals from many places.

    A move goes to the weighted mean of the x_i, weights as in the sum: expectation-maximization for modes
    (Carreira-Perpinan 2007), which climbs with every move and has no step size. All modes lie in the convex hull of
    the x_i. It starts from x_i with large sums, and from points halfway between random pairs. To choose the former it
    looks at those of the largest weights and at the first of the others, which are in no order.

    Args:
        key: for the pairs.
        x: centres.
        log_w: log weights of the sum.
        slope: lambda.
        starts: of each of the two kinds, at most k.
        moves: at most; it ends earlier where no start gains.
    """

    def terms(y: Float[Array, "m d"]) -> Float[Array, "m k"]:
        return log_w[None, :] - slope * squared_distances(y, x)

    def value(y: Float[Array, "m d"]) -> Float[Array, " m"]:
        return jax.nn.logsumexp(terms(y), axis=1)

    heavy = x[jax.lax.top_k(log_w, starts)[1]]
    looked_at = jnp.concatenate([heavy, x[:_LOOKED_AT]])
    best_start, chosen = jax.lax.top_k(value(looked_at), starts)
    pairs = jr.randint(key, (2, starts), 0, x.shape[0])
    begin = jnp.concatenate([looked_at[chosen], 0.5 * (x[pairs[0]] + x[pairs[1]])])

    def moving(state: tuple[Array, Array, Array, Array]) -> Array:
        done, _, _, gain = state
        return (done < moves) & (gain.max() > _STILL)

    def move(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        done, y, before, _ = state
        every = terms(y)
        now = jax.nn.logsumexp(every, axis=1)
        return done + 1, jax.nn.softmax(every, axis=1) @ x, now, now - before

    low = jnp.full(2 * starts, -jnp.inf, jnp.float32)
    first = (jnp.zeros((), jnp.int32), begin, low, jnp.full(2 * starts, jnp.inf, jnp.float32))
    _, y, _, gains = jax.lax.while_loop(moving, move, first)
    values = value(y)
    return Supremum(y[jnp.argmax(values)], values, gains, best_start[0])


class DualBound(Objective):
    """xi of the module's docstring, whose mean over samples is at most R(D) + lambda D; it trains a `LogU`.

    Args:
        slope: lambda.
    """

    references: ClassVar[tuple[str, ...]] = ("yang2022",)
    kind: ClassVar[BoundKind] = "lower"
    slope: Float[Array, ""]

    def init(self, key: Key[Array, ""], model: Any) -> ObjectiveState:
        """Log a, from the batches before; none yet."""
        del key, model
        return ObjectiveState(carried=jnp.full((), jnp.nan, jnp.float32))

    def __call__(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """The bound of a batch, all of which is one C_k."""
        x = _flat(batch)
        mean_log_u, log_c = self._terms(key, model, x)
        now = jax.lax.stop_gradient(log_c)
        log_a = jnp.where(jnp.isnan(state.carried), now, state.carried)
        bound = -mean_log_u - jnp.exp(jnp.minimum(now - log_a, 50.0)) - log_a + 1.0
        # the gradient of C_k / a is C_k / a times that of log C_k, kept from exploding while a lags behind
        surrogate = mean_log_u + jnp.minimum(jnp.exp(now - log_a), _STEEPEST) * log_c
        return Loss(surrogate, bound, {"log_c": now}), ObjectiveState(carried=0.9 * log_a + 0.1 * now)

    def bounds(self, key: Key[Array, ""], model: Any, batch: AnyExample) -> Float[Array, " batch"]:
        """-log u(x) - log C_k of each example, C_k being that of the batch."""
        x = _flat(batch)
        _, log_c = self._terms(key, model, x)
        return -jax.vmap(model)(x) - log_c

    def _terms(
        self, key: Key[Array, ""], model: Any, x: Float[Array, "k d"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Mean of log u, and log C_k, with gradients: by the envelope theorem, at a fixed y."""
        log_u = jax.vmap(model)(x)
        log_w = -log_u - math.log(x.shape[0])
        held = jax.lax.stop_gradient(log_w)
        found = supremum(key, x, held, self.slope, min(_STARTS, x.shape[0]), _MOVES)
        place = jax.lax.stop_gradient(found.place)
        return log_u.mean(), jax.nn.logsumexp(log_w - self.slope * squared_distances(place[None], x)[0])


def _flat(batch: AnyExample) -> Float[Array, "k d"]:
    values = as_example(batch).values
    return values.reshape(values.shape[0], -1)


@dataclasses.dataclass(frozen=True)
class LowerLine:
    """R(D) >= intercept - slope D for every D, in expectation over samples.

    Args:
        slope: lambda.
        intercept: mean of xi [nats].
        error: its standard error over groups of samples [nats]; None of a single group.
        groups: of samples.
        group_size: k.
        log_c: mean of log C_k [nats].
        starts: of the search for each supremum.
        arrived: share of starts whose last move gained less than 1e-5 nats.
        agreed: share of starts that ended within 1e-3 nats of the best.
        gained: by the search over the best sample [nats], at most over groups.
    """

    slope: float
    intercept: float
    error: float | None
    groups: int
    group_size: int
    log_c: float
    starts: int
    arrived: float
    agreed: float
    gained: float


@compiled
def _searched(
    key: Key[Array, ""], model: Any, x: Float[Array, "k d"], slope: Float[Array, ""], starts: int
) -> tuple[Float[Array, ""], Supremum]:
    log_u = jax.vmap(model)(x)
    return log_u.mean(), supremum(key, x, -log_u - math.log(x.shape[0]), slope, starts, _MOST_MOVES)


def lower_line(
    key: Key[Array, ""],
    model: LogU,
    slope: float,
    fitted: Float[np.ndarray, "n d"],
    held_out: Float[np.ndarray, "m d"],
    *,
    group_size: int,
) -> LowerLine:
    """The lower bound of a function u, on samples that had no part in its choice.

    Args:
        key: for the searches.
        model: log u.
        slope: lambda.
        fitted: samples to choose the constant a by.
        held_out: samples to evaluate the bound on, in groups.
        group_size: k, at most the numbers of both samples.
    """
    starts = min(_EVERY, group_size)

    def searched(rows: np.ndarray, number: int) -> tuple[float, Supremum]:
        mean, found = _searched(
            jr.fold_in(key, number), model, jnp.asarray(rows, jnp.float32), jnp.asarray(slope, jnp.float32), starts
        )
        return float(mean), jax.tree.map(np.asarray, found)

    before = [searched(fitted[i * group_size :][:group_size], i)[1] for i in range(min(4, len(fitted) // group_size))]
    log_a = float(np.log(np.mean(np.exp([one.values.max() for one in before]))))
    groups = [held_out[i * group_size :][:group_size] for i in range(len(held_out) // group_size)]
    found = [searched(rows, 100 + i) for i, rows in enumerate(groups)]
    tops = np.array([one.values.max() for _, one in found], float)
    bounds = -np.array([mean for mean, _ in found]) - np.exp(tops - log_a) - log_a + 1.0
    return LowerLine(
        slope=slope,
        intercept=float(bounds.mean()),
        error=float(bounds.std(ddof=1) / math.sqrt(len(bounds))) if len(bounds) > 1 else None,
        groups=len(groups),
        group_size=group_size,
        log_c=float(tops.mean()),
        starts=2 * starts,
        arrived=float(np.mean([(one.gains < _STILL).mean() for _, one in found])),
        agreed=float(np.mean([(one.values > one.values.max() - _AGREE).mean() for _, one in found])),
        gained=float(max(one.values.max() - one.best_start for _, one in found)),
    )
