"""Data sets that papers made of MNIST, made here in the same way: digits that rotate, seen in part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nelbo.data.catalogue import catalogue
from nelbo.data.columns import Column
from nelbo.data.covariates_schema import Covariates
from nelbo.data.cuts import Cuts
from nelbo.data.fetch import FetchProgress
from nelbo.data.named import load_named
from nelbo.data.schema import Schema
from nelbo.data.series_schema import Series
from nelbo.data.splits import SPLITS, Data, Split
from nelbo.data.streams import Stream

ANGLES, UNSEEN = 16, 5  # of a rotated digit, and the one that is left out of training
OBJECTS = 360
FRAMES, HIDDEN_SHARE = 10, 0.6
SEQUENCES = (10_000, 500, 1_000)  # of healing digits, in each split
_DIGIT = 3
_KEPT: dict[tuple[str, str | None], Data] = {}  # the last one that was made
_LICENCE = "that of MNIST, CC BY-SA 3.0 (Y. LeCun and C. Cortes)"


@dataclass(frozen=True)
class Made:
    """A set that is made here.

    Args:
        title: one line of description.
        shape: of one example.
        citation: of the paper that first made one.
        make: from MNIST to the data.
        licence: of the data.
    """

    title: str
    shape: tuple[int, ...]
    citation: str
    make: Callable[[Data], Data]
    licence: str = _LICENCE


def load_made(name: str, *, data_dir: str | Path | None = None, progress: FetchProgress | None = None) -> Data:
    """The set called `name`, see `MADE`; made once a process.

    Args:
        name: of the set.
        data_dir: a folder with MNIST.
        progress: told while MNIST is fetched.
    """
    key = (name, None if data_dir is None else str(data_dir))
    if key not in _KEPT:
        mnist = load_named(catalogue()["mnist"], data_dir=data_dir, cuts=Cuts(), progress=progress)
        _KEPT.clear()
        _KEPT[key] = MADE[name].make(mnist)
    return _KEPT[key]


def turned(images: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Grey images `(n, side, side)`, each turned about its middle by its own angle, linearly interpolated; float32."""
    side = images.shape[1]
    middle = (side - 1) / 2.0
    row, column = (part.ravel() - middle for part in np.mgrid[:side, :side].astype(np.float32))
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1))).astype(np.float32)
    found = np.empty((len(images), side * side), np.float32)
    for i, angle in enumerate(np.deg2rad(degrees)):
        # one pixel of black around the image takes what comes from outside of it
        y = np.clip(np.cos(angle) * row + np.sin(angle) * column + middle + 1.0, 0.0, side + 0.999)
        x = np.clip(np.cos(angle) * column - np.sin(angle) * row + middle + 1.0, 0.0, side + 0.999)
        top, left = y.astype(np.int32), x.astype(np.int32)
        down, right, one = y - top, x - left, padded[i]
        upper = one[top, left] * (1.0 - right) + one[top, left + 1] * right
        lower = one[top + 1, left] * (1.0 - right) + one[top + 1, left + 1] * right
        found[i] = upper * (1.0 - down) + lower * down
    return found.reshape(images.shape)


