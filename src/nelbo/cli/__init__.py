"""The command line: parsing and printing only."""

import codecs
import contextlib
import importlib.util
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
# LLVM unrolls the rounds of random numbers of few dimensions to code that takes seconds to compile and runs slower
COMPILER_OPTION = "--xla_backend_extra_options=-unroll-full-max-count=0"
# what a console that has no such character is shown instead
PLAIN = {"–": "-", "—": "-", "…": "...", "·": "|", "±": "+/-", "×": "x", "−": "-", "²": "^2", "≥": ">=", "≤": "<="}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code: 0 done, 1 training diverged, 2 bad input, 130 interrupted."""
    stop = _Stop()
    with stop.listening():
        try:
            from nelbo.cli.parser import parse

            # JAX and the rest of the house are imported here, once it is known which command needs them
            options = parse(sys.argv[1:] if arguments is None else arguments)
            stop.at_once = False
            code = _guarded(options)
        except BaseException as error:
            # what fails once a stop was asked for (an import cut short, say) fails for that reason
            if not (stop.asked or isinstance(error, KeyboardInterrupt)):
                raise
            stop.asked = stop.told = True
            told = f" ({error})" if isinstance(error, KeyboardInterrupt) and str(error) else ""
            return _told(f"interrupted{told}.", INTERRUPTED)
    return code


def run() -> NoReturn:
    """The command as a process of its own: run it and leave with its exit code."""
    _listen(lambda *_: _leave())
    _show_plain_characters()
    _choose_compiler_options()
    try:
        code = main()
    finally:
        # what was asked for is done; a signal from here on would only disturb the interpreter's end
        _listen(signal.SIG_IGN)
    if code == INTERRUPTED:
        # compiled work may be under way in other threads, and JAX crashes when it is taken apart under it
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # what could not be written was told
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _choose_compiler_options() -> None:
    """Tell XLA what was measured on processors, unless the user told it something else (docs/performance.md)."""
    chosen = os.environ.get("XLA_FLAGS", "")
    has_accelerator = importlib.util.find_spec("jax_plugins") is not None
    if "xla_backend_extra_options" not in chosen and not has_accelerator:
        os.environ["XLA_FLAGS"] = f"{chosen} {COMPILER_OPTION}".strip()


def _guarded(options: Any) -> int:
    """Run a command and turn what people can do something about into one sentence."""
    from nelbo.core import InputError, NotFiniteError, os_error

    try:
        if options.seed:  # zero is one
            from nelbo.runs import checked_seed

            checked_seed(options.seed)
        options.carry_out(options)
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
    except (MemoryError, RuntimeError) as error:  # JAX's own errors are of the latter kind
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        why = " ".join(str(error).split())
        return _told(f"Memory does not suffice ({why}): use a smaller model, batch or number of samples.", 2)
    return 0


def _told(message: str, code: int) -> int:
    print(f"nelbo: {message}", file=sys.stderr)
    return code


class _Stop:
    """What SIGINT and SIGTERM do to a command: `KeyboardInterrupt`, so that it can say what is saved and how to go on.

    The process is left at once where that would not be heard or not be understood: while modules are imported (they
    turn exceptions into others), for a second signal, and where a callback of the interpreter has swallowed it. Every
    file is written whole or not at all, so nothing is lost by that.
    """

    def __init__(self) -> None:
        self.at_once = True
        self.asked = False
        self.told = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.at_once or self.asked:
            _leave(say=not self.told)
        self.asked = True
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Have the signals call this, in the main thread."""
        earlier, said = _listen(self), sys.unraisablehook
        sys.unraisablehook = self._swallowed
        try:
            yield
        finally:
            sys.unraisablehook = said
            for number, before in earlier.items():
                signal.signal(number, signal.SIG_DFL if before is None else before)

    def _swallowed(self, unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            _leave(say=not self.told)
        if not self.asked:
            sys.__unraisablehook__(unraisable)


def _listen(handler: Any) -> dict[signal.Signals, Any]:
    """Let the signals call a handler; give the handlers before it, none of them outside the main thread."""
    try:
        return {number: signal.signal(number, handler) for number in SIGNALS}
    except ValueError:
        return {}


def _leave(*, say: bool = True) -> NoReturn:
    """End the process at once, from wherever it is."""
    _listen(signal.SIG_IGN)
    if say:
        # not through `sys.stderr`, which may be in the middle of writing
        os.write(2, b"nelbo: interrupted.\n")
    os._exit(INTERRUPTED)


def _show_plain_characters() -> None:
    """Write something readable where a console's encoding lacks a character, in place of a traceback."""

    def plain(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        return "".join(PLAIN.get(letter, "?") for letter in error.object[error.start : error.end]), error.end

    codecs.register_error("nelbo.plain", plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="nelbo.plain")
