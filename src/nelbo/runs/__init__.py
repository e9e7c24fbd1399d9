"""Experiments as records, carried out in run folders."""

from nelbo.runs.answers import check_columns_name, in_user_units, table_suffixes, write_columns, write_filled
from nelbo.runs.claims import resumed
from nelbo.runs.environment import environment
from nelbo.runs.evaluations import EVALUATIONS, Evaluation, add_result, evaluation, result_row
from nelbo.runs.execute import carry_out, execute, figure_arrays, shown
from nelbo.runs.folder import RECORD, Run, open_run
from nelbo.runs.imputation import (
    CHAIN_STEPS,
    chain_pictures,
    comparison,
    hiding,
    imputation_study,
    known_columns,
    scored,
)
from nelbo.runs.inputs import data_options, is_named, model_options, sources_for, training_defaults
from nelbo.runs.objectives import (
    OBJECTIVES,
    default_objective,
    named_objective_options,
    objective_named,
    objective_options,
    objectives,
)
from nelbo.runs.pairs import read_pairs, run_pairs
from nelbo.runs.ranks import RANKS, default_bound, error_columns, rank_scores
from nelbo.runs.record import DataRecord, RunRecord, read_history, read_run_record
from nelbo.runs.settings import TRAINING_DEFAULTS, Experiment, Training, checked_seed
from nelbo.runs.size import MOST_BYTES

__all__ = [
    "CHAIN_STEPS",
    "EVALUATIONS",
    "MOST_BYTES",
    "OBJECTIVES",
    "RANKS",
    "RECORD",
    "TRAINING_DEFAULTS",
    "DataRecord",
    "Evaluation",
    "Experiment",
    "Run",
    "RunRecord",
    "Training",
    "add_result",
    "carry_out",
    "chain_pictures",
    "check_columns_name",
    "checked_seed",
    "comparison",
    "data_options",
    "default_bound",
    "default_objective",
    "environment",
    "error_columns",
    "evaluation",
    "execute",
    "figure_arrays",
    "hiding",
    "imputation_study",
    "in_user_units",
    "is_named",
    "known_columns",
    "model_options",
    "named_objective_options",
    "objective_named",
    "objective_options",
    "objectives",
    "open_run",
    "rank_scores",
    "read_history",
    "read_pairs",
    "read_run_record",
    "result_row",
    "resumed",
    "run_pairs",
    "scored",
    "shown",
    "sources_for",
    "table_suffixes",
    "training_defaults",
    "write_columns",
    "write_filled",
]
