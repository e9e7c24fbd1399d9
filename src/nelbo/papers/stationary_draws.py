"""Draws of samplers beside the exact posterior of a generalized linear model, and what theory says of them."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Float
from scipy.special import expit

from nelbo.bayes import (
    WithGlobals,
    checked_sampling,
    collected,
    sampler,
    shared_parameters,
    stationary_covariance,
)
from nelbo.core import Example
from nelbo.data import Source
from nelbo.models import Model, classification, regression
from nelbo.nets import trainable
from nelbo.objectives import MaximumLikelihood
from nelbo.training import Fit, Replacement, fit, optimizer

Matrix = Float[np.ndarray, "d d"]
SLOWEST = 2.0  # draws are this many relaxation times of the slowest direction apart


@dataclasses.dataclass(frozen=True)
class Problem:
    """A generalized linear model with its posterior, in float64 on the host.

    Args:
        name: of the data.
        source: rows as the model takes them.
        design: features and a column of ones.
        mean: of the posterior, weights then bias.
        hessian: A, of the mean loss there.
        noise: C, the covariance of one example's gradient there.
        batch: examples a step.
        likelihood: "gaussian" or "bernoulli".
    """

    name: str
    source: Source
    design: Float[np.ndarray, "n d"]
    mean: Float[np.ndarray, " d"]
    hessian: Matrix
    noise: Matrix
    batch: int
    likelihood: str

    @property
    def rows(self) -> int:
        """N."""
        return len(self.design)

    @property
    def best_rate(self) -> float:
        """The optimal scalar step 2 S D / (N tr C)."""
        return 2.0 * self.batch * len(self.mean) / (self.rows * float(np.trace(self.noise)))

    def model(self) -> Model:
        """With weights of zero and the prior N(0, 1)."""
        key, shape = jr.key(0), (self.design.shape[1] - 1,)
        if self.likelihood == "gaussian":
            made = regression(key, shape, architecture="linear", noise=1.0, init=0.0)
        else:
            made = classification(key, shape, architecture="linear", likelihood="bernoulli", init=0.0)
        return shared_parameters(made, posterior="delta", prior="normal")


def problem(name: str, seed: int, *, rows: int, features: int, batch: int, likelihood: str = "gaussian") -> Problem:
    """Draw data from a generalized linear model, and find its posterior."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(features) + 0.4 * rng.normal(size=(features, features)) / math.sqrt(features)
    x = rng.normal(size=(rows, features)) @ mixing
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    design = np.concatenate([x, np.ones((rows, 1))], axis=1, dtype=np.float64)
    linear = design @ rng.normal(size=features + 1)
    normal = likelihood == "gaussian"
    y = linear + rng.normal(size=rows) if normal else (rng.random(rows) < expit(linear)).astype(float)
    y = y.astype(np.float32).astype(np.float64)
    mean, eye = np.zeros(features + 1), np.eye(features + 1)
    for _ in range(1 if normal else 30):  # Newton's method
        fitted = design @ mean if normal else expit(design @ mean)
        spread = np.ones(rows) if normal else fitted * (1.0 - fitted)
        precision = (design * spread[:, None]).T @ design + eye
        mean = mean - np.linalg.solve(precision, design.T @ (fitted - y) + mean)
    fitted = design @ mean if normal else expit(design @ mean)
    gradients = design * (fitted - y)[:, None]
    source = Source(
        Example(jnp.asarray(y[:, None], jnp.float32), context=Example(jnp.asarray(x))), "real", dynamic=False
    )
    noise = np.cov(gradients.T, bias=True)
    hessian = np.asarray(precision) / rows
    return Problem(name, source, design, mean, hessian, noise, batch, likelihood)


