"""Films: sequences of frames as strips and as animated pictures."""

from pathlib import Path

import numpy as np

from nelbo.core import InputError, atomic_write
from nelbo.report.pixels import GRID_WIDTH, image_grid

_MILLISECONDS = 150  # that a frame is shown


def film_frames(films: np.ndarray, *, columns: int | None = None, width: int = GRID_WIDTH) -> list[np.ndarray]:
    """Films side by side: a grid of pictures for each time.

    Args:
        films: `(count, time, height, width, 1 or 3)`, floats in [0, 1].
        columns: films in a row; as `image_grid` if not given.
        width: of the grid in pixels, see `image_grid`.

    Raises:
        InputError: another shape.
    """
    films = np.asarray(films)
    if films.ndim != 5 or films.shape[-1] not in (1, 3) or not films.size:
        raise InputError(f"films: expected the shape (count, time, height, width, 1 or 3), got {films.shape}.")
    return [image_grid(films[:, t], columns=columns, width=width, name="films") for t in range(films.shape[1])]


def save_gif(films: np.ndarray, path: Path | str, *, columns: int | None = None, width: int = GRID_WIDTH) -> None:
    """Write films as one animated picture that begins anew when it ends; the parameters are those of `film_frames`.

    Raises:
        InputError: another shape, or a file that cannot be written.
    """
    from PIL import Image

    frames = [Image.fromarray(grid[..., :3]) for grid in film_frames(films, columns=columns, width=width)]
    with atomic_write(Path(path)) as file:
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=_MILLISECONDS, loop=0, disposal=2)
