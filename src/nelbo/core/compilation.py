"""How much XLA works on a function before it runs."""

from typing import Any

# of functions that run once: their compilation takes half the time, which the optimizer would not save
ONCE: dict[str, Any] = {"xla_backend_optimization_level": 0}
