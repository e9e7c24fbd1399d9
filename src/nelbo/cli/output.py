"""Printing: results on standard output, comments and progress on standard error."""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

EVERY = 30.0  # least time between two plain lines of progress [s]


def print_json(value: Any) -> None:
    """One JSON document on standard output; numbers that JSON has not become null."""
    print(json.dumps(_plain(value), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def note(options: argparse.Namespace, text: str) -> None:
    """A comment, unless --quiet."""
    if not options.quiet:
        print(text, file=sys.stderr, flush=True)


def note_numbers(options: argparse.Namespace, numbers: Mapping[str, Any]) -> None:
    """Numbers about an answer as comments, a line for each with its name; four digits of a fraction."""
    for name, value in numbers.items():
        note(options, f"{name.replace('_', ' ')}: {f'{value:.4g}' if isinstance(value, float) else value}")


def show_results(results: Sequence[Mapping[str, Any]]) -> None:
    """Scores as a table with units and binarization, and what is to be said about them."""
    from nelbo.report import result_rows, text_table  # loads more than a comment on a picture needs

    shown = [{name: value for name, value in row.items() if name != "sha256"} for row in results]
    print(text_table(result_rows(shown)), end="")
    for row in results:
        if "warning" in row:
            print(f"\n{row['warning']}")


class Line:
    """Progress as one line that is written over on a terminal, and as a plain line now and then elsewhere."""

    def __init__(self) -> None:
        self._terminal, self._last = sys.stderr.isatty(), time.monotonic()

    def show(self, text: str, *, done: bool, at_once: bool = False) -> None:
        """Print if it is time.

        Args:
            text: what to say.
            done: nothing follows.
            at_once: say it now on a plain stream too.
        """
        if self._terminal:
            print(f"\r{text}\x1b[K", end="\n" if done else "", file=sys.stderr, flush=True)
        elif at_once or time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            print(text, file=sys.stderr, flush=True)


def counter(options: argparse.Namespace, total: int) -> Callable[[int, float], None] | None:
    """Progress of scoring: examples done and the latest bound."""
    if options.quiet:
        return None
    line = Line()

    def show(done: int, bound: float) -> None:
        line.show(f"{done} of {total} examples, bound {bound:.2f} nats", done=done >= total)

    return show


def fetching(options: argparse.Namespace) -> Callable[[str, int, int | None], None] | None:
    """Progress of downloads: what, and how many megabytes."""
    if options.quiet:
        return None
    line, begun = Line(), set()

    def show(what: str, done: int, total: int | None) -> None:
        size = f"{done / 1e6:.1f} MB" if total is None else f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
        first = what not in begun
        begun.add(what)
        line.show(f"Fetching {what}: {size}", done=total is not None and done >= total, at_once=first)

    return show
