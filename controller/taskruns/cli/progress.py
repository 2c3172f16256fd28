"""Standard error: warnings, and the progress of a run as one line per change and a live status.

The live status shows what the run waits for. It is shown on a terminal only, and disappears before
any other output.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taskruns.api.conditions import Phase, is_terminal
from taskruns.api.reasons import Reason
from taskruns.cli.output import print_message, replace_control_characters
from taskruns.core.unstructured import Object, mapping, text

if TYPE_CHECKING:
    from rich.status import Status

_WAITING = {Phase.QUEUED, Phase.PENDING, Phase.BACKING_OFF, Phase.SUSPENDED, Phase.STOPPING}
_NUMBER = re.compile(r"\d+")
_AGAIN_SECONDS = 600.0
"""Time after which a warning is printed again, in seconds."""


class ProgressPrinter:
    """Printer of one run's progress."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.live = not quiet and sys.stderr.isatty()
        """Whether a live status can be shown."""
        self._quiet = quiet
        self._phase = ""
        self._printed: set[str] = set()
        self._status: Status | None = None

    def show(self, run: Object) -> None:
        """Print the phase and message of a run if they have changed."""
        status = mapping(run.get("status"))
        phase, reason, message = (text(status.get(key)) for key in ("phase", "reason", "message"))
        final = is_terminal(run)
        about = _beyond(reason, message) if phase in _WAITING else ""
        about = (message or reason) if final else about
        # Messages that differ only in numbers, such as times or delays, are printed once.
        key = _NUMBER.sub("#", f"{phase}: {about}")
        if phase and (phase != self._phase or key not in self._printed):
            self._phase = phase
            self._printed.add(key)
            name = text(mapping(run.get("metadata")).get("name"))
            self.print_message(f"{name} {phase}: {about}" if about else f"{name} {phase}")
        if phase in _WAITING:
            self.stage(f"{phase}: {replace_control_characters(message or reason)}".splitlines()[0])
        else:
            self.pause()

    def print_message(self, sentence: str) -> None:
        """Print a line, unless the output is limited to the task's own."""
        if not self._quiet:
            self.warn(sentence)

    def warn(self, sentence: str) -> None:
        """Print a line about a loss or a failure, even in quiet mode."""
        showing = self._status
        self.pause()
        print_message(sentence)
        if showing is not None:
            showing.start()
            self._status = showing

    def stage(self, sentence: str) -> None:
        """Show a sentence as the live status until other output replaces it."""
        if not self.live:
            return
        if self._status is None:
            from rich.console import Console  # noqa: PLC0415 - only for a terminal
            from rich.status import Status  # noqa: PLC0415 - as above

            self._status = Status("", console=Console(stderr=True, highlight=False))
            self._status.start()
        from rich.text import Text  # noqa: PLC0415 - as above

        self._status.update(Text(replace_control_characters(sentence)))

    def pause(self) -> None:
        """Remove the live status."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    close = pause


def _beyond(reason: str, message: str) -> str:
    """Return the message if it adds information to its reason, or an empty string."""
    known = Reason.named(reason)
    general = {known.meaning, known.docker_meaning} if known is not None else {reason}
    return "" if message in general else message


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