def rotated_mnist(mnist: Data) -> Data:
    """360 threes at 16 angles, as Casale et al. (2018) made them.

    A quarter of the images is taken away at random; what is left at one of the angles is for testing, at the others for
    training. Of those that were taken away at the other angles as many as there are for testing are for validation.
    """
    threes = np.flatnonzero(mnist.train.y == _DIGIT)[:OBJECTS]
    whole = mnist.train.x[threes, ..., 0].astype(np.float64) / 255.0
    step = 360.0 / ANGLES
    x = np.stack([turned(whole, np.full(OBJECTS, step * i)) for i in range(ANGLES)], 1)[..., None]
    order = Stream("rotated-mnist", 0).permutation(OBJECTS * ANGLES)
    angle = order % ANGLES
    kept = np.arange(len(order)) >= len(order) // 4
    parts = {"train": kept & (angle != UNSEEN), "test": kept & (angle == UNSEEN), "valid": ~kept & (angle != UNSEEN)}
    parts["valid"] &= np.cumsum(parts["valid"]) <= parts["test"].sum()
    splits = {}
    for name in ("train", "valid", "test"):
        rows = np.sort(order[parts[name]])
        context = np.stack([step * (rows % ANGLES), rows // ANGLES], 1).astype(np.float32)
        splits[name] = Split(x[rows // ANGLES, rows % ANGLES], context=context)
    note = (f"Made here of MNIST: {OBJECTS} threes at {ANGLES} angles [degrees]; test images are those at "
            f"{UNSEEN * step:g} degrees, an angle that no training image has.")  # fmt: skip
    known = Covariates(("angle",), "object", tuple(map(str, range(OBJECTS))), (False,), (0.0,), (1.0,))
    return Data(
        "rotated-mnist", splits, Schema((28, 28, 1), "unit", covariates=known),
        citation=MADE["rotated-mnist"].citation, source=f"made of {mnist.source}",
        notes=(note,),
    )  # fmt: skip


def whole_healing_mnist(mnist: Data, names: Sequence[str] = SPLITS) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sequences of binary digits that turn at a speed of their own, and which of their pixels are observed.

    Args:
        mnist: grey.
        names: of splits.

    Returns:
        For each split `(n, frames, 784)` uint8 and bool.
    """
    found = {}
    for name in names:
        count = SEQUENCES[SPLITS.index(name)]
        stream = Stream(f"healing-mnist {name}", 0)
        pictures = mnist.split(name).x[:count, ..., 0].astype(np.float64) / 255.0
        speed, start = 60.0 * stream.uniform((count,)) - 30.0, 360.0 * stream.uniform((count,))
        x = np.stack([turned(pictures, start + speed * t) > 0.5 for t in range(FRAMES)], 1)
        flat = x.reshape(count, FRAMES, -1).astype(np.uint8)
        found[name] = flat, stream.uniform(flat.shape) >= HIDDEN_SHARE
    return found


def healing_mnist(mnist: Data) -> Data:
    """Turning binary digits of which 60 % of the pixels are missing, after Krishnan et al. 2015 and Fortuin et al. 2020."""  # noqa: E501
    whole = whole_healing_mnist(mnist)
    splits = {name: Split(np.where(seen, x, 0).astype(np.uint8), observed=seen) for name, (x, seen) in whole.items()}
    pixels = tuple(Column(f"pixel {i}", "feature", "binary") for i in range(28 * 28))
    note = (f"Made here of MNIST: digits that turn for {FRAMES} frames by up to 30 degrees a frame, binary, "
            f"{HIDDEN_SHARE:.0%} of the pixels missing.")  # fmt: skip
    series = Series("", "", pixels, 1.0, dated=False, zone="", regular=True, window=FRAMES)
    return Data(
        "healing-mnist", splits, Schema((FRAMES, len(pixels)), "binary", series=series),
        citation=MADE["healing-mnist"].citation, source=f"made of {mnist.source}",
        notes=(note,),
    )  # fmt: skip


MADE = {
    "rotated-mnist": Made(
        "made here of MNIST: 360 threes at 16 angles, of which one is for testing",
        (28, 28, 1),
        "F. P. Casale et al., Gaussian Process Prior Variational Autoencoders, NeurIPS 2018",
        rotated_mnist,
    ),
    "healing-mnist": Made(
        "made here of MNIST: series of ten frames of a turning digit, 60 % of the pixels missing",
        (FRAMES, 784),
        "R. G. Krishnan, U. Shalit and D. Sontag, Deep Kalman Filters, arXiv 1511.05121, 2015",
        healing_mnist,
    ),
}


def healing_truth(*, data_dir: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """All pixels of the test sequences of healing-mnist, and which are observed; see `whole_healing_mnist`.

    Args:
        data_dir: a folder with MNIST.
    """
    mnist = load_named(catalogue()["mnist"], data_dir=data_dir, cuts=Cuts(), progress=None)
    return whole_healing_mnist(mnist, ("test",))["test"]
