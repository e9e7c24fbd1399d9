"""Experiments as records, carried out in run folders."""

from nelbo.runs.execute import carry_out, execute, figure_arrays, shown
from nelbo.runs.folder import RECORD, Run, environment, open_run, resumed
from nelbo.runs.imputation import FILM_STEPS, comparison, film, hiding, imputation_study, known_rows, scored
from nelbo.runs.inputs import sources_for
from nelbo.runs.objectives import OBJECTIVES, default_objective, objective_options, objectives
from nelbo.runs.record import DataRecord, RunRecord, read_history, read_run_record
from nelbo.runs.results import BOUNDS, add_result, result_row
from nelbo.runs.settings import TRAINING_DEFAULTS, Experiment, checked_seed

__all__ = [
    "BOUNDS",
    "FILM_STEPS",
    "OBJECTIVES",
    "RECORD",
    "TRAINING_DEFAULTS",
    "DataRecord",
    "Experiment",
    "Run",
    "RunRecord",
    "add_result",
    "carry_out",
    "checked_seed",
    "comparison",
    "default_objective",
    "environment",
    "execute",
    "figure_arrays",
    "film",
    "hiding",
    "imputation_study",
    "known_rows",
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
]
