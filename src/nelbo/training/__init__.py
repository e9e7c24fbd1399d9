"""The one training loop, with checkpoints that resume to the same bits."""

from nelbo.training.callbacks import Checkpoints, HistoryFile, checkpoints, resume_from
from nelbo.training.interrupt import Interrupted
from nelbo.training.loop import Callback, Event, Fit, fit
from nelbo.training.optimizers import DEFAULT_RATES, OPTIMIZERS, SCHEDULES, optimizer
from nelbo.training.order import Feed, Order, OrderMaker, Replacement, Reshuffled, Stepwise
from nelbo.training.orders import ORDERS, checked_ordering, order_named, order_options, orders
from nelbo.training.progress import Progress
from nelbo.training.state import TrainState, load_state, save_state
from nelbo.training.steps import examples, padded_batches

__all__ = [
    "DEFAULT_RATES",
    "OPTIMIZERS",
    "ORDERS",
    "SCHEDULES",
    "Callback",
    "Checkpoints",
    "Event",
    "Feed",
    "Fit",
    "HistoryFile",
    "Interrupted",
    "Order",
    "OrderMaker",
    "Progress",
    "Replacement",
    "Reshuffled",
    "Stepwise",
    "TrainState",
    "checked_ordering",
    "checkpoints",
    "examples",
    "fit",
    "load_state",
    "optimizer",
    "order_named",
    "order_options",
    "orders",
    "padded_batches",
    "resume_from",
    "save_state",
]
