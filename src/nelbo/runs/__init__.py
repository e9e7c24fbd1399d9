"""Experiments as records, carried out in run folders."""

from nelbo.runs.execute import carry_out, execute, figure_arrays, shown
from nelbo.runs.folder import RECORD, Run, environment, open_run, resumed
from nelbo.runs.imputation import (
    CHAIN_STEPS,
    chain_pictures,
    comparison,
    hiding,
    imputation_study,
    known_columns,
    scored,
)
from nelbo.runs.inputs import data_options, model_options, sources_for, training_defaults
from nelbo.runs.objectives import (
    OBJECTIVES,
    default_objective,
    named_objective_options,
    objective_named,
    objective_options,
    objectives,
)
from nelbo.runs.record import DataRecord, RunRecord, read_history, read_run_record
from nelbo.runs.results import BOUNDS, add_result, result_row
from nelbo.runs.settings import TRAINING_DEFAULTS, Experiment, Training, checked_seed
from nelbo.runs.size import MOST_BYTES

__all__ = [
    "BOUNDS",
    "CHAIN_STEPS",
    "MOST_BYTES",
    "OBJECTIVES",
    "RECORD",
    "TRAINING_DEFAULTS",
    "DataRecord",
    "Experiment",
    "Run",
    "RunRecord",
    "Training",
    "add_result",
    "carry_out",
    "chain_pictures",
    "checked_seed",
    "comparison",
    "data_options",
    "default_objective",
    "environment",
    "execute",
    "figure_arrays",
    "hiding",
    "imputation_study",
    "known_columns",
    "model_options",
    "named_objective_options",
    "objective_named",
    "objective_options",
    "objectives",
    "open_run",
    "read_history",
    "read_run_record",
    "result_row",
    "resumed",
    "scored",
    "shown",
    "sources_for",
    "training_defaults",
]
