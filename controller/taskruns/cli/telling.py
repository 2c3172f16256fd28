"""What is told of a run while it is followed: a line for each news, and what it waits for now.

It all goes to standard error, beside the task's own output. What it waits for is shown only to a
person at a terminal, and goes when there is something else to see.
"""

import sys
from typing import TYPE_CHECKING

import click

from taskruns.api.conditions import TERMINAL_PHASES, Phase
from taskruns.cli.place import Object
from taskruns.cli.wording import plain
from taskruns.core.wire import mapping, text

if TYPE_CHECKING:
    from rich.status import Status

_WAITING = {Phase.QUEUED, Phase.PENDING, Phase.BACKING_OFF, Phase.SUSPENDED, Phase.STOPPING}


class Teller:
    """Tells of one run."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.live = not quiet and sys.stderr.isatty()
        """Whether somebody looks on."""
        self._quiet = quiet
        self._last = ("", "")
        self._status: Status | None = None

    def tell(self, run: Object) -> None:
        """Say what has become of a run, where that is news."""
        status = mapping(run.get("status"))
        phase, reason, message = (text(status.get(key)) for key in ("phase", "reason", "message"))
        final = phase in TERMINAL_PHASES
        news = (phase, message if final or phase == Phase.BACKING_OFF else "")
        if phase and news != self._last:
            self._last = news
            said = f"{phase}: {plain(news[1] or reason)}" if final or news[1] else phase
            self.say(f"{text(mapping(run.get('metadata')).get('name'))} {said}")
        if phase in _WAITING:
            self.stage(f"{phase}: {plain(message or reason)}".splitlines()[0])
        else:
            self.pause()

    def say(self, sentence: str) -> None:
        """Say something in a line of its own."""
        if not self._quiet:
            showing = self._status
            self.pause()
            click.echo(f"taskrun: {sentence}", err=True)
            if showing is not None:
                showing.start()
                self._status = showing

    def stage(self, sentence: str) -> None:
        """Show what is waited for, until something else is to be seen."""
        if not self.live:
            return
        if self._status is None:
            from rich.console import Console  # noqa: PLC0415 - only for a terminal
            from rich.status import Status  # noqa: PLC0415 - as above

            self._status = Status("", console=Console(stderr=True, highlight=False))
            self._status.start()
        from rich.text import Text  # noqa: PLC0415 - as above

        self._status.update(Text(plain(sentence)))

    def pause(self) -> None:
        """Take away what is shown."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    close = pause
