"""The metrics compared with 50 runs, the audit log, and a real Prometheus."""

import json
import re
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from taskruns.api.conditions import TERMINAL_PHASES
from tests.cluster import Cluster
from tests.operator.conftest import ARGUMENTS
from tests.support.builders.manifests import SOON, shell, task_run
from tests.support.cluster import prometheus, promql
from tests.support.cluster.audit import Audit, Request
from tests.support.cluster.client import NAMESPACES, RUNS, Kube, Object
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.prometheus import Prometheus
from tests.support.cluster.watch_recorder import WatchRecorder
from tools import metrics

CHART = Path(__file__).parents[2] / "charts" / "taskruns"
ALERTS = {rule["alert"]: rule["expr"] for rule in metrics.alerts(CHART.parents[1])}
QUESTIONS = ALERTS | {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in json.loads((CHART / "dashboards/taskruns.json").read_text())["panels"]
    if panel["type"] != "row"
    for target in panel["targets"]
}
TROUBLE = {*ALERTS, "Failed requests per minute, by code A"}
"""Queries that have no result when all is well."""

FOUR = {
    "success": shell("true"),
    "failure": shell("exit 3"),
    "retry": shell('[ "$TASKRUN_ATTEMPT" -ge 2 ]', backoffLimit=1, **SOON),
    "cancel": shell("trap 'exit 0' TERM; sleep 60 & wait"),
}

REST = 46
"""Number of runs beside the four that are examined; they are cancelled without a Pod."""

ALL_COUNTED = (
    f'sum(taskruns_runs{{phase="Cancelled"}}) == {1 + REST} '
    f"and sum(taskruns_finished_total) == {len(FOUR) + REST}"
)

