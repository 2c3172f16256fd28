"""Names and values of the metrics, and the cost of a scrape with many runs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from taskruns.api.conditions import Phase
from taskruns.api.reasons import Reason
from taskruns.operator.metrics import UNSEEN, Metrics, Snapshot

NOTHING = Snapshot(
    ready=True,
    leads=False,
    runs={},
    queued={},
    pods=0,
    watch_ages={"pods": 0.5},
    waiting=0,
    longest_wait=0.0,
    workers=8,
    busy=0,
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3", lambda: NOTHING)


def families(registry: CollectorRegistry) -> Iterator[Metric]:
    """Yield the metrics that a scraper reads, by the library's own parser."""
    yield from text_string_to_metric_families(generate_latest(registry).decode())


def samples_of(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in families(registry)
        for sample in family.samples
        if sample.name == name
    }


def test_names_follow_the_convention(metrics: Metrics) -> None:
    for family in families(metrics.registry):
        assert re.fullmatch(r"(taskruns|process)_[a-z_]+", family.name), family.name
        assert not re.search(r"milli|micro|minutes|hours|_ms$|kilo|mega|percent", family.name)
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name.endswith("_total"), sample.name
            else:
                assert not sample.name.endswith("_total"), sample.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds"), family.name


def test_every_metric_has_a_description(metrics: Metrics) -> None:
    for family in families(metrics.registry):
        assert family.documentation.endswith("."), family.name


def test_known_labels_are_exported_as_zero(metrics: Metrics) -> None:
    ends = samples_of(metrics.registry, "taskruns_finished_total")
    assert set(ends.values()) == {0}
    reasons = {reason for reason in Reason if reason.kind is not None} | {Reason.COMPLETED}
    assert {reason for _, _, reason in ends} | {r for r, _, _ in ends} >= reasons
    assert len(ends) == len(reasons)
    kinds = {("application",), ("disruption",), ("replaced",), ("requeued",), ("ignored",)}
    assert samples_of(metrics.registry, "taskruns_retries_total").keys() == kinds


def test_runs_are_counted_by_every_phase(metrics: Metrics) -> None:
    phases = {(UNSEEN,)} | {(phase.value,) for phase in Phase}
    assert samples_of(metrics.registry, "taskruns_runs").keys() == phases


def test_two_controllers_in_one_process_share_no_metrics(metrics: Metrics) -> None:
    second = Metrics("1.2.3", lambda: NOTHING)
    second.runs.retries.labels("application").inc()
    assert samples_of(metrics.registry, "taskruns_retries_total")["application",] == 0


def test_the_version_and_the_process_are_exported(metrics: Metrics) -> None:
    (labels,) = samples_of(metrics.registry, "taskruns_build_info")
    assert "1.2.3" in labels
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert samples_of(metrics.registry, name)[()] > 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text"),
    ],
)
async def test_metrics_are_served_in_the_requested_format(
    metrics: Metrics, accept: str, kind: str
) -> None:
    site = metrics.site("127.0.0.1", 0)
    await site.start()
    assert site.address is not None
    url = f"http://127.0.0.1:{site.address[1]}/metrics"
    headers: Mapping[str, Any] = {"Accept": accept}
    try:
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            assert answer.content_type == kind
            assert "taskruns_ready 1.0" in await answer.text()
    finally:
        await site.stop()
