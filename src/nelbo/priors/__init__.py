"""Priors of latents that are more than a standard normal: factorized densities with masses, and bands of coefficients.

Names are imported on first use, so that the codec of pictures, which needs the layout of bands alone, needs no JAX.
"""

from nelbo._lazy import lazy

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

__getattr__, __dir__ = lazy(__name__, _HOMES)
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