Scrape = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def page(controller: ControllerProcess) -> str:
    """Return the response to a scrape."""
    url = f"http://{controller.address('metrics')}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def scrape(controller: ControllerProcess) -> Scrape:
    """Return every sample by its name and labels."""
    text = page(controller)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def nonzero_values(scraped: Scrape, name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's values other than 0, by its label values in the order of label names."""
    return {
        tuple(value for _, value in labels): number
        for (sample_name, labels), number in scraped.items()
        if sample_name == name and number
    }


@dataclass(frozen=True, slots=True)
class Scrapes:
    """Scrapes before the runs, after four had ended, and after all had."""

    before: Scrape
    midway: Scrape
    after: Scrape
    reborn: Scrape
    """Scrape of another process, after all runs."""
    page: str
    requests: list[Request]
    answers: dict[str, list[Object]]
    """Results of Prometheus for the queries of dashboard and alerts."""


@pytest.fixture(scope="module")
def metrics_namespace(kube: Kube) -> Iterator[str]:
    made = kube.create(NAMESPACES, None, {"metadata": {"generateName": "metrics-"}})
    name: str = made["metadata"]["name"]
    yield name
    kube.delete(NAMESPACES, None, name)


@pytest.fixture(scope="module")
def scrapes(
    cluster: Cluster,
    served: Cluster,
    kube: Kube,
    watch_recorder: WatchRecorder,
    metrics_namespace: str,
) -> Scrapes:
    assert served is cluster
    prometheus.install()
    audit = Audit(cluster)
    controller = ControllerProcess(cluster, *ARGUMENTS, "--namespaces", metrics_namespace)
    with controller.at_work():
        before = scrape(controller)
        with Prometheus(controller.address("metrics")) as scraping:
            uids = [_submit(kube, metrics_namespace, name, spec) for name, spec in FOUR.items()]
            phase = _phases(watch_recorder)
            watch_recorder.wait(lambda: phase(uids[-1]) == "Running" or None, 60, "one runs")
            kube.merge(RUNS, metrics_namespace, "cancel", {"spec": {"cancel": True}})
            watch_recorder.wait(lambda: _all_ended(phase, uids), 60, "four have ended")
            watch_recorder.wait(
                lambda: _without_pods(watch_recorder, uids), 60, "their Pods are gone"
            )
            midway = scrape(controller)
            waiting = FOUR["success"] | {"suspend": True, "cancel": True}
            rest = [_submit(kube, metrics_namespace, f"rest-{n}", waiting) for n in range(REST)]
            watch_recorder.wait(lambda: _all_ended(phase, rest), 60, "all have ended")
            # The watch may report an end before the controller gets the response to its write.
            scraping.until(ALL_COUNTED)
            requests = audit.settled(metrics_namespace)
            after, text = scrape(controller), page(controller)
            answers = {
                name: scraping.query(promql.filled(query)) for name, query in QUESTIONS.items()
            }
    with controller.at_work():
        reborn = scrape(controller)
    return Scrapes(before, midway, after, reborn, text, requests, answers)


def _submit(kube: Kube, namespace: str, name: str, spec: Object) -> str:
    created = kube.create(RUNS, namespace, task_run(name, namespace, spec))
    uid: str = created["metadata"]["uid"]
    return uid


def _phases(watch_recorder: WatchRecorder) -> Callable[[str], str]:
    def phase(uid: str) -> str:
        last = watch_recorder.last(uid)
        return ((last.found.get("status") or {}).get("phase") or "") if last else ""

    return phase


def _all_ended(phase: Callable[[str], str], uids: list[str]) -> bool | None:
    return all(phase(uid) in TERMINAL_PHASES for uid in uids) or None


def _without_pods(watch_recorder: WatchRecorder, uids: list[str]) -> bool | None:
    pods = [history for uid in uids for history in watch_recorder.pods_of(uid)]
    return all(history[-1].gone for history in pods) or None


def test_no_end_is_counted_before_any_run(scrapes: Scrapes) -> None:
    assert nonzero_values(scrapes.before, "taskruns_finished_total") == {}


def test_each_end_is_counted_once_and_by_its_reason(scrapes: Scrapes) -> None:
    ends = {
        ("None", "Succeeded", "Completed"): 2,
        ("Application", "Failed", "NonZeroExitCode"): 1,
        ("Cancelled", "Cancelled", "Cancelled"): 1,
    }
    assert nonzero_values(scrapes.midway, "taskruns_finished_total") == ends
    all_ends = ends | {("Cancelled", "Cancelled", "Cancelled"): 1 + REST}
    assert nonzero_values(scrapes.after, "taskruns_finished_total") == all_ends


def test_a_retry_is_counted_by_its_kind(scrapes: Scrapes) -> None:
    assert nonzero_values(scrapes.after, "taskruns_retries_total") == {("application",): 1}


def test_existing_runs_are_counted_by_phase(scrapes: Scrapes) -> None:
    runs = {("Succeeded",): 2, ("Failed",): 1, ("Cancelled",): 1}
    assert nonzero_values(scrapes.midway, "taskruns_runs") == runs
    assert nonzero_values(scrapes.after, "taskruns_runs") == runs | {("Cancelled",): 1 + REST}


def test_every_first_pod_and_every_end_of_an_attempt_is_timed(scrapes: Scrapes) -> None:
    for name, times in (("create_to_pod", 4), ("pod_end_to_status", 5), ("main_end_to_status", 5)):
        assert nonzero_values(scrapes.midway, f"taskruns_{name}_seconds_count") == {(): times}, name
        assert scrapes.after[f"taskruns_{name}_seconds_sum", ()] < times * 30


def test_the_counted_requests_match_the_audit_log(scrapes: Scrapes) -> None:
    counted = nonzero_values(scrapes.after, "taskruns_api_requests_total")
    writes = {key: n for key, n in counted.items() if key[2] in ("create", "patch", "delete")}
    assert writes == Counter(
        (str(r.code), r.resource, r.verb) for r in scrapes.requests if r.is_write
    )


def test_a_restarted_process_does_not_count_old_ends(scrapes: Scrapes) -> None:
    assert nonzero_values(scrapes.reborn, "taskruns_finished_total") == {}
    assert nonzero_values(scrapes.reborn, "taskruns_runs") == nonzero_values(
        scrapes.after, "taskruns_runs"
    )


def test_counters_never_decrease(scrapes: Scrapes) -> None:
    for earlier, later in ((scrapes.before, scrapes.midway), (scrapes.midway, scrapes.after)):
        for key, number in earlier.items():
            if re.search(r"_(total|count|sum|bucket)$", key[0]):
                assert later[key] >= number, key


def test_more_runs_add_no_labels(scrapes: Scrapes) -> None:
    assert scrapes.after.keys() == scrapes.midway.keys()
    values = {value for _, labels in scrapes.after for _, value in labels}
    assert not [value for value in values if re.search(r"rest-|success|metrics-", value)]


def test_promtool_reports_no_problems(scrapes: Scrapes) -> None:
    assert prometheus.promtool("check", "metrics", stdin=scrapes.page) == ""
    rules = str(CHART / "alerts/taskruns.yaml")
    assert prometheus.promtool("check", "rules", rules) == ""


@pytest.mark.parametrize("question", QUESTIONS)
def test_prometheus_answers_the_dashboard_and_raises_no_alert(
    scrapes: Scrapes, question: str
) -> None:
    assert bool(scrapes.answers[question]) != (question in TROUBLE)
