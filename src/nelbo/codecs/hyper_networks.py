"""The networks between latents and hyper-latents in whole numbers, and the plan by which latents are coded."""

import dataclasses

import numpy as np

from nelbo.codecs.band_networks import lowered
from nelbo.codecs.band_tables import STEP, Plan, plan
from nelbo.codecs.whole_convolutions import MOST, SUM, Chain

USUAL_STEP = 3 << STEP  # log2 of the step at which a latent's unit is one, in multiples of 2^-STEP
_LEAST, _MOST = -25, 80  # log2 of scales, the same


@dataclasses.dataclass(frozen=True)
class Hyper:
    """The part of a model that gives the latents' densities.

    Args:
        analysis: from latents to hyper-latents.
        synthesis: from these to log2 of deviations, after means where there are any.
        slope: how log2 of deviations falls with log2 of the step.
        means: whether there are.
    """

    analysis: Chain
    synthesis: Chain
    slope: np.ndarray
    means: bool

    def plan(self, z: np.ndarray, step: int) -> Plan:
        """How latents are coded that have hyper-latents of multiples of 2^-ACTIVATION."""
        sums = self.synthesis(z)
        count = self.slope.size
        less = np.rint(self.slope * float((step - USUAL_STEP) << (SUM - STEP)))
        scale = np.clip(lowered(sums[..., -count:] - less, SUM - STEP), _LEAST, _MOST).astype(np.int64).ravel()
        location = np.zeros_like(scale)
        if self.means:
            found = lowered(sums[..., :count], SUM - STEP)
            location = np.clip(found, -MOST, MOST).astype(np.int64).ravel()
        return plan("normal", location, scale, np.ones(scale.size, bool))
