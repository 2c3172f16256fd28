"""How TaskRuns are shown: to people as tables, to scripts as JSON, YAML or names."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from taskruns.api import names
from taskruns.cli.console import phase_style, write
from taskruns.cli.formatting import NOTHING, age, plain
from taskruns.core.unstructured import mapping, mappings, text

Run = Mapping[str, Any]


def show_runs(runs: Sequence[Run], form: str, now: datetime, *, namespaces: bool = False) -> None:
    """Print TaskRuns in one of FORMATS; a table may say their namespaces, too."""
    if form in ("json", "yaml"):
        kind = f"{names.KIND}List"
        show_object({"apiVersion": names.API_VERSION, "kind": kind, "items": [*runs]}, form)
    elif form == "name":
        for run in runs:
            click.echo(f"{names.SINGULAR}.{names.GROUP}/{run['metadata']['name']}")
    elif not runs:
        click.echo("No TaskRuns.", err=True)
    else:
        _show_table([_row(run, now, wide=form == "wide", place=namespaces) for run in runs])


def show_run(run: Run, form: str, now: datetime) -> None:
    """Print one TaskRun in one of FORMATS."""
    if form in ("json", "yaml"):
        show_object(run, form)
    else:
        show_runs([run], form, now)


def show_object(found: Mapping[str, Any], form: str) -> None:
    """Print an object as JSON or YAML."""
    if form == "json":
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    import yaml  # noqa: PLC0415 - a table needs none

    click.echo(yaml.safe_dump(dict(found), sort_keys=False, allow_unicode=True), nl=False)


def _row(run: Run, now: datetime, *, wide: bool, place: bool) -> dict[str, str]:
    metadata, status = mapping(run.get("metadata")), mapping(run.get("status"))
    code, attempt = status.get("exitCode"), status.get("attempt")
    row = {"NAMESPACE": text(metadata.get("namespace"))} if place else {}
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
    return {key: plain(value) for key, value in row.items()}


def _show_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print a table as wide as it is: a script, and a person who copies, need names whole."""
    from rich.table import Table  # noqa: PLC0415 - JSON needs none
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
