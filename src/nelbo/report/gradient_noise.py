"""A plot of how noisy gradient estimators are."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from nelbo.core import InputError
from nelbo.report.json_values import number
from nelbo.report.style import LIGHT, Theme, style


def variance_figure(report: Mapping[str, Mapping[str, Mapping[str, float]]], *, theme: Theme = LIGHT) -> Figure:
    """Variance of each estimator's gradient, one point for each layer, on a logarithmic axis.

    Args:
        report: `report[estimator][layer]["variance"]`, summed over the layer's parameters.
        theme: the colours.

    Raises:
        InputError: there is no positive variance to draw.
    """
    names = list(report)
    layers = list(dict.fromkeys(layer for rows in report.values() for layer in rows))
    cells = [[number(report[name].get(layer, {}).get("variance")) or np.nan for layer in layers] for name in names]
    values = np.where(np.array(cells) > 0, cells, np.nan)
    if not np.isfinite(values).any():
        raise InputError("variance_figure needs at least one positive variance.")
    with style(theme):
        figure = Figure()
        axes = figure.subplots()
        places = np.arange(len(names))
        for index, layer in enumerate(layers):
            axes.plot(values[:, index], places, "o" if layer.startswith("q") else "x", label=layer)
        axes.set_xscale("log")
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set(xlabel="variance of the batch gradient, summed over a layer's parameters")
        axes.legend(title="layer", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
