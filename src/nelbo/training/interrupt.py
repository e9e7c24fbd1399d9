"""Ctrl-C and SIGTERM as a flag that the loop looks at between chunks, so that no state is lost half-way."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Training was stopped by the user after its state was handed to the callbacks."""


class InterruptFlag:
    """Set once a stop was asked for."""

    def __init__(self) -> None:
        self.is_set = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: the first signal sets the flag, the second stops at once."""
        del number, frame
        if self.is_set:
            raise KeyboardInterrupt
        self.is_set = True


@contextlib.contextmanager
def interruptible() -> Iterator[InterruptFlag]:
    """Catch SIGINT and SIGTERM (in the main thread; elsewhere nothing is caught)."""
    flag = InterruptFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    earlier = {number: signal.signal(number, flag.handle) for number in SIGNALS}
    try:
        yield flag
    finally:
        for number, before in earlier.items():
            # None: it was not set from Python and cannot be set again
            signal.signal(number, signal.SIG_DFL if before is None else before)
