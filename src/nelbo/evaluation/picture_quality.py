"""How near a decoded picture is to the original: PSNR, and multi-scale structural similarity."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Shaped

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # powers of the five scales
_WINDOW, _DEVIATION = 11, 1.5
MIN_SIDE = (_WINDOW - 1) * 2 ** (len(SCALES) - 1) + 1  # of a picture whose last scale still holds a window


def psnr(a: Shaped[np.ndarray, "*shape"], b: Shaped[np.ndarray, "*shape"]) -> float:
    """10 log10(255^2 / mean squared error) over all channels [dB]; infinite of equal pictures."""
    error = float(np.mean((a.astype(float) - b) ** 2))
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ms_ssim(a: Shaped[np.ndarray, "h w c"], b: Shaped[np.ndarray, "h w c"]) -> float | None:
    """Multi-scale structural similarity of lightness (Wang, Simoncelli and Bovik 2003).

    Args:
        a: pixels 0 .. 255, grey or in colour.
        b: the same.

    Returns:
        1 of equal pictures; None of pictures with a side below `MIN_SIDE`, which have no five scales.
    """
    from scipy.ndimage import correlate1d

    if min(a.shape[:2]) < MIN_SIDE:
        return None
    window = np.exp(-((np.arange(_WINDOW) - _WINDOW // 2) ** 2) / (2 * _DEVIATION**2))
    window /= window.sum()
    edge = _WINDOW // 2
    blurred = lambda x: correlate1d(correlate1d(x, window, 0), window, 1)[edge:-edge, edge:-edge]  # noqa: E731
    x, y = (_lightness(image) for image in (a, b))
    c1, c2, found = (0.01 * 255) ** 2, (0.03 * 255) ** 2, 1.0
    for number, power in enumerate(SCALES):
        mx, my = blurred(x), blurred(y)
        vx, vy, vxy = blurred(x * x) - mx**2, blurred(y * y) - my**2, blurred(x * y) - mx * my
        contrast = (2 * vxy + c2) / (vx + vy + c2)
        light = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        last = number + 1 == len(SCALES)
        found *= max(float((contrast * light if last else contrast).mean()), 0.0) ** power
        x, y = (z[: z.shape[0] // 2 * 2, : z.shape[1] // 2 * 2] for z in (x, y))
        x, y = (0.25 * (z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) for z in (x, y))
    return found


def _lightness(x: np.ndarray) -> np.ndarray:
    return x[..., 0].astype(float) if x.shape[-1] == 1 else x.astype(float) @ (0.299, 0.587, 0.114)


def bd_rate(anchor: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]]) -> float:
    """What a codec takes in place of another at equal PSNR, in per cent more (Bjontegaard 2001).

    Log rates are fitted by cubics of PSNR, and compared over the range that the two curves share.

    Args:
        anchor: rows with "bpp" and "psnr", four at least.
        other: the same.
    """
    curves = [([row["psnr"] for row in rows], np.log([row["bpp"] for row in rows])) for rows in (anchor, other)]
    low, high = max(min(c[0]) for c in curves), min(max(c[0]) for c in curves)
    areas = []
    for quality, rate in curves:
        whole = np.polyint(np.polyfit(quality, rate, 3))
        areas.append((np.polyval(whole, high) - np.polyval(whole, low)) / (high - low))
    return float(100 * (np.exp(areas[1] - areas[0]) - 1))
