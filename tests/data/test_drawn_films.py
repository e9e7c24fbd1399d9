"""Films that are drawn here: what their labels say is what is drawn, and nobody is in two splits."""

import numpy as np

from nelbo.data import SPRITE_MOTIONS, catalogue, load, sprite_attributes
from nelbo.data.drawn import SPRITE_COLOURS


def test_sprites_are_what_their_labels_say():
    data = load("sprites")
    assert data.shape == catalogue()["sprites"].shape
    characters = {name: set((split.y // len(SPRITE_MOTIONS)).tolist()) for name, split in data.splits.items()}
    assert len(set().union(*characters.values())) == sum(map(len, characters.values())) == 81
    test = data.test
    levels = sprite_attributes(test.y)
    for part, colours in enumerate(SPRITE_COLOURS):
        for level, colour in enumerate(colours):
            there = (test.x == np.array(colour, np.uint8)).all(-1).any((1, 2, 3))
            assert (there == (levels[:, part] == level)).all(), (part, level)
    # only walkers leave the middle, and only jumpers change their height
    height, width = np.nonzero(test.x.any((1, 4)).any(2))[0], test.x.any((1, 2, 4)).sum(1)
    assert height.size
    assert (width[levels[:, 4] < 2] > width[levels[:, 4] > 1].max()).all()
    still = levels[:, 4] > 2
    assert (test.x[still].any((2, 3, 4)) == test.x[still].any((2, 3, 4))[:, :1]).all()


def test_moving_digits_move_a_pixel_a_frame():
    data = load("moving-digits")
    x = data.test.x[:200, ..., 0].astype(np.float64)
    mass = x.sum((2, 3))
    np.testing.assert_allclose(mass, mass[:, :1].repeat(10, 1))  # the digit is whole in every frame
    rows = (x.sum(3) * np.arange(16)).sum(2) / mass
    np.testing.assert_allclose(np.abs(np.diff(rows, axis=1)), 1.0, atol=1e-9)
    down = np.diff(rows, axis=1)[:, 0] > 0
    start = rows[:, 0]
    middle = (start > 5.5) & (start < 9.5)  # far from the edge the first step is that of the label
    assert (down[middle] == (data.test.y[:200] % 4 >= 2)[middle]).all()