@dataclasses.dataclass(frozen=True)
class Method:
    """A sampler with its settings.

    Args:
        label: in tables.
        sampler: its name, see `nelbo.bayes.SAMPLERS`.
        options: of the sampler.
        rate: learning rate in units of the optimal scalar step.
        average: draws are averages of the iterates of one pass.
    """

    label: str
    sampler: str
    options: Mapping[str, Any]
    rate: float = 1.0
    average: bool = False

    def step(self, of: Problem) -> Matrix:
        """K, what the gradient is multiplied with."""
        noise, eye = of.noise / of.batch, np.eye(len(of.mean))
        if self.sampler == "sgld":
            return self.rate * of.best_rate * eye
        inverse = {"scalar": eye * len(eye) / np.trace(noise), "diagonal": np.diag(1.0 / np.diag(noise)),
                   "full": np.linalg.inv(noise)}[self.options["preconditioner"]]  # fmt: skip
        return 2.0 / of.rows * self.share * inverse

    @property
    def share(self) -> float:
        """Of the noise that minibatches make."""
        return self.options.get("minibatch_share", 1.0)

    def covariance(self, of: Problem) -> Matrix:
        """What draws are predicted to have."""
        if self.average:
            inverse = np.linalg.inv(of.hessian)
            return inverse @ of.noise @ inverse / of.rows
        step, noise = self.step(of), of.noise / of.batch
        injected = np.zeros_like(noise)
        if self.sampler == "sgld":
            injected = 2.0 * self.options["temperature"] / of.rows * step
        elif self.share < 1.0:
            injected = 2.0 / of.rows * (1.0 - self.share) * step
        return stationary_covariance(step, of.hessian, step @ noise @ step.T + injected)


DESCENT = {"sampler": "sgld", "options": {"temperature": 0.0}}


def sampled(of: Problem, method: Method, draws: int, seed: int) -> Matrix:
    """Second moments of a method's draws around the posterior mean, through the one training loop."""
    slowest = float(np.linalg.eigvals(method.step(of) @ of.hessian).real.min())
    thin = of.rows // of.batch if method.average else max(1, math.ceil(SLOWEST / slowest))
    burn_in = max(2000, math.ceil(10.0 / slowest))
    options = checked_sampling(method.sampler, {**method.options, "collect": draws, "burn_in": burn_in, "thin": thin,
                                                "average": method.average})  # fmt: skip
    rate = of.best_rate * method.rate
    way = sampler(method.sampler, num_data=of.rows, learning_rate=rate, sampling=options)
    fitted = _fitted(of, of.model(), way, burn_in + draws * thin, seed)
    found = collected(fitted.state.carry.optimizer, burn_in=burn_in, thin=thin)
    off = _numbers(found.draws.model) - of.mean
    return off.T @ off / len(off)


def _fitted(of: Problem, model: Model, way: Any, steps: int, seed: int) -> Fit:
    length: dict[str, Any] = {"steps": steps, "evaluate_every": steps, "chunk": min(steps, 2000)}
    objective = WithGlobals(MaximumLikelihood(), num_data=of.rows)
    return fit(
        jr.key(seed), model, objective, of.source, way, batch_size=of.batch, keep="last", order=Replacement, **length
    )


def _numbers(arrays: Any) -> Float[np.ndarray, "draws d"]:
    """Draws of weights and bias as one matrix."""
    trained = jax.tree.leaves(eqx.filter(arrays, trainable(arrays)))
    leaves = sorted((np.asarray(leaf, np.float64) for leaf in trained), key=lambda leaf: -leaf[0].size)
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def variational(of: Problem, seed: int) -> Matrix:
    """Second moments around the posterior mean of the mean-field posterior that stochastic gradients find."""
    model = shared_parameters(of.model(), posterior="mean-field", prior="normal")
    steps = 10_000
    fitted = _fitted(of, model, optimizer("adam", learning_rate=0.01, schedule="cosine", steps=steps), steps, seed)
    stacked = lambda tree: jax.tree.map(lambda leaf: leaf[None] if eqx.is_array(leaf) else leaf, tree)  # noqa: E731
    log_scale = _numbers(stacked(fitted.model.globals.marginals(fitted.model).log_scale))[0]
    off = _numbers(stacked(fitted.model.generative))[0] - of.mean
    return np.diag(np.exp(2.0 * log_scale)) + np.outer(off, off)
