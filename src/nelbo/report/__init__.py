"""Tables, plots and HTML pages about runs; the only room that draws.

What a page shows comes to it as values: run folders are read by `nelbo.runs`.

Units: bounds and standard errors are in nats per example, `bits per dim` in bits per dimension of x; the binarization
of the data stands beside every likelihood. The names below are imported when they are first used: a table does not
wait for matplotlib.
"""

from typing import TYPE_CHECKING

from nelbo._lazy import lazy

if TYPE_CHECKING:
    from nelbo.report.comparison import comparison_page as comparison_page
    from nelbo.report.document import Block as Block
    from nelbo.report.document import Code as Code
    from nelbo.report.document import Heading as Heading
    from nelbo.report.document import Table as Table
    from nelbo.report.document import Text as Text
    from nelbo.report.document import write_document as write_document
    from nelbo.report.fans import fan_chart as fan_chart
    from nelbo.report.figures import curves_figure as curves_figure
    from nelbo.report.figures import embedding_scatter as embedding_scatter
    from nelbo.report.figures import learning_curves as learning_curves
    from nelbo.report.figures import vector_pairs as vector_pairs
    from nelbo.report.figures import vector_rows as vector_rows
    from nelbo.report.films import film_frames as film_frames
    from nelbo.report.films import save_gif as save_gif
    from nelbo.report.folders import draw_figures as draw_figures
    from nelbo.report.folders import write_report as write_report
    from nelbo.report.gradient_noise import variance_figure as variance_figure
    from nelbo.report.picture import Picture as Picture
    from nelbo.report.pixels import GRID_WIDTH as GRID_WIDTH
    from nelbo.report.pixels import as_images as as_images
    from nelbo.report.pixels import image_grid as image_grid
    from nelbo.report.pixels import manifold_grid as manifold_grid
    from nelbo.report.pixels import pair_grid as pair_grid
    from nelbo.report.published import published_figure as published_figure
    from nelbo.report.rate_distortion import rate_distortion_figure as rate_distortion_figure
    from nelbo.report.reliability import reliability_diagram as reliability_diagram
    from nelbo.report.reliability import reliability_figure as reliability_figure
    from nelbo.report.results import result_rows as result_rows
    from nelbo.report.single_run import run_page as run_page
    from nelbo.report.style import DARK as DARK
    from nelbo.report.style import LIGHT as LIGHT
    from nelbo.report.style import Theme as Theme
    from nelbo.report.style import png_bytes as png_bytes
    from nelbo.report.style import save_png as save_png
    from nelbo.report.tables import html_table as html_table
    from nelbo.report.tables import markdown_table as markdown_table
    from nelbo.report.tables import text_table as text_table

_HOMES = {
    "Block": "document",
    "Code": "document",
    "DARK": "style",
    "GRID_WIDTH": "pixels",
    "Heading": "document",
    "LIGHT": "style",
    "Picture": "picture",
    "Table": "document",
    "Text": "document",
    "Theme": "style",
    "as_images": "pixels",
    "comparison_page": "comparison",
    "curves_figure": "figures",
    "draw_figures": "folders",
    "embedding_scatter": "figures",
    "fan_chart": "fans",
    "film_frames": "films",
    "html_table": "tables",
    "image_grid": "pixels",
    "learning_curves": "figures",
    "manifold_grid": "pixels",
    "markdown_table": "tables",
    "pair_grid": "pixels",
    "png_bytes": "style",
    "published_figure": "published",
    "rate_distortion_figure": "rate_distortion",
    "reliability_diagram": "reliability",
    "reliability_figure": "reliability",
    "result_rows": "results",
    "run_page": "single_run",
    "save_gif": "films",
    "save_png": "style",
    "text_table": "tables",
    "variance_figure": "gradient_noise",
    "vector_pairs": "figures",
    "vector_rows": "figures",
    "write_document": "document",
    "write_report": "folders",
}

__all__ = [*_HOMES]  # noqa: PLE0604 (all are strings)

__getattr__, __dir__ = lazy(__name__, _HOMES)
