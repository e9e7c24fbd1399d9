"""What pictures take without loss in the formats of pictures: said by `nelbo compress` where it is less."""

import io

import numpy as np

_PIXELS = 2**21  # of a sample of the pictures, so that asking takes about a second
_TALLEST = 16_000  # rows of one picture; WebP's limit is 16383
LARGE = 2 * _PIXELS  # pixels of one picture beyond which it is asked of by strips
_STRIPS = 16
_FEW = 256  # colours of a drawing
_WAYS = {"PNG": {"optimize": True}, "WebP": {"lossless": True, "method": 4}}


def shorter_format(x: np.ndarray, size: int) -> tuple[str, int] | None:
    """The shorter of PNG and WebP for pictures, with its bytes, if it is shorter than a file; else None.

    Pictures are put under each other into tall ones, which is kinder to these formats than a file for each. Of many
    pictures a sample is coded, of a large one strips from top to bottom, and the length is scaled.

    Args:
        x: `(n, height, width)` or `(n, height, width, channels)`, uint8, 1 or 3 channels; None of other arrays.
        size: bytes of the file.
    """
    channels = x.shape[3] if x.ndim == 4 else 1
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or channels not in (1, 3) or not x.size:
        return None
    height, width = x.shape[1:3]
    if width > _TALLEST:
        return None
    if len(x) == 1 and height * width > LARGE:
        x = _strips(x[0], _PIXELS // width // _STRIPS)
        found = shorter_format(x, round(size * x.shape[0] * x.shape[1] / height))
        return None if found is None else (found[0], round(found[1] * height / (x.shape[0] * x.shape[1])))
    if (x[: _PIXELS // (height * width) + 1] <= 1).all():
        return None
    rows = max(1, min(len(x), _PIXELS // (height * width)))
    chosen = np.asarray(x[np.linspace(0, len(x) - 1, rows).round().astype(int)])
    tall = max(1, _TALLEST // height)
    parts = [chosen[i : i + tall].reshape(-1, width, channels) for i in range(0, rows, tall)]
    sizes = {name: round(sum(_bytes(part, name) for part in parts) * len(x) / rows) for name in _WAYS}
    best = min(sizes, key=lambda name: sizes[name])
    return (best, sizes[best]) if sizes[best] < size else None


def _strips(x: np.ndarray, rows: int) -> np.ndarray:
    """Strips of so many rows of a picture, evenly from its top to its end, `(strips, rows, width, ...)`."""
    tops = np.linspace(0, len(x) - rows, _STRIPS).astype(int)
    return np.stack([x[top : top + rows] for top in tops])


def few_colours(pixels: np.ndarray) -> bool:
    """Whether a picture has as few colours as a drawing, `(height, width, channels)` uint8, 1 channel or 3."""
    packed = pixels.astype(np.int32) @ (1 << 8 * np.arange(pixels.shape[2], dtype=np.int32))
    return np.unique(packed[:: max(1, packed.shape[0] // 64)]).size <= _FEW and np.unique(packed).size <= _FEW


def _bytes(pixels: np.ndarray, kind: str) -> int:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, kind, **_WAYS[kind])
    return len(file.getvalue())
