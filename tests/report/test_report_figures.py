import math
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from made_up_runs import history_rows
from matplotlib.colors import to_hex

from nelbo.core import InputError
from nelbo.report import (
    DARK,
    LIGHT,
    curves_figure,
    embedding_scatter,
    learning_curves,
    png_bytes,
    vector_pairs,
    vector_rows,
)


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_learning_curves_show_bounds_against_examples():
    rows = history_rows(count=10)
    axes = learning_curves(rows).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training examples seen", "bound (nats per example)")
    assert axes.get_xscale() == "log"
    assert legend(axes) == ["train", "validation"]
    train, valid = axes.get_lines()
    np.testing.assert_array_equal(train.get_xdata(), [row["examples"] for row in rows])
    np.testing.assert_array_equal(train.get_ydata(), [row["train_bound"] for row in rows])
    np.testing.assert_array_equal(valid.get_xdata(), [row["examples"] for row in rows if row["valid_bound"]])


def test_the_axis_falls_back_and_says_so():
    rows = [{"step": i, "train_bound": -float(10 - i)} for i in range(5)]
    axes = learning_curves(rows, log_x=False).axes[0]
    assert axes.get_xlabel() == "optimizer steps"
    assert axes.get_xscale() == "linear"


def test_numbers_that_are_not_finite_are_left_out():
    rows = history_rows(count=4)
    rows[1]["train_bound"], rows[2]["train_bound"] = math.nan, -math.inf
    line = learning_curves(rows).axes[0].get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), [rows[0]["train_bound"], rows[3]["train_bound"]])


@pytest.mark.parametrize("rows", [[], [{"step": 1}], [{"train_bound": None}], [{"train_bound": math.nan}]])
def test_a_history_without_bounds_is_refused(rows):
    with pytest.raises(InputError, match="bound"):
        learning_curves(rows)


