"""Coordinates of examples in the latent space."""

import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.data import Source
from nelbo.evaluation import posterior_means
from nelbo.models import Model
from nelbo.tasks.rows import in_shape_of


def embed(key: Key[Array, ""], model: Model, data: Source) -> Float[np.ndarray, "examples latents"]:
    """Posterior means of all layers side by side, the layer next to the data first.

    Raises:
        InputError: a model without latents, examples of another shape, or values that the likelihood cannot give.
    """
    model.require_latents("An embedding")
    return np.concatenate(posterior_means(key, model, in_shape_of(model, data)), axis=1)
