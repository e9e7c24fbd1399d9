"""The one training loop, with checkpoints that resume to the same bits."""

from nelbo.training.callbacks import Checkpoints, HistoryFile, checkpoints, resume_from
from nelbo.training.dpp import KERNELS, RISKS, Dpp
from nelbo.training.features import features_of
from nelbo.training.interrupt import Interrupted
from nelbo.training.kdpp import KDpp
from nelbo.training.loop import Callback, Event, Fit, fit
from nelbo.training.optimizers import DEFAULT_RATES, OPTIMIZERS, SCHEDULES, optimizer
from nelbo.training.order import Feed, Order, OrderMaker, Replacement, Reshuffled, Stepwise, order_text
from nelbo.training.orders import ORDERS, checked_ordering, order_named, order_options, orders
from nelbo.training.poisson_disk import VARIANTS, PoissonDisk, mingling
from nelbo.training.progress import Progress
from nelbo.training.state import TrainState, load_state, save_state
from nelbo.training.steps import examples, padded_batches

__all__ = [
    "DEFAULT_RATES",
    "KERNELS",
    "OPTIMIZERS",
    "ORDERS",
    "RISKS",
    "SCHEDULES",
    "VARIANTS",
    "Callback",
    "Checkpoints",
    "Dpp",
    "Event",
    "Feed",
    "Fit",
    "HistoryFile",
    "Interrupted",
    "KDpp",
    "Order",
    "OrderMaker",
    "PoissonDisk",
    "Progress",
    "Replacement",
    "Reshuffled",
    "Stepwise",
    "TrainState",
    "checked_ordering",
    "checkpoints",
    "examples",
    "features_of",
    "fit",
    "load_state",
    "mingling",
    "optimizer",
    "order_named",
    "order_options",
    "order_text",
    "orders",
    "padded_batches",
    "resume_from",
    "save_state",
]
