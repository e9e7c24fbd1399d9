"""`nelbo models`."""

import argparse
import inspect
from typing import Any

from nelbo.cli.commands import Command
from nelbo.cli.listing import listed, listing_arguments, option_rows
from nelbo.cli.output import print_json
from nelbo.core import summary
from nelbo.models import families, family, likelihoods
from nelbo.report import text_table
from nelbo.runs import TRAINING_DEFAULTS, default_objective, model_options, training_defaults

BY_DATA = "by the data"


def _rows() -> list[dict[str, Any]]:
    return [{"name": name, "what": summary(one.make), "objective": one.objective} for name, one in families().items()]


def models(options: argparse.Namespace) -> None:
    """The model families, or one with its options as the command line has them."""
    if listed(options, _rows):
        return
    name, make, fixed = options.name, family(options.name).make, family(options.name).likelihood
    rows = option_rows(model_options(name, fixed), {other: model_options(other) for other in families()})
    for row in rows:
        if row["option"] == "likelihood":
            row["default"] = BY_DATA
    training, special = {**TRAINING_DEFAULTS, **training_defaults(name, fixed)}, _by_likelihood(name)
    if options.json:
        settings = {row["option"]: row["default"] for row in rows}
        print_json({"name": name, "options": settings, "objective": default_objective(name), "training": training,
                    "least_steps": family(name).least_steps, "by_likelihood": special,
                    "text": inspect.getdoc(make)})  # fmt: skip
        return
    print(f"{summary(make)}\n\n{text_table(rows)}\nObjective: {default_objective(name)}")
    print("Training: " + ", ".join(f"{key}={value}" for key, value in training.items() if value not in (None, ())))
    if family(name).least_steps:
        most = family(name).most_steps
        print(f"Epochs that are not given are so many that at least {family(name).least_steps} steps are taken"
              f"{f', and at most {most}' if most is not None else ''}.")  # fmt: skip
    for likelihood, settings in special.items():
        print(f"With {likelihood}: " + ", ".join(f"{key}={value}" for key, value in settings.items()))


def _by_likelihood(name: str) -> dict[str, dict[str, Any]]:
    """Defaults of options and training settings that are others with one of the likelihoods to choose from."""
    usual = {option.name: option.default for option in model_options(name)} | training_defaults(name)
    found = {}
    for likelihood in likelihoods():
        own = {option.name: option.default for option in model_options(name, likelihood)}
        own |= training_defaults(name, likelihood)
        changed = {key: value for key, value in own.items() if key not in usual or value != usual[key]}
        if changed.pop("likelihood", "") and changed:
            found[likelihood] = changed
    return found


COMMAND = Command(
    (
        "nelbo models list",
        "nelbo models show vae",
    ),
    listing_arguments,
    models,
)
