"""Covariance functions of time, each for several latents at once, with learned lengths.

A kernel holds one parameter for each latent and gives their covariance matrices as one array, `(latents, n, m)`. Scales
of latents are fixed at one (the decoder has its own), so that lengths alone are learned; a sum of kernels is their
mean, which is one at lag zero again. Kernels whose process is Markov in a finite state say so (`is_markov`), see
`nelbo.priors.state_space`.
"""

import abc
import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from nelbo.core import InputError, choice

# how far a learned length may leave its first value: a factor of 1000 either way
_LOG_FACTOR = 7.0


class Kernel(eqx.Module):
    """Abstract: k(t, u) of several latents; all but `Linear` are one at lag zero."""

    @abc.abstractmethod
    def __call__(self, t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "latents n m"]:
        """The covariance of f(t) and f(u), for each latent."""

    @property
    @abc.abstractmethod
    def is_markov(self) -> bool:
        """Whether `state` gives an exact state-space form."""

    def state(self) -> "State":
        """The state-space form.

        Raises:
            InputError: there is none of finite size.
        """
        raise InputError(
            f"{type(self).__name__} is no Markov process: use matern12, matern32, matern52, cosine, or sums and "
            "products of them, or leave the state-space form out."
        )


class State(eqx.Module):
    """A stationary process as a linear state-space model: f(t) = h's(t), s(t + d) = A(d) s(t) + noise.

    The noise has the covariance P - A P A', where P is that of s(t) at all times.

    Args:
        transition: from a time difference `()` to A, `(latents, size, size)`.
        covariance: P, `(latents, size, size)`.
        output: h, `(size,)`.
    """

    transition: Callable[[Float[Array, ""]], Float[Array, "latents size size"]]
    covariance: Float[Array, "latents size size"]
    output: Float[Array, " size"]


class Lengths(eqx.Module):
    """Positive numbers, one for each latent, that are trained on a logarithmic scale.

    Args:
        first: `(latents,)`, where they begin.
        learn: train them.
    """

    first: tuple[float, ...] = eqx.field(static=True)
    log_factor: Float[Array, " latents"] | None

    def __init__(self, first: tuple[float, ...], *, learn: bool = True) -> None:
        if not all(0.0 < value < math.inf for value in first):
            raise InputError(f"Lengths of kernels must be positive numbers, got {list(first)}.")
        self.first = tuple(map(float, first))
        self.log_factor = jnp.zeros(len(first), jnp.float32) if learn else None

    def __call__(self) -> Float[Array, " latents"]:
        """The numbers."""
        first = jnp.asarray(self.first, jnp.float32)
        if self.log_factor is None:
            return first
        return first * jnp.exp(_LOG_FACTOR * jnp.tanh(self.log_factor / _LOG_FACTOR))

    def column(self) -> Float[Array, "latents 1 1"]:
        """The numbers, to be divided by."""
        return self()[:, None, None]


def _lags(t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "1 n m"]:
    return jnp.abs(t[None, :, None] - u[None, None, :])


class White(Kernel):
    """k = 1 where t is u, else 0: latents of different times are independent, as in a plain auto-encoder."""

    latents: int = eqx.field(static=True)
    is_markov: ClassVar[bool] = False

    def __call__(self, t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "latents n m"]:
        """See `Kernel`."""
        same = jnp.where(_lags(t, u) == 0.0, 1.0, 0.0).astype(t.dtype)
        return jnp.broadcast_to(same, (self.latents, *same.shape[1:]))


class RBF(Kernel):
    """k = exp(-(t - u)^2 / (2 l^2)): smooth functions."""

    lengths: Lengths
    is_markov: ClassVar[bool] = False

    def __call__(self, t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "latents n m"]:
        """See `Kernel`."""
        return jnp.exp(-0.5 * (_lags(t, u) / self.lengths.column()) ** 2)


class Cauchy(Kernel):
    """k = 1 / (1 + (t - u)^2 / l^2): a mixture of RBF kernels of all lengths (Fortuin et al. 2020, section 3.2)."""

    lengths: Lengths
    is_markov: ClassVar[bool] = False

    def __call__(self, t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "latents n m"]:
        """See `Kernel`."""
        return 1.0 / (1.0 + (_lags(t, u) / self.lengths.column()) ** 2)


