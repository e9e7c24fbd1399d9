"""Priors of latents that are more than a standard normal: factorized densities with masses, and bands of coefficients.

Names are imported on first use, so that the codec of pictures, which needs the layout of bands alone, needs no JAX.
"""

from typing import TYPE_CHECKING

from nelbo._lazy import lazy

if TYPE_CHECKING:
    from nelbo.priors.factorized import FactorizedDensity as FactorizedDensity
    from nelbo.priors.factorized import FactorizedMass as FactorizedMass
    from nelbo.priors.layout import COARSE as COARSE
    from nelbo.priors.layout import COLOURS as COLOURS
    from nelbo.priors.layout import FALL as FALL
    from nelbo.priors.layout import LESS as LESS
    from nelbo.priors.layout import LOWEST as LOWEST
    from nelbo.priors.layout import coarse_basis as coarse_basis
    from nelbo.priors.layout import image_bands as image_bands
    from nelbo.priors.layout import log_spread as log_spread

_HOMES = {
    "COARSE": "layout",
    "COLOURS": "layout",
    "FALL": "layout",
    "FactorizedDensity": "factorized",
    "FactorizedMass": "factorized",
    "LESS": "layout",
    "LOWEST": "layout",
    "coarse_basis": "layout",
    "image_bands": "layout",
    "log_spread": "layout",
}

__all__ = [*_HOMES]  # noqa: PLE0604 (all are strings)

__getattr__, __dir__ = lazy(__name__, _HOMES)
