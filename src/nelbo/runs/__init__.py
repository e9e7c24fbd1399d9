"""Experiments as records, carried out in run folders."""

from nelbo.runs.answers import check_columns_name, in_user_units, table_suffixes, write_columns, write_filled
from nelbo.runs.claims import resumed
from nelbo.runs.environment import environment
from nelbo.runs.evaluations import EVALUATIONS, Evaluation, add_result, evaluation, result_row
from nelbo.runs.execute import carry_out, execute, figure_arrays, shown
from nelbo.runs.folder import RECORD, Run, open_run
from nelbo.runs.imputation import FILM_STEPS, comparison, film, hiding, imputation_study, known_rows, scored
from nelbo.runs.inputs import is_named, sources_for
from nelbo.runs.objectives import OBJECTIVES, default_objective, objective_options, objectives
from nelbo.runs.settings import TRAINING_DEFAULTS, Experiment, checked_seed

__all__ = [
    "EVALUATIONS",
    "FILM_STEPS",
    "OBJECTIVES",
    "RECORD",
    "TRAINING_DEFAULTS",
    "Evaluation",
    "Experiment",
    "Run",
    "add_result",
    "carry_out",
    "check_columns_name",
    "checked_seed",
    "comparison",
    "default_objective",
    "environment",
    "evaluation",
    "execute",
    "figure_arrays",
    "film",
    "hiding",
    "imputation_study",
    "in_user_units",
    "is_named",
    "known_rows",
    "objective_options",
    "objectives",
    "open_run",
    "result_row",
    "resumed",
    "scored",
    "shown",
    "sources_for",
    "table_suffixes",
    "write_columns",
    "write_filled",
]