class Periodic(Kernel):
    """k = exp(-2 sin^2(pi (t - u) / p) / l^2): functions that repeat with the period p.

    Args:
        periods: p, in units of time.
        lengths: l, without a unit; the shorter, the faster it varies within a period.
    """

    periods: Lengths
    lengths: Lengths
    is_markov: ClassVar[bool] = False

    def __call__(self, t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "latents n m"]:
        """See `Kernel`."""
        wave = jnp.sin(math.pi * _lags(t, u) / self.periods.column())
        return jnp.exp(-2.0 * (wave / self.lengths.column()) ** 2)


class Cosine(Kernel):
    """k = cos(2 pi (t - u) / p): sinusoids of one period, amplitude and phase unknown."""

    periods: Lengths
    is_markov: ClassVar[bool] = True

    def __call__(self, t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "latents n m"]:
        """See `Kernel`."""
        return jnp.cos(2.0 * math.pi * _lags(t, u) / self.periods.column())

    def state(self) -> State:
        """A rotation."""

        def transition(step: Float[Array, ""]) -> Float[Array, "latents 2 2"]:
            angle = 2.0 * math.pi * step / self.periods()
            return _matrix([[jnp.cos(angle), jnp.sin(angle)], [-jnp.sin(angle), jnp.cos(angle)]])

        return State(transition, _constant([[1.0, 0.0], [0.0, 1.0]], self.periods()), jnp.asarray([1.0, 0.0]))


class Linear(Kernel):
    """k = 1 + t u / l^2: straight lines; t is counted from the beginning of a window."""

    lengths: Lengths
    is_markov: ClassVar[bool] = False

    def __call__(self, t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "latents n m"]:
        """See `Kernel`."""
        return 1.0 + t[None, :, None] * u[None, None, :] / self.lengths.column() ** 2


class Matern(Kernel):
    """Matern kernels of smoothness 1/2, 3/2 and 5/2: Markov processes of 1, 2 and 3 numbers.

    States are f and its first derivatives, each divided by a power of the rate sqrt(2 nu) / l, so that all are of the
    same size whatever the length.

    Args:
        lengths: l.
        order: 0, 1 or 2, how often f can be differentiated.
    """

    lengths: Lengths
    order: int = eqx.field(static=True)
    is_markov: ClassVar[bool] = True

    @property
    def rates(self) -> Float[Array, " latents"]:
        """The rate sqrt(2 nu) / l of each latent."""
        return math.sqrt(2 * self.order + 1) / self.lengths()

    def __call__(self, t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "latents n m"]:
        """See `Kernel`."""
        x = _lags(t, u) * self.rates[:, None, None]
        polynomial = (jnp.ones_like(x), 1.0 + x, 1.0 + x + x**2 / 3.0)[self.order]
        return polynomial * jnp.exp(-x)

    def state(self) -> State:
        """See `Kernel`; exp(F d) is exp(-x) times a polynomial, for F + I is nilpotent."""
        drift = jnp.asarray(_DRIFTS[self.order], jnp.float32)
        size = self.order + 1
        nilpotent = drift + jnp.eye(size, dtype=drift.dtype)

        def transition(step: Float[Array, ""]) -> Float[Array, "latents size size"]:
            x = (step * self.rates)[:, None, None]
            power, total = jnp.eye(size, dtype=x.dtype), jnp.zeros((1, size, size), x.dtype)
            for i in range(size):
                total = total + x**i / math.factorial(i) * power[None]
                power = power @ nilpotent.astype(x.dtype)
            return jnp.exp(-x) * total

        output = jnp.zeros(size, jnp.float32).at[0].set(1.0)
        return State(transition, _constant(_STATIONARY[self.order], self.lengths()), output)


_DRIFTS = ([[-1.0]], [[0.0, 1.0], [-1.0, -2.0]], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, -3.0, -3.0]])
_STATIONARY = (
    [[1.0]],
    [[1.0, 0.0], [0.0, 1.0]],
    [[1.0, 0.0, -1.0 / 3.0], [0.0, 1.0 / 3.0, 0.0], [-1.0 / 3.0, 0.0, 1.0]],
)


