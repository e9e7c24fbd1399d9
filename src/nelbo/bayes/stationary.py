"""What a sampler's draws are distributed as near an optimum: exact for quadratic losses, in float64 on the host."""

import numpy as np
from jaxtyping import Float


def stationary_covariance(
    step: Float[np.ndarray, "d d"], hessian: Float[np.ndarray, "d d"], noise: Float[np.ndarray, "d d"]
) -> Float[np.ndarray, "d d"]:
    """Covariance of theta <- theta - K A theta + noise in the long run, without taking steps for short.

    It solves Sigma = (I - K A) Sigma (I - K A)' + Q. For constant SGD Q = K V K'; for SGLD with step e, K = (e N / 2) I
    and Q = K V K' + e T I; both tend to the solutions of the Lyapunov equations of Mandt, Hoffman, Blei (2017) as K
    becomes small.

    Args:
        step: K, what the gradient is multiplied with.
        hessian: A, of the mean loss.
        noise: Q, the covariance of the noise that a step adds.
    """
    from scipy.linalg import solve_discrete_lyapunov

    return solve_discrete_lyapunov(np.eye(len(hessian)) - step @ hessian, noise)


def normal_kl(covariance: Float[np.ndarray, "d d"], precision: Float[np.ndarray, "d d"]) -> float:
    """KL(N(0, covariance) || N(0, precision^-1)) [nats]."""
    product = covariance @ precision
    return 0.5 * float(np.trace(product) - np.linalg.slogdet(product)[1] - len(product))
