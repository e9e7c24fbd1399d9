"""Experiments as records, carried out in run folders."""

from nelbo.runs.answers import (
    check_columns_name,
    in_user_units,
    scaled,
    table_suffixes,
    user_scale,
    write_columns,
    write_filled,
)
from nelbo.runs.calibrated import calibrated, interval_scale
from nelbo.runs.claims import resumed
from nelbo.runs.environment import environment
from nelbo.runs.evaluations import (
    EVALUATIONS,
    LOG_SCORE,
    PAIR_SCORE,
    Evaluation,
    add_result,
    evaluation,
    result_row,
    weight_rows,
)
from nelbo.runs.events import event_numbers
from nelbo.runs.evidence import LADDER, Ladder, evidence_ladder
from nelbo.runs.execute import carry_out, execute, figure_arrays, shown
from nelbo.runs.folder import MODEL, RECORD, Run, is_run, open_run, read_experiment
from nelbo.runs.forecasts import (
    FilledSeries,
    Forecast,
    checked_horizon,
    fill_errors,
    fill_rows,
    forecast_columns,
    forecast_series,
    score_futures,
    series_of,
    series_rows,
    simple_fills,
)
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
from nelbo.runs.memory import fit_rows, run_from_bytes, run_to_bytes, save_run
from nelbo.runs.next_events import NextEvents, next_events, user_codes
from nelbo.runs.novel_times import GIVEN, NovelTimes, novel_times, simes
from nelbo.runs.novelty import HELD_OUT, NoveltyAnswer, NoveltyQuestion, novel_rows, truth_of
from nelbo.runs.objectives import (
    OBJECTIVES,
    default_objective,
    named_objective_options,
    objective_named,
    objective_options,
    objectives,
)
from nelbo.runs.pairs import read_pairs, run_pairs
from nelbo.runs.predictions import check_fresh, check_predicts, prediction_columns, score_run
from nelbo.runs.quantizing import LOSS, QuantizedRun, quantized_run
from nelbo.runs.ranks import RANKS, rank_scores, with_errors
from nelbo.runs.record import DataRecord, RunRecord, read_history, read_run_record
from nelbo.runs.sampling import RUN_OPTIMIZERS
from nelbo.runs.sequences import codes_of_rows, sequences_named
from nelbo.runs.settings import TRAINING_DEFAULTS, Experiment, Training, checked_seed
from nelbo.runs.size import MOST_BYTES
from nelbo.runs.tables import (
    column_summary,
    interval_columns,
    is_table_of_columns,
    keep_summary,
    settings_for,
    unanswered,
)
from nelbo.runs.typical import keep_typical

__all__ = [
    "CHAIN_STEPS",
    "EVALUATIONS",
    "GIVEN",
    "HELD_OUT",
    "LADDER",
    "LOG_SCORE",
    "LOSS",
    "MODEL",
    "MOST_BYTES",
    "OBJECTIVES",
    "PAIR_SCORE",
    "RANKS",
    "RECORD",
    "RUN_OPTIMIZERS",
    "TRAINING_DEFAULTS",
    "DataRecord",
    "Evaluation",
    "Experiment",
    "FilledSeries",
    "Forecast",
    "Ladder",
    "NextEvents",
    "NovelTimes",
    "NoveltyAnswer",
    "NoveltyQuestion",
    "QuantizedRun",
    "Run",
    "RunRecord",
    "Training",
    "add_result",
    "calibrated",
    "carry_out",
    "chain_pictures",
    "check_columns_name",
    "check_fresh",
    "check_predicts",
    "checked_horizon",
    "checked_seed",
    "codes_of_rows",
    "column_summary",
    "comparison",
    "data_options",
    "default_objective",
    "environment",
    "evaluation",
    "event_numbers",
    "evidence_ladder",
    "execute",
    "figure_arrays",
    "fill_errors",
    "fill_rows",
    "fit_rows",
    "forecast_columns",
    "forecast_series",
    "hiding",
    "imputation_study",
    "in_user_units",
    "interval_columns",
    "interval_scale",
    "is_named",
    "is_run",
    "is_table_of_columns",
    "keep_summary",
    "keep_typical",
    "known_columns",
    "model_options",
    "named_objective_options",
    "next_events",
    "novel_rows",
    "novel_times",
    "objective_named",
    "objective_options",
    "objectives",
    "open_run",
    "prediction_columns",
    "quantized_run",
    "rank_scores",
    "read_experiment",
    "read_history",
    "read_pairs",
    "read_run_record",
    "result_row",
    "resumed",
    "run_from_bytes",
    "run_pairs",
    "run_to_bytes",
    "save_run",
    "scaled",
    "score_futures",
    "score_run",
    "scored",
    "sequences_named",
    "series_of",
    "series_rows",
    "settings_for",
    "shown",
    "simes",
    "simple_fills",
    "sources_for",
    "table_suffixes",
    "training_defaults",
    "truth_of",
    "unanswered",
    "user_codes",
    "user_scale",
    "weight_rows",
    "with_errors",
    "write_columns",
    "write_filled",
]
