"""The contestants of `benchmarks/bayes.py` that run on JAX: nelbo, a hand-written scan, BlackJAX and NumPyro.

A contestant has `block(steps)`, which takes so many gradient steps and waits for them, and `weights()`. The samplers
keep a draw every hundred steps. nelbo runs the loop of `nelbo.fit`, with its collector, its metrics and its checks.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from bayes_task import (
    ADAM_RATE,
    BATCH,
    CHUNK,
    EXAMPLES,
    FIRST_SCALE,
    MOMENTUM,
    SGHMC_RATE,
    SGLD_RATE,
    SHAPES,
    SIZES,
    Task,
)

LEAPS = 10  # steps that BlackJAX's SGHMC takes with one minibatch before it draws a new momentum: its default
LAYERS = len(SIZES) - 1


class Nelbo:
    """The loop of `nelbo.fit`."""

    def __init__(self, task: Task, method: str, draws: int) -> None:
        from stepping import Stepping

        from nelbo.bayes import WithGlobals, collect, sghmc, sgld, shared_parameters
        from nelbo.core import Example
        from nelbo.data import Source
        from nelbo.models import skeleton
        from nelbo.objectives import MaximumLikelihood
        from nelbo.training import optimizer

        arguments = {"shape": [SIZES[0]], "classes": SIZES[-1], "hidden": list(SIZES[1:-1])}
        first = [jnp.asarray(value) for value in task.init.values()]
        model = eqx.tree_at(_arrays, skeleton("classification", arguments), first)
        posterior = "mean-field" if method == "mean-field" else "delta"
        model = shared_parameters(model, posterior=posterior, prior_scale=1.0)
        rule = {
            "sgld": lambda: collect(sgld(EXAMPLES, learning_rate=SGLD_RATE), draws=draws, thin=CHUNK),
            "sghmc": lambda: collect(
                sghmc(EXAMPLES, learning_rate=SGHMC_RATE, momentum=MOMENTUM), draws=draws, thin=CHUNK
            ),
            "mean-field": lambda: optimizer("adam", learning_rate=ADAM_RATE),
        }[method]()
        rows = Example(jnp.asarray(task.y[:, None], jnp.float32), context=Example(jnp.asarray(task.x)))
        objective = WithGlobals(MaximumLikelihood(), EXAMPLES)
        data = Source(rows, "real", dynamic=False)
        self._steps = Stepping(jr.key(2), model, objective, data, rule, batch=BATCH, chunk=CHUNK)

    def block(self, steps: int) -> int:
        """How many steps were taken; the loop itself chooses how many it takes in one call."""
        return self._steps.advance(steps)

    def weights(self) -> dict[str, np.ndarray]:
        """The present ones."""
        return dict(zip(SHAPES, map(np.asarray, _arrays(self._steps.model)), strict=True))


def _arrays(model: Any) -> list[Any]:
    layers = model.generative.layers[0].net.layers
    return [array for layer in layers for array in (layer.kernel, layer.bias)]


def _log_likelihood(p: dict[str, Any], x: Any, y: Any) -> Any:
    h = x
    for i in range(LAYERS):
        h = h @ p[f"w{i}"] + p[f"b{i}"]
        h = jax.nn.relu(h) if i < LAYERS - 1 else h
    return jnp.take_along_axis(jax.nn.log_softmax(h), y[..., None], -1)[..., 0]


class Scanned:
    """Blocks of a step that is scanned; the minibatch is gathered inside. Abstract: `step` and `params_of`."""

    def __init__(self, task: Task, carry: Any, step: Callable[..., Any], gradients: int = 1) -> None:
        """Compile.

        Args:
            task: data and first weights.
            carry: the first state; what `step` gives is the next.
            step: from a carry, a key and a minibatch.
            gradients: that a step takes.
        """

        @functools.partial(jax.jit, donate_argnums=0)
        def chunk(carry: Any, key: Any, x: Any, y: Any) -> tuple[Any, Any]:
            def body(carry: Any, key: Any) -> tuple[Any, Any]:
                order_key, step_key = jr.split(key)
                rows = jr.randint(order_key, (BATCH,), 0, EXAMPLES)
                return step(carry, step_key, (x[rows], y[rows]))

            return jax.lax.scan(body, carry, jr.split(key, CHUNK // gradients))

        self._x, self._y, self._chunk, self._carry = jnp.asarray(task.x), jnp.asarray(task.y), chunk, carry
        self._key, self._at = jr.key(3), 0
        self.draws: list[Any] = []

    def block(self, steps: int) -> int:
        """How many steps were taken."""
        for _ in range(steps // CHUNK):
            self._carry, self._losses = self._chunk(self._carry, jr.fold_in(self._key, self._at), self._x, self._y)
            self._at += 1
            self.keep()
        jax.block_until_ready((self._carry, self._losses, self.draws[-1:]))
        return steps

    def keep(self) -> None:
        """Keep a draw."""
        self.draws.append(jax.tree.map(jnp.copy, self.position()))

    def position(self) -> Any:
        """The present weights."""
        return self._carry

    def weights(self) -> dict[str, np.ndarray]:
        """The present weights."""
        return {name: np.asarray(self.position()[name]) for name in SHAPES}


def _first(task: Task) -> dict[str, Any]:
    return {name: jnp.array(value) for name, value in task.init.items()}


def _noise(key: Any, tree: Any) -> Any:
    keys = jr.split(key, len(tree))
    return {name: jr.normal(k, leaf.shape) for k, (name, leaf) in zip(keys, tree.items(), strict=True)}


def _mean_loss(p: dict[str, Any], x: Any, y: Any) -> Any:
    prior = 0.5 * sum((leaf**2).sum() for leaf in p.values())
    return -_log_likelihood(p, x, y).mean() + prior / EXAMPLES


class HandSgld(Scanned):
    """SGLD written by hand."""

    def __init__(self, task: Task) -> None:
        spread = (2.0 * SGLD_RATE / EXAMPLES) ** 0.5

        def step(p: Any, key: Any, batch: Any) -> tuple[Any, Any]:
            loss, grads = jax.value_and_grad(_mean_loss)(p, *batch)
            return jax.tree.map(lambda a, g, n: a - SGLD_RATE * g + spread * n, p, grads, _noise(key, p)), loss

        super().__init__(task, _first(task), step)


class HandSghmc(Scanned):
    """SGHMC written by hand."""

    def __init__(self, task: Task) -> None:
        spread = (2.0 * (1.0 - MOMENTUM) / (SGHMC_RATE * EXAMPLES)) ** 0.5

        def step(carry: Any, key: Any, batch: Any) -> tuple[Any, Any]:
            p, trace = carry
            loss, grads = jax.value_and_grad(_mean_loss)(p, *batch)
            trace = jax.tree.map(lambda t, g, n: MOMENTUM * t + g - spread * n, trace, grads, _noise(key, p))
            return (jax.tree.map(lambda a, t: a - SGHMC_RATE * t, p, trace), trace), loss

        first = _first(task)
        super().__init__(task, (first, jax.tree.map(jnp.zeros_like, first)), step)

    def position(self) -> Any:
        """The present weights."""
        return self._carry[0]


class HandMeanField(Scanned):
    """Mean-field inference written by hand: one draw of the weights a step, the divergence in closed form."""

    def __init__(self, task: Task) -> None:
        optimizer = optax.adam(ADAM_RATE)

        def loss_of(q: Any, key: Any, x: Any, y: Any) -> Any:
            mean, log_scale = q
            noise = _noise(key, mean)
            drawn = {name: mean[name] + jnp.exp(log_scale[name]) * noise[name] for name in mean}
            kl = sum(
                (0.5 * (jnp.exp(2.0 * log_scale[name]) + mean[name] ** 2 - 1.0) - log_scale[name]).sum()
                for name in mean
            )
            return -_log_likelihood(drawn, x, y).mean() + kl / EXAMPLES

        def step(carry: Any, key: Any, batch: Any) -> tuple[Any, Any]:
            q, state = carry
            loss, grads = jax.value_and_grad(loss_of)(q, key, *batch)
            updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(q, updates), state), loss

        mean = _first(task)
        q = (mean, jax.tree.map(lambda leaf: jnp.full_like(leaf, np.log(FIRST_SCALE)), mean))
        super().__init__(task, (q, optimizer.init(q)), step)

    def keep(self) -> None:
        """The means are the result."""

    def position(self) -> Any:
        """The means."""
        return self._carry[0][0]


def _blackjax_gradient() -> Callable[..., Any]:
    from blackjax.sgmcmc.gradients import grad_estimator

    def log_prior(p: Any) -> Any:
        return -0.5 * sum((leaf**2).sum() for leaf in p.values())

    return grad_estimator(log_prior, lambda p, row: _log_likelihood(p, *row), EXAMPLES)


class BlackjaxSgld(Scanned):
    """BlackJAX's SGLD, scanned; its step is 1 / N of ours, for its gradient is that of the sum."""

    def __init__(self, task: Task) -> None:
        import blackjax

        algorithm = blackjax.sgld(_blackjax_gradient())

        def step(p: Any, key: Any, batch: Any) -> tuple[Any, Any]:
            return algorithm.step(key, p, batch, SGLD_RATE / EXAMPLES), None

        super().__init__(task, _first(task), step)


