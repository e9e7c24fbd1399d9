"""The amortization gap: what examples lose because one network answers for all of them."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Array, Key

from nelbo.core import InputError
from nelbo.data import Source
from nelbo.evaluation.bounds import elbo
from nelbo.models import Model, refined

LIMIT_STEPS = 500  # after which a posterior counts as fitted to its example
GAP_ROWS = 500  # examples that are fitted to that limit


@dataclasses.dataclass(frozen=True)
class Refinement:
    """The evidence lower bound of the same examples under one of their posteriors.

    Args:
        posterior: "amortized", "refined" or "limit".
        steps: along the gradient.
        nats: mean over the examples [nats].
        standard_error: its Monte Carlo error [nats]; None for a single draw.
        gap: what it lacks to the limit, mean over the examples [nats].
        gap_error: standard error of that mean, over the examples [nats]; it contains the Monte Carlo error.
        examples: how many.
    """

    posterior: str
    steps: int
    nats: float
    standard_error: float | None
    gap: float
    gap_error: float
    examples: int


def refinements(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    steps: int,
    num_samples: int = 100,
    limit_steps: int | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> list[Refinement]:
    """The bound under the recognition model's answer, under refined posteriors, and under posteriors in the limit.

    The limit is refinement until it has ended: posteriors of the same family, free for every example. The gap of the
    first row is the amortization gap (Cremer, Li and Duvenaud 2018).

    Args:
        key: for the draws, the same for all three.
        model: with Gaussian latents.
        data: the examples; the first 500 are taken.
        steps: of the refinement.
        num_samples: draws for each example.
        limit_steps: of the limit; None: 500, or twice `steps` where that is more.
        progress: as of `elbo`.

    Raises:
        InputError: see `nelbo.models.refined`; a limit of fewer steps.
    """
    last = max(LIMIT_STEPS, 2 * steps) if limit_steps is None else limit_steps
    if last < steps:
        raise InputError(f"The limit needs at least the {steps} steps of the refinement, got {last}.")
    rows = data.head(GAP_ROWS)
    models = {"amortized": (0, model), "refined": (steps, refined(model, steps)), "limit": (last, refined(model, last))}
    scores = {
        name: elbo(key, one, rows, num_samples=num_samples, progress=progress) for name, (_, one) in models.items()
    }
    found = []
    for name, (count, _) in models.items():
        lack = scores["limit"].per_example - scores[name].per_example
        error = float(lack.std(ddof=1) / np.sqrt(len(lack))) if len(lack) > 1 else 0.0
        score = scores[name]
        found.append(Refinement(name, count, score.nats, score.standard_error, float(lack.mean()), error, len(lack)))
    return found
