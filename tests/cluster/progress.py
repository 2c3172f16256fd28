"""Progress of slow operations: one line per step, with the time since the start.

Lines instead of a spinner are readable in terminals, CI logs and pytest output.
"""

import sys
import time
from collections.abc import Callable

Write = Callable[[str], object]


def to_stderr(line: str) -> None:
    """Print to standard error, because standard output is for the result of a command."""
    print(line, file=sys.stderr, flush=True)


class Progress:
    """Printer of lines with the seconds since its creation."""

    def __init__(self, write: Write = to_stderr) -> None:
        self._write = write
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        self._write(f"[{self.elapsed:3.0f}s] {text}")