class Sum(Kernel):
    """The mean of two kernels: a process that is the sum of two."""

    one: Kernel
    other: Kernel

    @property
    def is_markov(self) -> bool:
        """Whether both are."""
        return self.one.is_markov and self.other.is_markov

    def __call__(self, t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "latents n m"]:
        """See `Kernel`."""
        return 0.5 * (self.one(t, u) + self.other(t, u))

    def state(self) -> State:
        """Both states, one after the other."""
        a, b = self.one.state(), self.other.state()

        def transition(step: Float[Array, ""]) -> Float[Array, "latents size size"]:
            return block_diagonal(a.transition(step), b.transition(step))

        covariance = 0.5 * block_diagonal(a.covariance, b.covariance)
        return State(transition, covariance, jnp.concatenate([a.output, b.output]))


class Product(Kernel):
    """The product of two kernels, such as a periodic one that slowly changes its shape."""

    one: Kernel
    other: Kernel

    @property
    def is_markov(self) -> bool:
        """Whether both are."""
        return self.one.is_markov and self.other.is_markov

    def __call__(self, t: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, "latents n m"]:
        """See `Kernel`."""
        return self.one(t, u) * self.other(t, u)

    def state(self) -> State:
        """Kronecker products of the two states (Solin and Sarkka 2014)."""
        a, b = self.one.state(), self.other.state()

        def transition(step: Float[Array, ""]) -> Float[Array, "latents size size"]:
            return _kronecker(a.transition(step), b.transition(step))

        return State(transition, _kronecker(a.covariance, b.covariance), jnp.kron(a.output, b.output))


def block_diagonal(a: Float[Array, "*b n m"], b: Float[Array, "*b k l"]) -> Float[Array, "*b o p"]:
    """Two stacks of matrices as one stack of larger ones."""
    (n, m), (k, j) = a.shape[-2:], b.shape[-2:]
    whole = jnp.zeros((*a.shape[:-2], n + k, m + j), a.dtype)
    return whole.at[..., :n, :m].set(a).at[..., n:, m:].set(b)


def _kronecker(a: Float[Array, "l n n"], b: Float[Array, "l m m"]) -> Float[Array, "l k k"]:
    size = a.shape[-1] * b.shape[-1]
    return jnp.einsum("lij,lkm->likjm", a, b).reshape(len(a), size, size)


def _matrix(rows: list[list[Array]]) -> Float[Array, "latents n n"]:
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def _constant(rows: list[list[float]], like: Float[Array, " latents"]) -> Float[Array, "latents n n"]:
    matrix = jnp.asarray(rows, like.dtype)
    return jnp.broadcast_to(matrix, (len(like), *matrix.shape))


_SIMPLE: dict[str, Callable[[Lengths], Kernel]] = {
    "rbf": RBF,
    "cauchy": Cauchy,
    "matern12": lambda lengths: Matern(lengths, 0),
    "matern32": lambda lengths: Matern(lengths, 1),
    "matern52": lambda lengths: Matern(lengths, 2),
    "linear": Linear,
}
KERNELS = ("white", *_SIMPLE, "periodic", "cosine")


def kernel_named(text: str, lengths: tuple[float, ...], *, period: float | None = None, learn: bool = True) -> Kernel:
    """The kernel that a formula describes.

    Args:
        text: a name of `KERNELS`, or several joined by `*` and `+` (`*` binds closer), such as "matern32*cosine+rbf".
        lengths: one for each latent, where learning begins [units of time].
        period: of periodic and cosine [units of time]; they need it.
        learn: train lengths and periods.

    Raises:
        InputError: an unknown name, or no period where one is needed.
    """
    terms = [part.strip() for part in text.split("+")]
    kernels = [_product(term, lengths, period, learn) for term in terms]
    found = kernels[0]
    for other in kernels[1:]:
        found = Sum(found, other)
    return found


def _product(text: str, lengths: tuple[float, ...], period: float | None, learn: Any) -> Kernel:
    factors = [_one(part.strip(), lengths, period, learn) for part in text.split("*")]
    found = factors[0]
    for other in factors[1:]:
        found = Product(found, other)
    return found


def _one(name: str, lengths: tuple[float, ...], period: float | None, learn: Any) -> Kernel:
    name = choice("kernel", name, KERNELS)
    if name == "white":
        return White(len(lengths))
    if name in _SIMPLE:
        return _SIMPLE[name](Lengths(lengths, learn=learn))
    if period is None:
        raise InputError(
            f"The kernel {name} needs a period: give it in units of a step (144 for a day of ten minutes)."
        )
    periods = Lengths((float(period),) * len(lengths), learn=learn)
    if name == "cosine":
        return Cosine(periods)
    return Periodic(periods, Lengths((1.0,) * len(lengths), learn=learn))
