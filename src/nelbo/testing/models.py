"""The laws of a model: what `Model` promises to objectives, scores, tasks and codecs."""

import tempfile
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.core import AnyExample, Example, as_example
from nelbo.distributions import Marginalizable, total_log_prob
from nelbo.models import Context, Draw, Model, load_model, save_model
from nelbo.nets import trainable
from nelbo.testing.statistics import assert_unbiased
from nelbo.testing.trees import arrays, clone_keys, require, require_close, require_finite, stack


def check_model(
    model: Model, key: Key[Array, ""], x: AnyExample | None = None, *, draws: int = 4000, eager: bool = True
) -> None:
    """Check the laws of a model with its recognition model.

    - Draws have the shapes that the densities expect; every term is a finite number of nats.
    - `likelihood` and the recognition model agree with the terms of `log_prob` and `draw`; `log_w` is their sum.
    - Samples follow the densities: the expected score, E[d log p / d parameters] under p, is zero, and so for q
      (z-scores over `draws` samples; one coordinate in 1.7 million fails by chance).
    - Compiled equals eager, mapped equals looped, and one key gives one draw.
    - An example with a mask of nothing missing equals the plain one; a missing entry's value does not matter.
    - A model with a specification comes back from disk bit for bit.

    Args:
        model: the model under test; small ones are checked in seconds.
        key: for the draws.
        x: an example, a bare array or with a mask and a context; drawn from the model by default, where it has no
            context.
        draws: samples for the expected scores; 0 skips that law (for models with nothing to train).
        eager: compare what is compiled with what is run operation by operation, which takes seconds.

    Raises:
        AssertionError: naming the law and the place where it is broken.
    """
    sample_key, draw_key, batch_key, score_key = jr.split(key, 4)
    context = None if x is None else as_example(x).context
    sample, log_p = _sample(model, clone_keys(sample_key), context)
    drawn, z = sample
    x = as_example(drawn if x is None else x)
    got, want = (drawn.shape, drawn.dtype), (x.values.shape, x.values.dtype)
    require(got == want, f"sample gives x of shape and type {got}, the example has {want}.")
    require(log_p.shape == (1 + len(z),), f"log_prob has shape {log_p.shape}, expected {(1 + len(z),)}: one a node.")
    require_finite(log_p, "log_prob of a sample of the model")
    inferred = jax.eval_shape(lambda k: model.posterior(x).sample_and_log_prob(k)[0], clone_keys(draw_key))
    got, want = [(v.shape, v.dtype) for v in inferred], [(v.shape, v.dtype) for v in z]
    require(got == want, f"the recognition model draws latents {got}, the generative model {want}.")
    terms = eqx.filter_jit(_terms)(model, clone_keys(draw_key), x)
    if eager:
        require_close(terms, _terms(model, clone_keys(draw_key), x), "compiled and eager: ")
    _check_draw(terms)
    _check_batches(model, batch_key, x)
    _check_masks(model, terms["draw"], x)
    if model.spec is not None:
        _check_disk(model)
    if draws:
        _check_scores(model, score_key, x, draws)


@eqx.filter_jit
def _sample(model: Model, key: Key[Array, ""], context: Context) -> tuple[tuple[Array, tuple[Array, ...]], Array]:
    x, z = model.generative.sample(key, context)
    return (x, z), model.generative.log_prob(Example(x, context=context), z)


def _terms(model: Model, key: Key[Array, ""], x: Example) -> dict[str, Any]:
    """Everything a model says about one draw, each number in every way it can be asked for."""
    draw = model.draw(key, x)
    observed = jax.tree.map(jnp.asarray, x.observed)
    return {
        "draw": draw,
        "log_w": draw.log_w,
        "log_p": model.generative.log_prob(x, draw.z),
        "log_q": model.posterior(x).log_prob(draw.z),
        "likelihood": total_log_prob(model.generative.likelihood(draw.z, x.context), x.values, observed),
        "kl": model.kl(draw),
    }


