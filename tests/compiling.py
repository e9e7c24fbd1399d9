"""Counting what XLA compiles."""

import contextlib

from jax import monitoring


@contextlib.contextmanager
def compilations():
    """The programs that XLA compiles inside the block, as they are counted by JAX itself."""
    found = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(duration)

    monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        monitoring.unregister_event_duration_listener(listen)
