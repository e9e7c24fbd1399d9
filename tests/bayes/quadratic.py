"""A quadratic loss with known Hessian and known gradient noise, and many chains of a sampler on it at once."""

import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from nelbo.core import with_fresh_keys

N, S = 1000, 10
A = np.array([[1.0, 0.3], [0.3, 0.6]])  # Hessian of the mean loss
B = np.array([[0.9, 0.0], [-0.4, 0.7]])  # of the noise of one example's gradient
C = B @ B.T
V = C / S  # of a minibatch's
D = len(A)


def gradient(key, theta, root):
    """A theta + B n / sqrt(S)."""
    a = jnp.asarray(A, jnp.float32)
    return {"theta": a @ theta + jnp.asarray(root / np.sqrt(S), jnp.float32) @ jr.normal(key, (D,))}


def states(sampler, **options):
    """The last state of each chain, and the parameters every so many steps: (visits, chains, D)."""
    with jax.debug_key_reuse(False):  # a false alarm: keys of mapped loops inside of loops
        return _states(sampler, **options)


@functools.partial(jax.jit, static_argnames=("sampler", "steps", "chains", "every", "noisy"))
def _states(sampler, *, steps=1000, chains=500, every=100, noisy=True, seed=0):
    root = B if noisy else np.zeros_like(B)

    def one(carry, key):
        params, state = carry
        updates, state = sampler.update(gradient(key, params["theta"], root), state, params)
        return (optax.apply_updates(params, updates), state), params["theta"]

    def chain(key):
        first_key, noise_key, loop_key = jr.split(key, 3)
        params = {"theta": 0.05 * jr.normal(first_key, (D,))}
        state = with_fresh_keys(noise_key, sampler.init(params))

        def visit(carry, keys):
            carry, _ = jax.lax.scan(one, carry, keys)
            return carry, carry[0]["theta"]

        carry, seen = jax.lax.scan(visit, (params, state), jr.split(loop_key, (steps // every, every)))
        return carry, seen

    (params, state), seen = jax.vmap(chain, out_axes=((0, 0), 1))(jr.split(jr.key(seed), chains))
    return params["theta"], state, seen


def covariance(seen):
    """Of the second half of the visits, around zero: the optimum is known. Also the z-scale: visits that count."""
    late = np.asarray(seen[len(seen) // 2 :], np.float64).reshape(-1, D)
    return late.T @ late / len(late)
