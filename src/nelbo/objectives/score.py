"""Score-function gradients for any latents, with the variance reductions of NVIL and of VIMCO."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int, Key, PyTree

from nelbo.core import InputError, log_mean_exp, split, values_of
from nelbo.models import Example, Model, constant
from nelbo.nets import MLP
from nelbo.objectives.base import Loss, Objective, bound_metrics, mean_loss, over_batch


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
        baselines: C_i, networks that train with the model: one on x; with local signals one on the layer below each
            latent layer. None leaves them out.
        centring: subtract the moving average c of past batches.
        normalization: divide by the moving standard deviation where it is above one.
        local: each latent layer has its own signal, log p(z_{i-1}, z_i, ..., z_L) - log q(z_i, ..., z_L | z_{i-1}),
            with its own c, v and baseline; else one signal, log w, for all.
        decay: alpha of the moving averages.
    """

    references: ClassVar[tuple[str, ...]] = ("mnih2014",)
    baselines: tuple[MLP, ...] | None = None
    centring: bool = eqx.field(static=True, default=True)
    normalization: bool = eqx.field(static=True, default=True)
    local: bool = eqx.field(static=True, default=True)
    decay: float = eqx.field(static=True, default=0.8)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if not 0.0 <= self.decay < 1.0:
            raise InputError(f"The decay of the moving averages must be in [0, 1), got {self.decay}.")

    def init(self, model: Model) -> Statistics:
        """No batch seen yet."""
        layers = model.generative.layers[:-1]
        if self.local and any(getattr(layer, "parent", "nearest") != "nearest" for layer in layers):
            raise InputError(
                "Local learning signals need a generative model in which each layer sees only the one above it: "
                "switch local signals off."
            )
        signals = len(layers) if self.local else 1
        if self.baselines is not None and len(self.baselines) != signals:
            raise InputError(f"There are {len(self.baselines)} baselines for {signals} learning signals: give as many.")
        return Statistics(jnp.zeros(signals), jnp.zeros(signals), jnp.zeros((), jnp.int32))

    def __call__(self, key: Key[Array, ""], model: Model, batch: Example, state: Statistics) -> tuple[Loss, Statistics]:
        """Mean over the batch."""
        log_p, log_q, baseline = over_batch(lambda k, x: self._terms(k, model, x), key, batch)
        signal = _local_signals(log_p, log_q) if self.local else (log_p.sum(1) - log_q.sum(1))[:, None]
        score = log_q if self.local else log_q.sum(1, keepdims=True)
        residual = stop_gradient(signal if baseline is None else signal - baseline)
        advantage = residual - state.mean[None, :] if self.centring else residual
        if self.normalization:
            advantage = advantage / jnp.maximum(1.0, jnp.sqrt(state.variance))[None, :]
        # the advantage times dC is the gradient of C's squared error, in units of the normalized signal
        learned = score if baseline is None else score + baseline
        # averaged before they are combined: XLA repeats the likelihood for every mean that is taken of it
        mean_p, mean_q = log_p.mean(0), log_q.mean(0)
        surrogate = -(mean_p.sum() + (advantage * learned).mean(0).sum())
        kl = mean_q.sum() - mean_p[1:].sum()
        metrics = {"reconstruction": mean_p[0], "kl": kl}
        return Loss(surrogate, mean_p[0] - kl, metrics), state.updated(residual, self.decay)

    def bounds(self, key: Key[Array, ""], model: Model, batch: Example) -> Float[Array, " batch"]:
        """The bound of each example."""
        return over_batch(lambda k, x: model.draw(k, x).log_w, key, batch)

    def _terms(
        self, key: Key[Array, ""], model: Model, x: Example
    ) -> tuple[Float[Array, " nodes"], Float[Array, " layers"], Float[Array, " signals"] | None]:
        """Log p of each node, log q of each layer, and the baselines, of one draw."""
        draw = model.draw(key, x, constant)
        if self.baselines is None:
            return draw.log_p, draw.log_q, None
        below = (values_of(x), *draw.z)
        nets = zip(self.baselines, below, strict=False)
        return draw.log_p, draw.log_q, jnp.concatenate([net(node) for net, node in nets])