def test_references_are_drawn_and_named():
    axes = curves_figure([("ours", [1, 2], [-3.0, -2.0])], references=[("published", -2.5)]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["published"]
    assert list(axes.get_lines()[1].get_ydata()) == [-2.5, -2.5]


def test_zero_examples_do_not_break_the_logarithmic_axis():
    axes = curves_figure([("a", [0, 10, 100], [-9.0, -5.0, -4.0])], log_x=True).axes[0]
    np.testing.assert_array_equal(axes.get_lines()[0].get_xdata(), [10, 100])
    assert curves_figure([("a", [0, 10], [-9.0, -5.0])], log_x=True).axes[0].get_xscale() == "linear"


def test_focus_cuts_off_a_low_start_but_never_a_later_fall():
    x = np.geomspace(1e3, 1e6, 50)
    rising = -100.0 - 500.0 * np.exp(-np.linspace(0, 12, 50))
    low, high = curves_figure([("a", x, rising)], log_x=True, focus=True).axes[0].get_ylim()
    assert -200 < low < rising[20]
    assert high > rising.max()
    falling = rising.copy()
    falling[-1] = -590.0
    assert curves_figure([("a", x, falling)], log_x=True, focus=True).axes[0].get_ylim()[0] < -590.0
    low, _ = curves_figure([("a", x, rising)], references=[("r", -250)], log_x=True, focus=True).axes[0].get_ylim()
    assert low < -250


@pytest.mark.parametrize("falls", [False, True])
def test_the_legend_hides_no_curve_where_there_is_room(falls):
    x = np.linspace(0.0, 1.0, 50)
    figure = curves_figure([("a", x, -(x**8) if falls else x**8), ("b", x, 0.1 * x)])
    axes = figure.axes[0]
    png_bytes(figure)
    box = axes.get_legend().get_window_extent()
    for line in axes.get_lines():
        inside = [box.contains(*point) for point in axes.transData.transform(line.get_xydata())]
        assert not any(inside)


def test_many_curves_stay_apart():
    figure = curves_figure([(f"run {i}", [1, 2], [i, i + 1.0]) for i in range(20)])
    looks = {(line.get_color(), str(line._dash_pattern)) for line in figure.axes[0].get_lines()}
    assert len(looks) == 20
    assert len(figure.legends) == 1
    assert png_bytes(figure)


@pytest.mark.parametrize("label", ["_hidden", "cost $x_2$ or $", "漢字", "half \ud800", "long " * 40])
def test_any_name_can_be_a_label(label):
    figure = curves_figure([(label, [1, 2], [1.0, 2.0])])
    assert len(legend(figure.axes[0])) == 1
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_bad_curves_are_refused():
    with pytest.raises(InputError, match="one length"):
        curves_figure([("a", [1, 2], [1.0])])
    with pytest.raises(InputError, match="finite"):
        curves_figure([("a", [1], [math.nan])])
    with pytest.raises(InputError, match="reference"):
        curves_figure([("a", [1], [1.0])], references=[("r", math.inf)])


def test_points_carry_the_colour_of_their_class():
    points = np.array([[0.0, 0], [1, 1], [2, 2], [np.nan, 0]])
    axes = embedding_scatter(points, np.array([7, 3, 7, 3])).axes[0]
    colours = [to_hex(colour) for colour in axes.collections[0].get_facecolors()]
    assert colours == [LIGHT.classes[1], LIGHT.classes[0], LIGHT.classes[1]]
    assert legend(axes) == ["3", "7"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latent 1", "latent 2")


def test_more_classes_than_colours_get_a_scale():
    figure = embedding_scatter(np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 15)
    assert len(figure.axes) == 2


@pytest.mark.parametrize(("shape", "labels"), [((5, 3), 5), ((5,), 5), ((5, 2), 4)])
def test_an_embedding_of_another_shape_is_refused(shape, labels):
    with pytest.raises(InputError, match="shape"):
        embedding_scatter(np.zeros(shape), np.zeros(labels, int))


def test_class_names_must_fit():
    points, labels = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    assert legend(embedding_scatter(points, labels, class_names=["shirt", "shoe"]).axes[0]) == ["shirt", "shoe"]
    with pytest.raises(InputError, match="as many names"):
        embedding_scatter(points, labels, class_names=["shirt"])


def test_vectors_are_rows_of_a_heat_map():
    vectors = np.array([[1.0, -2.0, np.nan], [0.0, 0.5, 1.0]])
    image = vector_rows(vectors, signed=True).axes[0].images[0]
    assert image.get_clim() == (-2.0, 2.0)
    np.testing.assert_array_equal(np.ma.getmaskarray(image.get_array())[0], [False, False, True])
    assert png_bytes(vector_rows(np.full((2, 2), np.nan)))


def test_vector_pairs_draw_each_pair_in_its_panel():
    vectors = np.random.default_rng(0).normal(size=(3, 6))
    panels = vector_pairs(vectors, vectors + 1.0).axes
    for panel, vector in zip(panels[:3], vectors, strict=True):
        original, reconstruction = panel.get_lines()
        np.testing.assert_array_equal(original.get_ydata(), vector)
        np.testing.assert_array_equal(reconstruction.get_ydata(), vector + 1.0)
    assert not panels[3].get_visible()
    with pytest.raises(InputError, match="both"):
        vector_pairs(vectors, vectors[:2])


def test_dimensions_are_called_by_their_names_where_these_are_known():
    vectors = np.random.default_rng(0).normal(size=(3, 2))
    for figure in (
        vector_rows(vectors, columns=["age", "cost $"]),
        vector_pairs(vectors, vectors, columns=["age", "b"]),
    ):
        labels = [text.get_text() for axes in figure.axes for text in axes.get_xticklabels()]
        assert "age" in labels
        assert png_bytes(figure)
    axes = vector_rows(vectors, columns=["one name of two"]).axes[0]
    assert axes.get_xlabel() == "dimension"


def test_the_same_figure_gives_the_same_bytes_and_themes_differ():
    light, again, dark = (png_bytes(learning_curves(history_rows(), theme=t)) for t in (LIGHT, LIGHT, DARK))
    assert light == again != dark
    assert b"Software" not in light


def test_a_users_settings_neither_leak_in_nor_change():
    plain = png_bytes(learning_curves(history_rows()))
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        assert png_bytes(learning_curves(history_rows())) == plain
        assert dict(mpl.rcParams) == before


@pytest.mark.slow
def test_pyplot_is_never_loaded():
    code = "import sys, nelbo.report as r; r.png_bytes(r.curves_figure([('a', [1, 2], [1, 2])]))"
    check = "assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], check=True)


def test_a_legend_that_would_hide_a_curve_stands_beside_the_axes():
    x = np.linspace(0.0, 1.0, 200)
    full = [(f"a long name of curve {i}", x, np.sin(40 * x + i)) for i in range(4)]  # they fill the axes
    figure = curves_figure(full, x_label="x", y_label="y")
    assert figure.axes[0].get_legend() is None
    assert len(figure.legends) == 1


def test_thousands_are_abbreviated_and_fractions_are_not():
    for top, mark in ((1.0, "m"), (2e4, "k")):
        figure = curves_figure([("a", np.linspace(0.0, top, 9), np.arange(9.0))], x_label="x", y_label="y")
        figure.draw_without_rendering()
        texts = [text.get_text() for text in figure.axes[0].get_xticklabels()]
        assert any(mark in text for text in texts) == (mark == "k")
