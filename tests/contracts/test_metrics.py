"""Dashboard, alerts and documentation use only existing metrics and labels, and cover all."""

import json
import math
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import promql
from tools import helm as helm_tool
from tools import metrics
from tools.dashboard import units

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "taskruns"
DASHBOARD = json.loads((CHART / "dashboards/taskruns.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = metrics.alerts(ROOT)
SCRAPE = {"job", "instance", "namespace"}
"""Labels of the target. A ServiceMonitor adds `namespace`; without it, all are in one group."""

SAMPLES = {
    sample.name: set(sample.labels) | set(metrics.labels(family)) | SCRAPE
    for family in metrics.families()
    for sample in family.samples
}
"""Labels that a sample can have, by the sample's name."""

EXPRESSIONS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in PANELS
    for target in panel["targets"]
} | {rule["alert"]: rule["expr"] for rule in ALERTS}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_an_expression_asks_for_what_there_is(expression: str) -> None:
    selected = list(promql.selectors(promql.filled(expression)))
    assert selected
    for name, labels in selected:
        assert labels <= SAMPLES[name]
    available = set.union(*(SAMPLES[name] for name, _ in selected))
    assert promql.groupings(promql.filled(expression)) <= available


def test_the_dashboard_or_an_alert_shows_every_metric_of_ours() -> None:
    used = {n for e in EXPRESSIONS.values() for n, _ in promql.selectors(promql.filled(e))}
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in used}
    ours = {metrics.full_name(family) for family in metrics.families()}
    by_its_age = {"taskruns_queue_depth"}
    assert {name for name in ours if name.startswith("taskruns_")} - shown == by_its_age


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_follows_the_job_that_is_chosen(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        for _, labels in promql.selectors(promql.filled(target["expr"])):
            assert "job" in labels
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    seconds = any(
        name.endswith(("_seconds", "_seconds_bucket"))
        for target in panel["targets"]
        for name, _ in promql.selectors(promql.filled(target["expr"]))
    )
    assert (panel["fieldConfig"]["defaults"]["unit"] == "s") == seconds


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0042, "s", "4.2 ms"),
        (90, "s", "1.5 min"),
        (0.125, "percentunit", "12.5 %"),
        (64 * 2**20, "bytes", "64 MiB"),
        (1234.5, "short", "1234"),
        (0.5, "reqps", "0.5 req/s"),
        (math.nan, "s", "no data"),
    ],
)
def test_the_picture_writes_numbers_as_grafana_does(value: float, unit: str, text: str) -> None:
    assert units.shown(value, unit) == text


def test_the_picture_knows_every_unit_of_the_dashboard() -> None:
    for panel in PANELS:
        assert units.shown(1, panel["fieldConfig"]["defaults"]["unit"])


def test_panels_have_a_place_and_a_number_each() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for first, second in combinations([panel["gridPos"] for panel in panels], 2):
        beside = first["x"] + first["w"] <= second["x"] or second["x"] + second["w"] <= first["x"]
        below = first["y"] + first["h"] <= second["y"] or second["y"] + second["h"] <= first["y"]
        assert beside or below
    assert all(place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in panels))


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert all(text.endswith(".") for text in rule["annotations"].values())
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert used <= promql.groupings(rule["expr"])


def test_every_label_is_explained() -> None:
    page = (ROOT / metrics.PAGE).read_text()
    explained = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|[^|]*\|", page, re.MULTILINE))))
    assert {label for family in metrics.families() for label in metrics.labels(family)} <= explained


@pytest.mark.usefixtures("helm")
def test_the_chart_holds_the_files_as_they_are() -> None:
    rendered = helm_tool.template(
        CHART, "taskruns-system", ["dashboard.enabled=true", "alerts.enabled=true"]
    )
    (rules,) = [each["spec"] for each in rendered if each["kind"] == "PrometheusRule"]
    assert rules["groups"][0]["rules"] == ALERTS
    (config,) = [each for each in rendered if each["metadata"]["name"].endswith("-dashboard")]
    assert json.loads(config["data"]["taskruns.json"]) == DASHBOARD


@pytest.mark.usefixtures("helm")
def test_the_service_and_its_monitor_find_the_controller() -> None:
    objects = helm_tool.template(CHART, "taskruns-system", ["serviceMonitor.enabled=true"])
    (deployment,), (service,), (monitor,) = (
        [each for each in objects if each["kind"] == kind]
        for kind in ("Deployment", "Service", "ServiceMonitor")
    )
    pod = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    chosen = monitor["spec"]["selector"]["matchLabels"]
    assert chosen.items() <= service["metadata"]["labels"].items()
    (port,), (endpoint,) = service["spec"]["ports"], monitor["spec"]["endpoints"]
    assert endpoint["port"] == port["name"]
    (controller,) = pod["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in controller["ports"]}
    assert f"--metrics-port={ports[port['targetPort']]}" in controller["args"]


@pytest.mark.usefixtures("helm")
def test_a_monitor_without_metrics_is_refused() -> None:
    settings = ["serviceMonitor.enabled=true", "metrics.enabled=false"]
    with pytest.raises(ValueError, match=r"serviceMonitor\.enabled requires metrics\.enabled"):
        helm_tool.template(CHART, "taskruns-system", settings)
