"""The one training loop, with checkpoints that resume to the same bits."""

from nelbo.training.callbacks import Checkpoints, HistoryFile, checkpoints, resume_from
from nelbo.training.interrupt import Interrupted
from nelbo.training.loop import Callback, Event, Fit, fit
from nelbo.training.optimizers import DEFAULT_RATES, OPTIMIZERS, SCHEDULES, optimizer
from nelbo.training.progress import Progress
from nelbo.training.state import TrainState, load_state, save_state
from nelbo.training.steps import examples, padded_batches

__all__ = [
    "DEFAULT_RATES",
    "OPTIMIZERS",
    "SCHEDULES",
    "Callback",
    "Checkpoints",
    "Event",
    "Fit",
    "HistoryFile",
    "Interrupted",
    "Progress",
    "TrainState",
    "checkpoints",
    "examples",
    "fit",
    "load_state",
    "optimizer",
    "padded_batches",
    "resume_from",
    "save_state",
]
