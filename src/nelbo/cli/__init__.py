"""The command line: parsing and printing only."""

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code: 0 done, 1 training diverged, 2 bad input, 130 interrupted."""
    from nelbo.cli.parser import parse

    options = parse(sys.argv[1:] if arguments is None else arguments)
    stop = _Stop()
    restore = _on_signals(stop)
    try:
        # JAX and the rest of the house are imported only once a command needs them
        from nelbo.cli.commands import command

        with _no_collection():
            carry_out = command(options.command)
        stop.at_once = False
        return _guarded(carry_out, options)
    except BaseException as error:
        # what fails once a stop was asked for (an import cut short, say) fails for that reason
        if not (stop.asked or isinstance(error, KeyboardInterrupt)):
            raise
        told = f" ({error})" if isinstance(error, KeyboardInterrupt) and str(error) else ""
        return _told(f"interrupted{told}.", 130)
    finally:
        restore()


def run() -> None:
    """The command as a process of its own: run it and leave with its exit code.

    Every file is closed by then. The interpreter's usual end takes JAX apart first, a third of a second, and crashes
    where compiled work is still under way in other threads, after an interrupt.
    """
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # what could not be written was told
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Without searches for garbage, of which importing makes none: a tenth of the time that importing JAX takes."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _guarded(command: Callable[[Any], None], options: Any) -> int:
    """Run a command and turn what people can do something about into one sentence."""
    from jax.errors import JaxRuntimeError

    from nelbo.core import InputError, NotFiniteError, os_error

    try:
        command(options)
        sys.stdout.flush()
    except InputError as error:
        return _told(str(error), 2)
    except NotFiniteError as error:
        return _told(str(error), 1)
    except BrokenPipeError:
        # the reader of our output has gone (`nelbo cite | head`): nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        return _told(str(os_error("use", error.filename or "the output", error)), 2)
    except (MemoryError, JaxRuntimeError) as error:
        if isinstance(error, JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        why = " ".join(str(error).split())
        return _told(f"Memory does not suffice ({why}): use a smaller model, batch or number of samples.", 2)
    return 0


def _told(message: str, code: int) -> int:
    print(f"nelbo: {message}", file=sys.stderr)
    return code


class _Stop:
    """What SIGINT and SIGTERM do to a command: leave at once while it is being imported, `KeyboardInterrupt` after.

    An exception raised in a callback (of the garbage collector, say) is swallowed there, so the stop is asked for again
    until it is heard.
    """

    AGAIN = 0.5  # seconds

    def __init__(self) -> None:
        self.at_once = True
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.at_once:
            os.write(2, b"nelbo: interrupted.\n")
            os._exit(130)
        self.asked = True
        signal.setitimer(signal.ITIMER_REAL, self.AGAIN)
        raise KeyboardInterrupt


def _on_signals(handler: Callable[[int, FrameType | None], None]) -> Callable[[], None]:
    """Let SIGINT, SIGTERM and the timer call a function, quietly where it is not heard; give what undoes it."""
    try:
        earlier = {number: signal.signal(number, handler) for number in SIGNALS}
    except ValueError:  # not in the main thread
        return lambda: None

    said, sys.unraisablehook = sys.unraisablehook, _all_but_interrupts

    def restore() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        sys.unraisablehook = said
        for number, before in earlier.items():
            signal.signal(number, signal.SIG_DFL if before is None else before)

    return restore


def _all_but_interrupts(unraisable: Any) -> None:
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
