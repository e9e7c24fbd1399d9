"""The command line: parsing and printing only."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code: 0 done, 1 training diverged, 2 bad input, 130 interrupted."""
    from nelbo.cli.parser import parse

    options = parse(sys.argv[1:] if arguments is None else arguments)
    restore = _terminate_like_ctrl_c()
    try:
        return _guarded(options)
    except KeyboardInterrupt as stop:
        told = f" ({stop})" if str(stop) else ""
        return _told(f"interrupted{told}.", 130)
    finally:
        restore()


def _guarded(options: Any) -> int:
    """Run a command and turn what people can do something about into one sentence."""
    # JAX and the rest of the house are imported only once a command needs them
    from jax.errors import JaxRuntimeError

    from nelbo.cli.commands import COMMANDS
    from nelbo.core import InputError, NotFiniteError, os_error

    try:
        COMMANDS[options.command](options)
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


def _terminate_like_ctrl_c() -> Callable[[], None]:
    """Let SIGTERM raise `KeyboardInterrupt` as SIGINT does; give the function that undoes it."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    try:
        earlier = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread
        return lambda: None

    def restore() -> None:
        for number, handler in earlier.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    return restore
