"""What a person sees while something slow goes on: one line a step, with the time since the start.

Lines, not a spinner: they read the same in a terminal, in a CI log and under pytest.
"""

import sys
import time
from collections.abc import Callable

Write = Callable[[str], object]


def to_stderr(line: str) -> None:
    """Leave standard output to what a command answers."""
    print(line, file=sys.stderr, flush=True)


class Progress:
    """Lines with the seconds since it was made."""

    def __init__(self, write: Write = to_stderr) -> None:
        self._write = write
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        self._write(f"[{self.elapsed:3.0f}s] {text}")
