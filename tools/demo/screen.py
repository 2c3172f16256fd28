"""Terminal output of the demo: steps with their duration, commands and their output.

Colours are used on a terminal only. Lines are never overwritten, so that the output is also
readable as a log.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_BOLD, _DIM, _GREEN, _RED = "1", "2", "32", "31"
_SIGN_OF_LIFE = 15
"""Time without output, in seconds, after which a step reports that it continues."""


class Screen:
    """Printer to standard output, one line at a time."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._spoke = time.monotonic()

    def line(self, text: str = "") -> None:
        """Print a line unchanged."""
        with self._lock:
            print(text, flush=True)
            self._spoke = time.monotonic()

    def title(self, text: str) -> None:
        """Print the title of the next part, after an empty line."""
        self.line(f"\n{self._in(_BOLD, text)}")

    def command(self, text: str) -> None:
        """Print a command as a user would type it."""
        self.line(f"  {self._in(_DIM, '$')} {text}")

    def output(self, text: str) -> None:
        """Print the output of a command."""
        for line in text.rstrip("\n").splitlines():
            self.line(f"  {line}")

    def progress(self, text: str) -> None:
        """Print the progress of a slow step."""
        self.line(f"  {self._in(_DIM, text)}")

    def problem(self, text: str) -> None:
        """Print an error."""
        self.line(f"\n{self._in(_RED, 'error:')} {text}")

    def good(self, text: str) -> str:
        """Return a text in the colour of success."""
        return self._in(_GREEN, text)

    def bad(self, text: str) -> str:
        """Return a text in the colour of failure."""
        return self._in(_RED, text)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print a step's title, its progress while it is silent, and its duration."""
        self.title(title)
        began = time.monotonic()
        over = threading.Event()

        def live() -> None:
            while not over.wait(1):
                if time.monotonic() - self._spoke >= _SIGN_OF_LIFE:
                    self.progress(f"... still running after {time.monotonic() - began:.0f}s so far")

        alive = threading.Thread(target=live, daemon=True)
        alive.start()
        try:
            yield
        finally:
            over.set()
            alive.join()
        self.progress(f"done in {time.monotonic() - began:.0f}s")

    def _in(self, colour: str, text: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour else text
