"""Layers whose distribution is known: a fixed prior, or what was fitted to one example."""

from typing import ClassVar

from nelbo.distributions import Distribution
from nelbo.models.layers import Context, Latents, Layer, Reads


class Known(Layer):
    """A distribution that depends on no node.

    Args:
        distribution: of one node.
    """

    distribution: Distribution
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution, whatever the parents."""
        del parents, context
        return self.distribution
