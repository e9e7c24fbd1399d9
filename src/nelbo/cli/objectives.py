"""`nelbo objectives`."""

import argparse
import inspect
from typing import Any

from nelbo.cli.commands import Command
from nelbo.cli.listing import listed, listing_arguments, option_rows
from nelbo.cli.output import print_json
from nelbo.core import summary
from nelbo.models import families
from nelbo.objectives import Setting
from nelbo.report import text_table
from nelbo.runs import named_objective_options, objective_named, objectives

KINDS = {
    "exact": "log p(x) itself",
    "lower": "a lower bound on log p(x)",
    "upper": "an upper bound on log p(x)",
    "estimate": "an estimate of log p(x)",
    "proxy": "no bound on log p(x)",
}


def _kind(name: str) -> str:
    """What the number is that an objective reports."""
    return objective_named(name).make(Setting(1, 1.0)).kind


def _rows() -> list[dict[str, Any]]:
    return [
        {"name": name, "what": summary(one.make), "reports": KINDS[_kind(name)]} for name, one in objectives().items()
    ]


def show_objectives(options: argparse.Namespace) -> None:
    """What models are trained by, or one of these with its options."""
    if listed(options, _rows):
        return
    name, make = options.name, objective_named(options.name).make
    rows = option_rows(named_objective_options(name), {other: named_objective_options(other) for other in objectives()})
    default_of = [model for model, one in families().items() if one.objective == name]
    if options.json:
        settings = {row["option"]: row["default"] for row in rows}
        print_json({"name": name, "options": settings, "kind": _kind(name), "default_of": default_of,
                    "text": inspect.getdoc(make)})  # fmt: skip
        return
    print(f"{summary(make)}\n\n{text_table(rows)}\nReports {KINDS[_kind(name)]}.")
    if default_of:
        print(f"Default of {', '.join(default_of)}.")


COMMAND = Command(
    (
        "nelbo objectives list",
        "nelbo objectives show nvil",
    ),
    listing_arguments,
    show_objectives,
)
