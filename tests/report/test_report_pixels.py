import matplotlib.image
import numpy as np
import pytest
from made_up_runs import images

from nelbo.core import InputError
from nelbo.report import GRID_WIDTH, image_grid, manifold_grid, pair_grid, png_bytes, save_png
from nelbo.report.pixels import as_images, signed_images


@pytest.mark.parametrize(("count", "columns", "gap"), [(7, 3, 1), (6, 3, 0), (1, None, 2), (10, None, 1), (2, 5, 1)])
def test_image_i_is_at_its_row_and_column(count, columns, gap):
    pictures = images(count, size=4)
    grid = image_grid(pictures, columns=columns, gap=gap)
    across = min(columns or int(np.ceil(np.sqrt(count))), count)
    assert grid.shape == (-(-count // across) * (4 + gap) - gap, across * (4 + gap) - gap, 4)
    covered = np.zeros(grid.shape[:2], bool)
    for index in range(count):
        row, column = divmod(index, across)
        place = np.s_[row * (4 + gap) : row * (4 + gap) + 4, column * (4 + gap) : column * (4 + gap) + 4]
        np.testing.assert_array_equal(grid[place][..., :3], np.rint(pictures[index] * 255).repeat(3, axis=-1))
        covered[place] = True
    assert (grid[covered][:, 3] == 255).all()
    between = grid[~covered]
    assert ((between == (214, 218, 223, 255)).all(1) | (between[:, 3] == 0)).all()


def test_a_line_between_neighbours_and_nothing_in_cells_left_over():
    grid = image_grid(np.ones((3, 2, 2)), columns=2, gap=1)
    assert grid[:, 2, 3].tolist() == grid[2, :, 3].tolist() == [255, 255, 0, 0, 0]
    assert image_grid(np.ones((4, 2, 2)), columns=2, gap=1)[2, 2].tolist() == [214, 218, 223, 255]
    assert (grid[3:, 3:] == 0).all()


@pytest.mark.parametrize(("size", "count"), [(8, 100), (28, 100), (32, 100), (8, 1), (5, 7), (48, 100)])
def test_small_images_are_enlarged_by_whole_factors(size, count):
    pictures = images(count, size=size)
    grid = image_grid(pictures, width=GRID_WIDTH)
    columns = int(np.ceil(np.sqrt(count)))
    times, rest = divmod(grid.shape[1] + 2, columns)
    assert rest == 0
    times = (times - 2) / size
    assert times == int(times)
    assert 2 / 3 * GRID_WIDTH <= grid.shape[1] <= 1.5 * GRID_WIDTH
    np.testing.assert_array_equal(
        grid[: size * int(times) : int(times), : size * int(times) : int(times), 0],
        np.rint(pictures[0, ..., 0] * 255),
    )


def test_large_images_stay_as_they_are():
    assert image_grid(np.zeros((4, 500, 500)), width=GRID_WIDTH).shape == (1002, 1002, 4)


def test_colours_keep_their_channels():
    colour = np.zeros((1, 2, 2, 3), np.float32)
    colour[0, 0, 1] = (1.0, 0.5, 0.0)
    np.testing.assert_array_equal(image_grid(colour)[0, 1], (255, 128, 0, 255))


def test_bytes_booleans_and_values_out_of_range():
    np.testing.assert_array_equal(as_images(np.array([[[7, 255]]], np.uint8), "x")[0, 0, :, 0], [7, 255])
    np.testing.assert_array_equal(as_images(np.array([[[True, False]]]), "x")[0, 0, :, 0], [255, 0])
    np.testing.assert_array_equal(as_images(np.array([[[-3.0, 1.5]]]), "x")[0, 0, :, 0], [0, 255])


def test_a_value_that_is_not_finite_is_not_black():
    shown = as_images(np.array([[[np.nan, np.inf, 0.0]]]), "x")[0, 0]
    assert shown[0].tolist() == shown[1].tolist() == [213, 94, 0]
    assert shown[2].tolist() == [0, 0, 0]


def test_each_reconstruction_is_right_below_its_original():
    upper, lower = images(5, size=3, seed=1), images(5, size=3, seed=2)
    grid = pair_grid(upper, lower, columns=3, gap=2)
    pitch = 2 * 3 + 2 + 6 * 2
    assert grid.shape == (2 * pitch - 12, 3 * 5 - 2, 4)
    for index in range(5):
        row, column = divmod(index, 3)
        cell = grid[row * pitch : row * pitch + 8, column * 5 : column * 5 + 3, 0]
        np.testing.assert_array_equal(cell[:3], np.rint(upper[index, ..., 0] * 255))
        np.testing.assert_array_equal(cell[5:], np.rint(lower[index, ..., 0] * 255))
        assert (cell[3:5] == 214).all()
    assert (grid[8:20, :, 3] == 0).all()


def test_the_manifold_keeps_its_order_and_leaves_no_gap():
    manifold = np.arange(6).reshape(2, 3, 1, 1, 1) * np.ones((2, 3, 4, 5, 1)) / 10.0
    grid = manifold_grid(manifold)
    assert grid.shape == (8, 15, 4)
    assert (grid[..., 3] == 255).all()
    np.testing.assert_array_equal(grid[::4, ::5, 0], np.rint(np.arange(6).reshape(2, 3) * 25.5))


def test_signed_images_put_zero_at_grey_and_the_largest_at_the_end():
    fields = np.zeros((3, 2, 2, 1))
    fields[0, 0, 0], fields[1, 1, 1] = 4.0, -0.5
    shown = signed_images(fields)
    assert shown[0, 0, 0, 0] == 1.0
    assert shown[1, 1, 1, 0] == 0.0
    assert (shown[2] == 0.5).all()


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 3, 2), (0, 3, 3, 1), (1, 1, 1, 1, 1, 1)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(InputError, match="shape"):
        image_grid(np.zeros(shape))


def test_pairs_of_unequal_shape_are_refused():
    with pytest.raises(InputError, match="agree"):
        pair_grid(images(3), images(2))


def test_pixels_survive_the_file(tmp_path):
    grid = image_grid(images(4), width=60)
    path = save_png(grid, tmp_path / "new" / "grid.png")
    assert grid.shape == (62, 62, 4)
    np.testing.assert_array_equal(np.rint(matplotlib.image.imread(path) * 255), grid)
    assert png_bytes(grid) == path.read_bytes()
    assert list(path.parent.iterdir()) == [path]
