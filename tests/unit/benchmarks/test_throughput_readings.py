"""Readings of a benchmark: /proc and the apiserver's metrics."""

from collections import Counter

import pytest

from benchmarks.throughput import requests
from benchmarks.throughput.processes import TICKS, CpuSample, above_idle, cpu_seconds


def _sample(verb: str, resource: str, value: int, subresource: str = "", code: int = 200) -> str:
    labels = f'code="{code}",dry_run="",group="",resource="{resource}",scope="resource"'
    return (
        f'apiserver_request_total{{{labels},subresource="{subresource}",verb="{verb}"}} {value}\n'
    )


METRICS = "".join(
    (
        "# TYPE apiserver_request_total counter\n",
        _sample("POST", "pods", 20, code=201),
        _sample("POST", "pods", 1, code=409),
        _sample("PATCH", "pods", 40, "status"),
        _sample("WATCH", "pods", 7),
        _sample("PUT", "leases", 99),
    )
)


def test_the_programs_name_may_contain_anything() -> None:
    fields = ["S", *["0"] * 10, str(3 * TICKS), str(TICKS), *["0"] * 30]
    assert cpu_seconds(f"17 (a) b (c) {' '.join(fields)}") == 4


def test_idle_use_is_subtracted() -> None:
    before, after = CpuSample(0, {"etcd": 1.0}), CpuSample(10, {"etcd": 3.0})
    assert above_idle(before, after, {"etcd": 0.1}) == {"etcd": 1.0}
    assert above_idle(before, after, {"etcd": 0.5}) == {"etcd": 0.0}


def test_a_rate_is_use_by_time() -> None:
    earlier, later = CpuSample(5, {"etcd": 1.0}), CpuSample(7, {"etcd": 2.0})
    assert later.rates(earlier) == {"etcd": 0.5}


def test_requests_are_counted_by_verb_and_resource() -> None:
    assert requests.parse(METRICS) == {"create pods": 21, "patch pods/status": 40}


def test_requests_per_run_leave_background_out() -> None:
    before, after = Counter({"create pods": 5}), Counter({"create pods": 105, "list pods": 2})
    assert requests.per_run(before, after, 100) == {"create pods": pytest.approx(1.0)}
