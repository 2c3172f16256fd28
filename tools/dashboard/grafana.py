"""Generator of the dashboard in Grafana's classic JSON, in the version that Grafana 13 writes."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.dashboard.panel import Kind, Panel, Query, Row
from tools.dashboard.panels import ROWS
from tools.writing import made_from

PATH = "charts/taskruns/dashboards/taskruns.json"
SCHEMA_VERSION = 42
COLUMNS = 24

COLOURS = {
    # Phases and failure kinds have the same colour in all panels.
    "Succeeded": "green",
    "Failed": "red",
    "Cancelled": "purple",
    "Running": "blue",
    "Pending": "light-blue",
    "Queued": "yellow",
    "BackingOff": "orange",
    "Stopping": "dark-orange",
    "Suspended": "text",
    "Unseen": "light-yellow",
    "Application": "red",
    "Infrastructure": "orange",
    "Configuration": "yellow",
    "Timeout": "blue",
}

Json = dict[str, Any]
SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


def dashboard(_root: Path) -> str:
    """Return the whole dashboard, one item per line."""
    content: Json = {
        "description": f"State and performance of the controller of TaskRuns. "
        f"{made_from('tools/dashboard/panels.py')}",
        "title": "TaskRuns",
        "uid": "taskruns",
        "tags": ["taskruns", "kubernetes"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": [_datasource(), _job()]},
        "panels": list(_panels()),
    }
    # The first line must name the generator, and JSON has no comments.
    return json.dumps(content, indent=2).replace("{\n ", "{", 1) + "\n"


def _datasource() -> Json:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }


def _job() -> Json:
    query = "label_values(taskruns_build_info, job)"
    return {
        "name": "job",
        "label": "Job",
        "description": "The controllers, as Prometheus names them.",
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": "job"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panels() -> Iterator[Json]:
    numbers = itertools.count(1)
    top = 0
    for row in ROWS:
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        yield {
            "id": next(numbers),
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        for number, panel in enumerate(row.panels):
            yield {"id": next(numbers), "gridPos": _place(row, number, top + 1)} | _panel(panel)
        top += 1 + row.height


def _place(row: Row, number: int, top: int) -> Json:
    return {"x": number * row.width, "y": top, "w": row.width, "h": row.height}


def _panel(panel: Panel) -> Json:
    once = panel.kind is not Kind.LINES
    return {
        "type": panel.kind.value,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _OPTIONS[panel.kind](panel),
        "targets": [_target(query, i, once) for i, query in enumerate(panel.queries)],
    }


def _target(query: Query, number: int, once: bool) -> Json:  # noqa: FBT001 - Grafana's own switch
    return {
        "refId": chr(ord("A") + number),
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": once,
        "range": not once,
    }


def _defaults(panel: Panel) -> Json:
    yellow, red = panel.thresholds
    steps = [("green", None), *((c, v) for c, v in (("yellow", yellow), ("red", red)) if v)]
    guarded = panel.thresholds != (None, None)
    defaults: Json = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "thresholds" if panel.kind is Kind.STAT else "palette-classic"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": colour, "value": value} for colour, value in steps],
        },
    }
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.words:
        options = {
            str(value): {"text": word, "color": colour, "index": index}
            for index, (value, (word, colour)) in enumerate(panel.words.items())
        }
        defaults["mappings"] = [{"type": "value", "options": options}]
    if panel.kind is Kind.LINES:
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 40 if panel.stacked else 0,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if guarded else "off"},
        }
    return defaults


def _overrides(panel: Panel) -> list[Json]:
    """Return fixed colours for phases and failure kinds, if they are the names of the series."""
    if not {"{{phase}}", "{{failure_kind}}"} & {query.legend for query in panel.queries}:
        return []
    return [
        {
            "matcher": {"id": "byName", "options": word},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for word, colour in COLOURS.items()
    ]


def _stat(panel: Panel) -> Json:
    return {
        "reduceOptions": _LAST,
        "colorMode": "none" if panel.names_only else "value",
        "graphMode": "none",
        "justifyMode": "center",
        "textMode": "name" if panel.names_only else "value",
    }


def _lines(_: Panel) -> Json:
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _bars(_: Panel) -> Json:
    return {
        "reduceOptions": _LAST,
        "orientation": "horizontal",
        "displayMode": "basic",
        "showUnfilled": True,
    }


_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS = {Kind.STAT: _stat, Kind.LINES: _lines, Kind.BARS: _bars}
