"""How TaskRuns are shown: to people as tables and stories, to scripts as JSON, YAML or names."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import click
import yaml

from taskruns.api import names
from taskruns.core.wire import mapping, mappings, moment, text

FORMATS = ("table", "wide", "json", "yaml", "name")
_COLOURS = {"Succeeded": "green", "Failed": "red", "Cancelled": "yellow", "Running": "cyan"}
_NOTHING = "-"


def show_runs(runs: Sequence[Mapping[str, Any]], form: str, now: datetime) -> None:
    """Print TaskRuns in one of FORMATS."""
    if form == "json":
        click.echo(json.dumps(_listed(runs), indent=2))
    elif form == "yaml":
        click.echo(yaml.safe_dump(_listed(runs), sort_keys=False), nl=False)
    elif form == "name":
        for run in runs:
            click.echo(f"{names.SINGULAR}.{names.GROUP}/{run['metadata']['name']}")
    else:
        _show_table([_row(run, now, wide=form == "wide") for run in runs])


def show_run(run: Mapping[str, Any], form: str, now: datetime) -> None:
    """Print one TaskRun in one of FORMATS."""
    if form == "json":
        click.echo(json.dumps(run, indent=2))
    elif form == "yaml":
        click.echo(yaml.safe_dump(dict(run), sort_keys=False), nl=False)
    else:
        show_runs([run], form, now)


def tell_story(run: Mapping[str, Any], now: datetime) -> None:
    """Print all that a person wants to know of a run: how it stands first, then how it came."""
    metadata, status = mapping(run.get("metadata")), mapping(run.get("status"))
    phase = text(status.get("phase")) or "not yet looked at"
    click.echo(f"{text(metadata.get('name'))}: {_coloured(phase)}", nl=False)
    click.echo(f", {text(status.get('reason'))}" if status.get("reason") else "")
    if status.get("message"):
        click.echo(f"  {status['message']}")
    if status.get("result"):
        click.echo(f"  result: {status['result']}")
    for attempt in mappings(status.get("attempts")):
        click.echo()
        _tell_attempt(attempt, now)


def age(since: object, now: datetime) -> str:
    """Say how long ago something was, in one or two units."""
    found = moment(since)
    return _NOTHING if found is None else _length(now - found)


def _tell_attempt(attempt: Mapping[str, Any], now: datetime) -> None:
    outcome = text(attempt.get("outcome")) or "under way"
    click.echo(
        f"Attempt {attempt.get('number')}: {outcome}, {text(attempt.get('reason'))}".rstrip(", ")
    )
    steps = (
        ("queued", "createdTime", "scheduledTime"),
        ("starting", "scheduledTime", "startedTime"),
        ("running", "startedTime", "finishedTime"),
    )
    for what, begins, ends in steps:
        begin = moment(attempt.get(begins))
        if begin is not None:
            end = moment(attempt.get(ends)) or moment(attempt.get("finishedTime")) or now
            click.echo(f"  {what:<10} {begin:%H:%M:%S}  {_length(end - begin)}")
    if attempt.get("message"):
        click.echo(f"  {attempt['message']}")


def _listed(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": names.API_VERSION, "kind": f"{names.KIND}List", "items": [*runs]}


def _row(run: Mapping[str, Any], now: datetime, *, wide: bool) -> dict[str, str]:
    metadata, status = mapping(run.get("metadata")), mapping(run.get("status"))
    code, attempt = status.get("exitCode"), status.get("attempt")
    row = {
        "NAME": text(metadata.get("name")),
        "PHASE": text(status.get("phase")) or _NOTHING,
        "REASON": text(status.get("reason")) or _NOTHING,
        "EXIT": _NOTHING if code is None else str(code),
        "ATTEMPT": str(attempt or _NOTHING),
        "AGE": age(metadata.get("creationTimestamp"), now),
    }
    if wide:
        row["POD"] = text(status.get("podName")) or _NOTHING
        row["IMAGE"] = text(mapping(run.get("spec")).get("image")) or _NOTHING
    return row


def _show_table(rows: Sequence[Mapping[str, str]]) -> None:
    if not rows:
        click.echo("No TaskRuns.", err=True)
        return
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    click.echo("  ".join(key.ljust(width) for key, width in widths.items()).rstrip())
    for row in rows:
        cells = [_cell(key, row[key], width) for key, width in widths.items()]
        click.echo("  ".join(cells).rstrip())


def _cell(key: str, value: str, width: int) -> str:
    padded = value.ljust(width)
    return _coloured(value) + padded[len(value) :] if key == "PHASE" else padded


def _coloured(phase: str) -> str:
    return click.style(phase, fg=_COLOURS[phase]) if phase in _COLOURS else phase


def _length(length: timedelta) -> str:
    seconds = max(int(length.total_seconds()), 0)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds % 60, "s")]
    said = [f"{number}{unit}" for number, unit in parts if number]
    return "".join(said[:2]) or "0s"
