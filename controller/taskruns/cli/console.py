"""Standard output as rich writes to it: colour only on a terminal, and never with NO_COLOR."""

import sys
from typing import TYPE_CHECKING

import click

from taskruns.api.conditions import Phase

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_STYLES = {
    Phase.SUCCEEDED: "green",
    Phase.FAILED: "bold red",
    Phase.CANCELLED: "yellow",
    Phase.RUNNING: "cyan",
    Phase.STOPPING: "yellow",
    Phase.BACKING_OFF: "magenta",
}
_WHOLE = 10_000
"""Columns in which every line finds room."""


def phase_style(phase: str) -> str:
    """Return the style of a phase; plain where it has none."""
    return _STYLES.get(Phase(phase), "") if phase in set(Phase) else ""


def console(*, wrap: bool) -> "Console":
    """Return a console on standard output; without a terminal lines are never wrapped."""
    from rich.console import Console  # noqa: PLC0415 - only what is drawn needs it

    whole = not (wrap and sys.stdout.isatty())
    return Console(highlight=False, markup=False, emoji=False, width=_WHOLE if whole else None)


def write(*parts: "RenderableType", wrap: bool = True) -> None:
    """Write to standard output, without the spaces that fill up a line."""
    target = console(wrap=wrap)
    with target.capture() as captured:
        for part in parts:
            target.print(part)
    for line in captured.get().splitlines():
        click.echo(line.rstrip(), color=target.color_system is not None)