def _local_signals(
    log_p: Float[Array, "batch nodes"], log_q: Float[Array, "batch layers"]
) -> Float[Array, "batch layers"]:
    """l_i = log p(z_{i-1} | z_i) + ... + log p(z_L) - log q(z_i, ..., z_L | z_{i-1}), for i = 1 .. L."""
    suffix_p = jnp.cumsum(log_p[:, ::-1], axis=1)[:, ::-1]
    suffix_q = jnp.cumsum(log_q[:, ::-1], axis=1)[:, ::-1]
    return suffix_p[:, :-1] - suffix_q


def nvil(
    key: Key[Array, ""],
    model: Model,
    *,
    centring: bool = True,
    baseline: bool = True,
    normalization: bool = True,
    local: bool = True,
    decay: float = 0.8,
    hidden: tuple[int, ...] = (100,),
) -> ScoreFunction:
    """Neural variational inference and learning: all variance reductions of Mnih and Gregor (2014), or some of them.

    Args:
        key: for the baselines' weights.
        model: what will be trained; gives the sizes of the layers, and the centre of the first recognition net.
        centring: see `ScoreFunction`.
        baseline: input-dependent baselines: networks with tanh units.
        normalization: see `ScoreFunction`.
        local: see `ScoreFunction`.
        decay: see `ScoreFunction`.
        hidden: widths of the baselines' hidden layers.
    """
    nets = None
    if baseline:
        x, z = jax.eval_shape(model.generative.sample, jr.key(0))
        below = (x, *z)[: len(z) if local else 1]
        centre = getattr(getattr(model.recognition.layers[0], "net", None), "centre", None)
        means = [None if centre is None else centre(), *(None for _ in z)]
        keys = split(key, len(below))
        nets = tuple(
            MLP(k, (node.size, *hidden, 1), centre=mean) for k, node, mean in zip(keys, below, means, strict=False)
        )
    return ScoreFunction(nets, centring=centring, normalization=normalization, local=local, decay=decay)


class Vimco(Objective):
    """The importance-weighted bound by score-function gradients with leave-one-out baselines.

    For draw j the baseline is the bound with log w_j replaced by the mean of the others. Nothing is trained besides
    the model. Source: Mnih and Rezende (2016), eq. 8 to 12.

    Args:
        num_samples: K >= 2 draws for each example.
    """

    references: ClassVar[tuple[str, ...]] = ("mnih2016",)
    num_samples: int = eqx.field(static=True, default=5)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if self.num_samples < 2:
            raise InputError(f"VIMCO compares draws, so it needs at least 2 samples, got {self.num_samples}: use nvil.")

    def init(self, model: Model) -> None:
        """No state."""

    def __call__(self, key: Key[Array, ""], model: Model, batch: Example, state: PyTree) -> tuple[Loss, PyTree]:
        """Mean over the batch."""
        return mean_loss(over_batch(lambda k, x: self._example(k, model, x), key, batch)), state

    def bounds(self, key: Key[Array, ""], model: Model, batch: Example) -> Float[Array, " batch"]:
        """The importance-weighted bound of each example."""
        return over_batch(lambda k, x: self._example(k, model, x).bound, key, batch)

    def _example(self, key: Key[Array, ""], model: Model, x: Example) -> Loss:
        draws = jax.vmap(lambda k: model.draw(k, x, constant))(jr.split(key, self.num_samples))
        log_w = draws.log_p.sum(-1) - draws.log_q.sum(-1)
        bound = log_mean_exp(log_w)
        advantage = stop_gradient(bound - leave_one_out_bounds(log_w))
        surrogate = -(bound + (advantage * draws.log_q.sum(-1)).sum())
        return Loss(surrogate, bound, jax.tree.map(jnp.mean, jax.vmap(bound_metrics)(draws)))


def leave_one_out_bounds(log_w: Float[Array, " k"]) -> Float[Array, " k"]:
    """For each draw, the bound with its log w replaced by the mean of the other draws' [nats]."""
    count = log_w.shape[0]
    others = (log_w.sum() - log_w) / (count - 1)
    replaced = jnp.where(jnp.eye(count, dtype=bool), others[:, None], log_w[None, :])
    return log_mean_exp(replaced, axis=1)
