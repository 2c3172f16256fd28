"""Warnings on standard error, each at most once in ten minutes."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from taskruns.cli.output import print_message

_AGAIN_SECONDS = 600.0
_NUMBER = re.compile(r"\d+")

Print = Callable[[str], None]


class Notices(logging.Handler):
    """Logging handler that prints the warnings of other parts of the program."""

    def __init__(self, print_message: Print = print_message) -> None:
        super().__init__(logging.WARNING)
        self._print = print_message
        self._printed: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:  # type: ignore[explicit-override]
        """Print a warning unless a warning that differs only in numbers was printed recently."""
        message = record.getMessage()
        key, now = _NUMBER.sub("#", message), record.created
        if now - self._printed.get(key, -_AGAIN_SECONDS) >= _AGAIN_SECONDS:
            self._printed[key] = now
            self._print(message)

    @contextmanager
    def redirected(self, print_message: Print) -> Iterator[None]:
        """Print all warnings with another function while the block runs."""
        self._print, before = print_message, self._print
        try:
            yield
        finally:
            self._print = before


NOTICES = Notices()


def install() -> None:
    """Install the handler, so that all logged warnings are printed as notices."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it logs whole tracebacks
    root = logging.getLogger()
    if NOTICES not in root.handlers:
        root.addHandler(NOTICES)
