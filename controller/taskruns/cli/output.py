"""Messages, and TaskRuns as tables for people, and as JSON, YAML or names for scripts."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from taskruns.api import names
from taskruns.api.conditions import Phase
from taskruns.core.unstructured import mapping, mappings, moment, text

NOTHING = "-"


def replace_control_characters(words: str) -> str:
    """Replace control characters, because text from a log could control the terminal."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for letter in words
    )


def print_message(sentence: str) -> None:
    """Write one line to standard error."""
    click.echo(f"taskrun: {' '.join(replace_control_characters(sentence).split())}", err=True)


def age(since: object, now: datetime) -> str:
    """Format the time since a moment, in one or two units."""
    time = moment(since)
    return NOTHING if time is None else length(now - time)


def length(time: timedelta) -> str:
    """Format a duration, in one or two units."""
    seconds = max(int(time.total_seconds()), 0)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds % 60, "s")]
    units = [f"{number}{unit}" for number, unit in parts if number]
    return "".join(units[:2]) or "0s"


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
"""Console width, in columns, at which no line is wrapped."""


def phase_style(phase: str) -> str:
    """Return the style of a phase, or an empty string."""
    return _STYLES.get(Phase(phase), "") if phase in set(Phase) else ""


def console(*, wrap: bool) -> "Console":
    """Return a console on standard output. Without a terminal, lines are never wrapped."""
    from rich.console import Console  # noqa: PLC0415 - only drawn output needs it

    whole = not (wrap and sys.stdout.isatty())
    return Console(highlight=False, markup=False, emoji=False, width=_WHOLE if whole else None)


def write(*parts: "RenderableType", wrap: bool = True) -> None:
    """Print renderables to standard output, without trailing spaces."""
    target = console(wrap=wrap)
    with target.capture() as captured:
        for part in parts:
            target.print(part)
    for line in captured.get().splitlines():
        click.echo(line.rstrip(), color=target.color_system is not None)


Run = Mapping[str, Any]


def show_runs(runs: Sequence[Run], form: str, now: datetime, *, namespaces: bool = False) -> None:
    """Print TaskRuns in one of FORMATS, with their namespaces in tables if requested."""
    if form in ("json", "yaml"):
        kind = f"{names.KIND}List"
        show_object({"apiVersion": names.API_VERSION, "kind": kind, "items": [*runs]}, form)
    elif form == "name":
        for run in runs:
            click.echo(f"{names.SINGULAR}.{names.GROUP}/{run['metadata']['name']}")
    elif not runs:
        click.echo("No TaskRuns.", err=True)
    else:
        _show_table(
            [_row(run, now, wide=form == "wide", with_namespace=namespaces) for run in runs]
        )


def show_run(run: Run, form: str, now: datetime) -> None:
    """Print one TaskRun in one of FORMATS."""
    if form in ("json", "yaml"):
        show_object(run, form)
    else:
        show_runs([run], form, now)


def show_object(manifest: Mapping[str, Any], form: str) -> None:
    """Print an object as JSON or YAML."""
    if form == "json":
        import json  # noqa: PLC0415 - tables do not need it

        click.echo(json.dumps(manifest, indent=2, ensure_ascii=False))
        return
    import yaml  # noqa: PLC0415 - as above

    click.echo(yaml.safe_dump(dict(manifest), sort_keys=False, allow_unicode=True), nl=False)


def _row(run: Run, now: datetime, *, wide: bool, with_namespace: bool) -> dict[str, str]:
    metadata, status = mapping(run.get("metadata")), mapping(run.get("status"))
    code, attempt = status.get("exitCode"), status.get("attempt")
    row = {"NAMESPACE": text(metadata.get("namespace"))} if with_namespace else {}
    row |= {
        "NAME": text(metadata.get("name")),
        "PHASE": text(status.get("phase")) or NOTHING,
        "REASON": text(status.get("reason")) or NOTHING,
        "EXIT": NOTHING if code is None else str(code),
        "ATTEMPT": str(attempt or NOTHING),
        "AGE": age(metadata.get("creationTimestamp"), now),
    }
    if wide:
        attempts = mappings(status.get("attempts"))
        row["POD"] = text(status.get("podName")) or NOTHING
        row["NODE"] = text(attempts[-1].get("nodeName") if attempts else "") or NOTHING
        row["IMAGE"] = text(mapping(run.get("spec")).get("image")) or NOTHING
    return {key: replace_control_characters(value) for key, value in row.items()}


def _show_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print a table without truncation, because scripts and copying need whole names."""
    from rich.table import Table  # noqa: PLC0415 - JSON output does not need it
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for key in rows[0]:
        table.add_column(key, no_wrap=True)
    for row in rows:
        table.add_row(
            *(
                Text(value, phase_style(value) if key == "PHASE" else "")
                for key, value in row.items()
            )
        )
    write(table, wrap=False)