class BlackjaxSghmc(Scanned):
    """BlackJAX's SGHMC, scanned: ten gradient steps with one minibatch, then a new momentum."""

    def __init__(self, task: Task) -> None:
        import blackjax

        size = (SGHMC_RATE / EXAMPLES) ** 0.5
        algorithm = blackjax.sghmc(_blackjax_gradient(), num_integration_steps=LEAPS, alpha=(1.0 - MOMENTUM) / size)

        def step(p: Any, key: Any, batch: Any) -> tuple[Any, Any]:
            return algorithm.step(key, p, batch, size), None

        super().__init__(task, _first(task), step, gradients=LEAPS)


class Numpyro(Scanned):
    """NumPyro's SVI with AutoNormal and TraceMeanField_ELBO (the divergence in closed form), its update scanned."""

    def __init__(self, task: Task) -> None:
        import numpyro
        import numpyro.distributions as dist
        from numpyro.infer import SVI, TraceMeanField_ELBO
        from numpyro.infer.autoguide import AutoNormal
        from numpyro.infer.initialization import init_to_value
        from numpyro.optim import optax_to_numpyro

        def model(x: Any, y: Any) -> None:
            p = {
                name: numpyro.sample(name, dist.Normal(0.0, 1.0).expand(shape).to_event(len(shape)))
                for name, shape in SHAPES.items()
            }
            h = x
            for i in range(LAYERS):
                h = h @ p[f"w{i}"] + p[f"b{i}"]
                h = jax.nn.relu(h) if i < LAYERS - 1 else h
            with numpyro.plate("data", EXAMPLES, subsample_size=BATCH):
                numpyro.sample("y", dist.Categorical(logits=h), obs=y)

        guide = AutoNormal(model, init_loc_fn=init_to_value(values=_first(task)), init_scale=FIRST_SCALE)
        svi = SVI(model, guide, optax_to_numpyro(optax.adam(ADAM_RATE)), TraceMeanField_ELBO())

        def step(state: Any, key: Any, batch: Any) -> tuple[Any, Any]:
            del key  # its state holds one
            return svi.update(state, *batch)

        first = svi.init(jr.key(4), jnp.asarray(task.x[:BATCH]), jnp.asarray(task.y[:BATCH]))
        self._svi = svi
        super().__init__(task, first, step)

    def keep(self) -> None:
        """The means are the result."""

    def position(self) -> Any:
        """The means."""
        found = self._svi.get_params(self._carry)
        return {name: found[f"{name}_auto_loc"] for name in SHAPES}


CONTESTANTS: dict[str, dict[str, Callable[[Task], Any]]] = {
    "sgld": {"jax": HandSgld, "blackjax": BlackjaxSgld},
    "sghmc": {"jax": HandSghmc, "blackjax": BlackjaxSghmc},
    "mean-field": {"jax": HandMeanField, "numpyro": Numpyro},
}
