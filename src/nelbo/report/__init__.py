"""Tables, plots and one HTML page from the records of runs on disk; the only room that draws.

Units: bounds and standard errors are in nats per example, `bits per dim` in bits per dimension of x; the binarization
of the data stands beside every likelihood.
"""

from nelbo.report.document import Block, Code, Heading, Table, Text, write_document
from nelbo.report.figures import curves_figure, embedding_scatter, learning_curves, vector_pairs, vector_rows
from nelbo.report.page import write_report
from nelbo.report.pictures import Picture, draw_figures
from nelbo.report.pixels import enlarge, image_grid, manifold_grid, pair_grid
from nelbo.report.records import Run, read_history, read_run
from nelbo.report.style import DARK, LIGHT, Theme, png_bytes, save_png
from nelbo.report.tables import html_table, markdown_table, result_rows, text_table
from nelbo.report.variance import variance_figure

__all__ = [
    "DARK",
    "LIGHT",
    "Block",
    "Code",
    "Heading",
    "Picture",
    "Run",
    "Table",
    "Text",
    "Theme",
    "curves_figure",
    "draw_figures",
    "embedding_scatter",
    "enlarge",
    "html_table",
    "image_grid",
    "learning_curves",
    "manifold_grid",
    "markdown_table",
    "pair_grid",
    "png_bytes",
    "read_history",
    "read_run",
    "result_rows",
    "save_png",
    "text_table",
    "variance_figure",
    "vector_pairs",
    "vector_rows",
    "write_document",
    "write_report",
]
