"""Generator of the tables in `docs/metrics.md`: all metrics and all alerts.

The metrics are read from a scrape of a registry with samples of every metric, so the page lists
exactly those that exist.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from taskruns.api import names
from taskruns.operator.metrics import Metrics, Snapshot
from tools.writing import framed

PAGE = "docs/metrics.md"
ALERTS = "charts/taskruns/alerts/taskruns.yaml"
_BOUND = "le"
"""Label that histograms add to their samples."""


def page(root: Path) -> str:
    """Return the page on metrics with new tables."""
    text = framed((root / PAGE).read_text(), "metrics", _metrics_table())
    return framed(text, "alerts", _alerts_table(root))


def families() -> Iterator[Metric]:
    """Yield every metric family, with samples that have all its labels."""
    ages = {names.PLURAL: 0.0, "pods": 0.0}
    quiet = Snapshot(
        ready=True,
        leads=True,
        runs={},
        queued={},
        pods=0,
        watch_ages=ages,
        waiting=0,
        longest_wait=0.0,
        workers=1,
        busy=0,
    )
    metrics = Metrics("0", lambda: quiet)
    metrics.requests.ended("get", "pods", "200", 0.0)
    yield from text_string_to_metric_families(generate_latest(metrics.registry).decode())


def full_name(family: Metric) -> str:
    """Return a family's name in Prometheus; the parser cuts the suffix of counters."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels(family: Metric) -> tuple[str, ...]:
    """Return the labels of a family's samples, without the label that histograms add."""
    names_seen = {name: None for sample in family.samples for name in sample.labels}
    return tuple(name for name in names_seen if name != _BOUND)


def alerts(root: Path) -> list[dict[str, Any]]:
    """Return the alerts that the chart recommends."""
    (group,) = yaml.safe_load((root / ALERTS).read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def _metrics_table() -> str:
    rows = [
        f"| `{full_name(family)}` | {family.type} | {', '.join(f'`{n}`' for n in labels(family))} "
        f"| {family.documentation} |"
        for family in families()
    ]
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows, ""])


def _alerts_table(root: Path) -> str:
    rows = [
        f"| `{rule['alert']}` | {rule['labels']['severity']} | `{_cell(rule['expr'])}` "
        f"{'for ' + rule['for'] if 'for' in rule else ''} | {rule['annotations']['runbook']} |"
        for rule in alerts(root)
    ]
    return "\n".join(["| alert | severity | when | what to do |", "|---|---|---|---|", *rows, ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
