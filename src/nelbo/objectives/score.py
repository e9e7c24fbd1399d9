"""Score-function gradients for any latents, with the variance reductions of NVIL and of VIMCO."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int, Key

from nelbo.core import AnyExample, Example, InputError, log_mean_exp
from nelbo.distributions import example_shape
from nelbo.models import Model, Reads, detached
from nelbo.nets import MLP
from nelbo.objectives.base import (
    BoundKind,
    ExampleObjective,
    Loss,
    Objective,
    ObjectiveState,
    batch_mean,
    bound_metrics,
    over_batch,
)


class Statistics(eqx.Module):
    """Moving averages of the learning signals of past batches, one entry for each signal [nats].

    Args:
        mean: c of the paper.
        variance: v of the paper [nats^2].
        count: batches seen.
    """

    mean: Float[Array, " signals"]
    variance: Float[Array, " signals"]
    count: Int[Array, ""]

    def updated(self, signals: Float[Array, "batch signals"], decay: float) -> "Statistics":
        """With one more batch. The first batches count fully, so that the start at zero leaves no trace."""
        rate = (1.0 - decay) / (1.0 - decay ** (self.count + 1).astype(jnp.float32))
        mean = self.mean + rate * (signals.mean(0) - self.mean)
        variance = self.variance + rate * (signals.var(0) - self.variance)
        return Statistics(mean, variance, self.count + 1)


class ScoreFunction(Objective):
    """The evidence lower bound by d/dphi = E[(signal - baseline) d log q], with every variance reduction by choice.

    With z ~ q(z|x) and l = log w, the gradient of theta is d log p(x, z), that of phi is the sum over signals of
    (l_i - C_i - c_i) / max(1, sqrt(v_i)) d log q_i. Everything that is subtracted is independent of the draw it
    multiplies: c and v come from the batches before, so the estimate is unbiased (up to the scale that normalization
    gives each layer). Source: Mnih and Gregor (2014), algorithm 1 and section 2.3.

    Args:
        baseline: C_i, networks with tanh units that train with the model: one on what the recognition model sees of x;
            with local signals one more on each layer of latents but the last.
        centring: subtract the moving average c of past batches.
        normalization: divide by the moving standard deviation where it is above one.
        local: each latent layer has its own signal, log p(z_{i-1}, z_i, ..., z_L) - log q(z_i, ..., z_L | z_{i-1}),
            with its own c, v and baseline; else one signal, log w, for all. It is unbiased only where each layer of p
            and of q reads no other node than its nearest. None: wherever it is unbiased.
        decay: alpha of the moving averages.
        hidden: widths of the baselines' hidden layers.
    """

    references: ClassVar[tuple[str, ...]] = ("mnih2014",)
    kind: ClassVar[BoundKind] = "lower"
    baseline: bool = eqx.field(static=True, default=True)
    centring: bool = eqx.field(static=True, default=True)
    normalization: bool = eqx.field(static=True, default=True)
    local: bool | None = eqx.field(static=True, default=None)
    decay: float = eqx.field(static=True, default=0.8)
    hidden: tuple[int, ...] = eqx.field(static=True, default=(100,))

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if not 0.0 <= self.decay < 1.0:
            raise InputError(f"The decay of the moving averages must be in [0, 1), got {self.decay}.")
        if any(width < 1 for width in self.hidden):
            raise InputError(f"The baselines' hidden layers need at least one unit each, got {list(self.hidden)}.")

    def init(self, key: Key[Array, ""], model: Model) -> ObjectiveState:
        """Fresh baselines, and no batch seen yet.

        Raises:
            InputError: local signals for a model in which they are biased.
        """
        if self.local and not local_signals_hold(model):
            raise InputError(
                "Local learning signals need a model in which each layer, of p and of q, reads only the one next to "
                "it: switch local signals off."
            )
        signals = model.depth if self._is_local(model) else 1
        zeros = jnp.zeros(signals, jnp.float32)
        return ObjectiveState(self._baselines(key, model, signals), Statistics(zeros, zeros, jnp.zeros((), jnp.int32)))

    def _is_local(self, model: Model) -> bool:
        return local_signals_hold(model) if self.local is None else self.local

    def _baselines(self, key: Key[Array, ""], model: Model, signals: int) -> tuple[MLP, ...] | None:
        if not self.baseline or not signals:  # without latents there is no score
            return None
        x, *z = (example_shape(part) for part in model.generative.shapes())
        seen = jax.eval_shape(model.recognition.see, Example(jax.ShapeDtypeStruct(x, jnp.float32))).shape
        below = [math.prod(shape) for shape in (seen, *z)][:signals]
        keys = jr.split(key, len(below))
        return tuple(MLP(k, (size, *self.hidden, 1)) for k, size in zip(keys, below, strict=True))

    def __call__(
        self, key: Key[Array, ""], model: Model, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        terms = over_batch(lambda k, x: self._terms(k, model, x, state.trained), key, batch)
        log_p, log_q, baseline = terms
        past: Statistics = state.carried
        local = self._is_local(model)
        signal = _local_signals(log_p, log_q) if local else (log_p.sum(1) - log_q.sum(1))[:, None]
        score = log_q if local else log_q.sum(1, keepdims=True)
        residual = stop_gradient(signal if baseline is None else signal - baseline)
        advantage = residual - past.mean[None, :] if self.centring else residual
        if self.normalization:
            advantage = advantage / jnp.maximum(1.0, jnp.sqrt(past.variance))[None, :]
        # the advantage times dC is the gradient of C's squared error, in units of the normalized signal
        learned = score if baseline is None else score + baseline
        # averaged before they are combined: XLA repeats the likelihood for every mean that is taken of it
        mean_p, mean_q, gain = batch_mean((log_p, log_q, advantage * learned), batch)
        surrogate = -(mean_p.sum() + gain.sum())
        kl = mean_q.sum() - mean_p[1:].sum()
        metrics = {"reconstruction": mean_p[0], "kl": kl}
        after = ObjectiveState(state.trained, past.updated(residual, self.decay))
        return Loss(surrogate, mean_p[0] - kl, metrics), after

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """The bound of each example."""
        return over_batch(lambda k, x: model.draw(k, x).log_w, key, batch)

    def _terms(
        self, key: Key[Array, ""], model: Model, x: AnyExample, baselines: tuple[MLP, ...] | None
    ) -> tuple[Float[Array, " nodes"], Float[Array, " layers"], Float[Array, " signals"] | None]:
        """Log p of each node, log q of each layer, and the baselines, of one draw."""
        draw = model.draw(key, x, detached)
        if baselines is None:
            return draw.log_p, draw.log_q, None
        below = (stop_gradient(model.recognition.see(x)), *draw.z)
        return draw.log_p, draw.log_q, jnp.concatenate([net(node) for net, node in zip(baselines, below, strict=False)])


def local_signals_hold(model: Model) -> bool:
    """Whether each layer, of p and of q, reads no other node than its nearest, so that local signals are unbiased."""
    near = {Reads.NONE, Reads.NEAREST}
    below = model.recognition.reads
    # the first layer of q has the example alone, which is both the nearest and the furthest
    return all(layer.reads in near for layer in model.generative.layers) and all(reads in near for reads in below[1:])


def _local_signals(
    log_p: Float[Array, "batch nodes"], log_q: Float[Array, "batch layers"]
) -> Float[Array, "batch layers"]:
    """l_i = log p(z_{i-1} | z_i) + ... + log p(z_L) - log q(z_i, ..., z_L | z_{i-1}), for i = 1 .. L."""
    suffix_p = jnp.cumsum(log_p[:, ::-1], axis=1)[:, ::-1]
    suffix_q = jnp.cumsum(log_q[:, ::-1], axis=1)[:, ::-1]
    return suffix_p[:, :-1] - suffix_q


class Vimco(ExampleObjective):
    """The importance-weighted bound by score-function gradients with leave-one-out baselines.

    For draw j the baseline is the bound with log w_j replaced by the mean of the others. Nothing is trained besides
    the model. Source: Mnih and Rezende (2016), eq. 8 to 12.

    Args:
        num_samples: K >= 2 draws for each example.
    """

    references: ClassVar[tuple[str, ...]] = ("mnih2016",)
    kind: ClassVar[BoundKind] = "lower"
    num_samples: int = eqx.field(static=True, default=5)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if self.num_samples < 2:
            raise InputError(f"VIMCO compares draws, so it needs at least 2 samples, got {self.num_samples}: use nvil.")

    def example(self, key: Key[Array, ""], model: Model, x: AnyExample) -> Loss:
        """The importance-weighted bound, and its score-function surrogate."""
        draws = jax.vmap(lambda k: model.draw(k, x, detached))(jr.split(key, self.num_samples))
        log_w = draws.log_w
        bound = log_mean_exp(log_w)
        advantage = stop_gradient(bound - leave_one_out_bounds(log_w))
        surrogate = -(bound + (advantage * draws.log_q.sum(-1)).sum())
        return Loss(surrogate, bound, bound_metrics(draws))


def leave_one_out_bounds(log_w: Float[Array, " k"]) -> Float[Array, " k"]:
    """For each draw, the bound with its log w replaced by the mean of the other draws' [nats]."""
    count = log_w.shape[0]
    others = (log_w.sum() - log_w) / (count - 1)
    replaced = jnp.where(jnp.eye(count, dtype=bool), others[:, None], log_w[None, :])
    return log_mean_exp(replaced, axis=1)
