"""Films that are drawn here: small figures that move, and handwritten digits that bounce. The same bytes everywhere."""

from collections.abc import Callable

import numpy as np

from nelbo.data.streams import Stream

Arrays = dict[str, np.ndarray]
FILM_SOURCE = "drawn by nelbo"
SIDE, SPRITE_FRAMES, DIGIT_FRAMES = 16, 8, 10
SPRITE_PARTS = ("skin", "hair", "shirt", "trousers")
SPRITE_COLOURS = (
    ((255, 219, 172), (198, 134, 66), (110, 64, 38)),
    ((250, 220, 90), (60, 40, 30), (215, 60, 30)),
    ((40, 90, 220), (30, 170, 80), (200, 60, 170)),
    ((240, 240, 240), (70, 70, 90), (150, 170, 40)),
)
SPRITE_MOTIONS = ("walks left", "walks right", "jumps", "waves left", "waves right", "nods")
DIGIT_MOTIONS = ("up left", "up right", "down left", "down right")
_EACH = {"train": 63, "valid": 9, "test": 9}  # characters; no one is in two splits
_PHASES = 4  # films of each character and motion
_DIGITS = {"train": 1297, "valid": 250, "test": 250}  # of scikit-learn's; no writing is in two splits
_HEIGHTS = (0, 1, 3, 4, 4, 3, 1, 0)  # of a jump


def sprites() -> Arrays:
    """Films of 8 frames of 16 x 16 pixels: 81 characters, each of one of three colours of skin, hair, shirt and
    trousers, in six motions from four of their eight phases; the characters of validation and test are not trained on.

    The label is the character's number times six, plus that of the motion; see `sprite_attributes`.
    """
    places = np.array([[_figure(motion, phase) for phase in range(SPRITE_FRAMES)] for motion in SPRITE_MOTIONS])
    order = Stream("sprites", 0).permutation(81)
    found: Arrays = {}
    first = 0
    for split, count in _EACH.items():
        characters = np.sort(order[first : first + count])
        first += count
        which, motion, number = (
            part.ravel() for part in np.indices((count, len(SPRITE_MOTIONS), _PHASES)).astype(np.int64)
        )
        uniform = Stream(f"sprites {split}", 0).uniform((len(which),))
        phase = (2 * number + (uniform < 0.5)) % SPRITE_FRAMES
        frames = (phase[:, None] + np.arange(SPRITE_FRAMES)) % SPRITE_FRAMES
        palette = _palettes(characters)
        parts = places[motion[:, None], frames]  # (n, frames, side, side)
        x = palette[which[:, None, None, None], parts]
        y = characters[which] * len(SPRITE_MOTIONS) + motion
        shuffled = Stream(f"sprites order {split}", 0).permutation(len(y))
        found |= {f"x_{split}": np.ascontiguousarray(x[shuffled]), f"y_{split}": y[shuffled].astype(np.int32)}
    return found


def _palettes(characters: np.ndarray) -> np.ndarray:
    """Colours of the parts of each character; the first is the background."""
    levels = _levels(characters)
    found = np.zeros((len(characters), 1 + len(SPRITE_PARTS), 3), np.uint8)
    for part, colours in enumerate(SPRITE_COLOURS):
        found[:, 1 + part] = np.asarray(colours, np.uint8)[levels[:, part]]
    return found


def _levels(characters: np.ndarray) -> np.ndarray:
    return np.stack([characters // 3**i % 3 for i in range(len(SPRITE_PARTS))], 1)


def _figure(motion: str, phase: int) -> np.ndarray:
    """Which part each pixel shows: 0 background, 1 skin, 2 hair, 3 shirt, 4 trousers."""
    canvas = np.zeros((SIDE, SIDE), np.int64)
    beat = phase // 2 % 2
    raised = (motion == "waves left", motion == "waves right")
    top, head = 4, int(motion == "nods" and beat)
    canvas[top + head : top + head + 2, 6:11] = 2
    canvas[top + head + 2 : top + 4 + head, 6:11] = 1
    canvas[top + 4 + head : top + 8, 7:10] = 3
    for column, lift in zip((6, 10), raised, strict=True):
        up = beat * lift
        canvas[top + 4 - 4 * up : top + 7 - 4 * up, column + up * (1 if column > 8 else -1)] = 1
    canvas[top + 8 : top + 11, 7], canvas[top + 8 : top + 11, 9] = 4, 4
    if motion.startswith("walks"):
        canvas[top + 10, 9 if beat else 7] = 0
        return np.roll(canvas, 2 * phase * (1 if motion.endswith("right") else -1), axis=1)
    return np.roll(canvas, -_HEIGHTS[phase], axis=0) if motion == "jumps" else canvas


def sprite_attributes(labels: np.ndarray) -> np.ndarray:
    """Of labels of `sprites`: the level of skin, hair, shirt and trousers (0 to 2), then the motion (0 to 5).

    Args:
        labels: `(n,)`.

    Returns:
        `(n, 5)` whole numbers.
    """
    character, motion = np.divmod(np.asarray(labels, np.int64), len(SPRITE_MOTIONS))
    return np.concatenate([_levels(character), motion[:, None]], 1)


def sprite_names() -> tuple[str, ...]:
    """Of the labels: the levels of skin, hair, shirt and trousers, and the motion."""
    levels = _levels(np.arange(81))
    return tuple(f"{''.join(map(str, row))} {motion}" for row in levels.tolist() for motion in SPRITE_MOTIONS)


def moving_digits() -> Arrays:
    """Films of 10 frames of 16 x 16 grey pixels: a digit of scikit-learn's that moves a pixel a frame along a diagonal
    and bounces; each writing in all four directions, and no writing in two splits.

    The label is the digit times four, plus the direction of the first step.
    """
    from nelbo.data.embedded import digits

    whole = digits()
    order = Stream("moving digits", 0).permutation(len(whole["y"]))
    found: Arrays = {}
    first = 0
    for split, count in _DIGITS.items():
        rows = np.repeat(order[first : first + count], len(DIGIT_MOTIONS))
        first += count
        motion = np.tile(np.arange(len(DIGIT_MOTIONS)), count)
        room = SIDE - 8
        start = np.floor(Stream(f"moving digits {split}", 0).uniform((len(rows), 2)) * (room + 1)).astype(np.int64)
        steps = np.stack([np.where(motion < 2, -1, 1), np.where(motion % 2 == 0, -1, 1)], 1)
        at = (start[:, None] + steps[:, None] * np.arange(DIGIT_FRAMES)[None, :, None]) % (2 * room)
        at = np.where(at > room, 2 * room - at, at)
        x = np.zeros((len(rows), DIGIT_FRAMES, SIDE, SIDE, 1), np.uint8)
        inside = np.arange(8)
        number, frame = np.arange(len(rows))[:, None, None, None], np.arange(DIGIT_FRAMES)[:, None, None]
        down, right = at[..., 0, None, None] + inside[:, None], at[..., 1, None, None] + inside
        x[number, frame, down, right, 0] = whole["x"][rows][:, None]
        y = whole["y"][rows].astype(np.int32) * len(DIGIT_MOTIONS) + motion
        shuffled = Stream(f"moving digits order {split}", 0).permutation(len(y))
        found |= {f"x_{split}": x[shuffled], f"y_{split}": y[shuffled].astype(np.int32)}
    return found


def moving_digit_names() -> tuple[str, ...]:
    """Of the labels."""
    return tuple(f"{digit} {motion}" for digit in range(10) for motion in DIGIT_MOTIONS)


DRAWN: dict[str, Callable[[], Arrays]] = {"sprites": sprites, "moving-digits": moving_digits}