def _check_draw(terms: dict[str, Any]) -> None:
    draw, kl = terms["draw"], terms["kl"]
    require_finite((draw.log_p, draw.log_q), "the terms of a draw from q(z|x): ")
    require_close(terms["log_p"], draw.log_p, "generative.log_prob against draw.log_p")
    require_close(terms["log_q"], draw.log_q, "recognition.log_prob against draw.log_q")
    require_close(terms["log_w"], draw.log_p.sum() - draw.log_q.sum(), "log_w against the sum of its terms")
    require_close(terms["likelihood"], draw.log_p[0], "likelihood(z) against the first term of log_prob")
    require(kl.shape == draw.log_q.shape, f"kl has shape {kl.shape}, expected {draw.log_q.shape}: one a layer.")
    require_finite(kl, "kl")


def _check_batches(model: Model, key: Key[Array, ""], x: Example) -> None:
    examples = [x, jax.tree.map(lambda leaf: leaf[::-1], x)]
    keys = jr.split(key, 2)
    mapped = eqx.filter_jit(eqx.filter_vmap(model.draw))(clone_keys(keys), stack(examples))
    one = eqx.filter_jit(model.draw)
    looped = stack([one(k, x) for k, x in zip(keys, examples, strict=True)])
    require_close(mapped, looped, "vmap against a loop: ")


def _check_masks(model: Model, draw: Draw, x: Example) -> None:
    values = x.values
    likelihood = eqx.filter_eval_shape(model.generative.likelihood, draw.z, x.context)
    shape = jax.eval_shape(lambda z: model.generative.likelihood(z, x.context).log_prob(values), draw.z).shape
    if shape != values.shape and not isinstance(likelihood, Marginalizable):
        return  # a joint density of x cannot leave entries out

    @eqx.filter_jit
    def at(model: Model, values: Array, observed: Array | None) -> tuple[Array, Array]:
        def log_p(v: Array) -> Array:
            return model.generative.log_prob(Example(v, observed, context=x.context), draw.z)[0]

        return jax.value_and_grad(log_p)(values)

    whole, some = jnp.ones(values.shape, bool), (jnp.arange(values.size) % 2 == 0).reshape(values.shape)
    require_close(at(model, values, whole), at(model, values, None), "a mask of nothing missing against none")
    odd = jnp.where(some, values, values[::-1] + 1.0)
    require_close(at(model, odd, some)[0], at(model, values, some)[0], "the value of a missing entry matters")
    slope = jnp.where(some, 0.0, at(model, values, some)[1])
    require(not slope.any(), "log_prob has a slope along a missing entry.")


def _check_disk(model: Model) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_model(path, model)
        again = load_model(path)
    require(again.spec == model.spec, "the specification changed on its way through the disk.")
    first, second = arrays(model), arrays(again)
    require([p for p, _ in first] == [p for p, _ in second], "the saved model has other arrays than the model.")
    for (place, a), (_, b) in zip(first, second, strict=True):
        require(a.dtype == b.dtype and np.array_equal(a, b), f"{place} changed on its way through the disk.")
    require(jax.tree.structure(again) == jax.tree.structure(model), "the loaded model has another structure.")


def _check_scores(model: Model, key: Key[Array, ""], x: Example, draws: int) -> None:
    """Bartlett's identity: under its own samples, a log density has slope zero on average."""
    p_key, q_key = jr.split(key)
    params, static = eqx.partition(model, trainable(model))

    def of_p(params: Any, k: Key[Array, ""]) -> Array:
        drawn, z = jax.lax.stop_gradient(eqx.combine(params, static).generative.sample(k, x.context))
        return eqx.combine(params, static).generative.log_prob(Example(drawn, context=x.context), z).sum()

    def of_q(params: Any, k: Key[Array, ""]) -> Array:
        posterior = eqx.combine(params, static).posterior(x)
        z, _ = jax.lax.stop_gradient(posterior.sample_and_log_prob(k))
        return posterior.log_prob(z).sum()

    for name, function, k in (("p(x, z)", of_p, p_key), ("q(z|x)", of_q, q_key)):
        scores = jax.jit(jax.vmap(jax.grad(function), (None, 0)))(params, jr.split(k, draws))
        zero = jax.tree.map(jnp.zeros_like, params)
        assert_unbiased(scores, zero, what=f"samples and log density of {name} disagree, expected score")
