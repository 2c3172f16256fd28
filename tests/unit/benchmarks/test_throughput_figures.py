"""Figures of a benchmark: percentiles, spreads, and what a turn leaves out."""

from benchmarks.throughput.figures import (
    Measurement,
    Percentiles,
    Spread,
    Summary,
    durations,
    percentile,
    summarise,
)
from benchmarks.throughput.load import Run


def _measurement(system: str = "pods", seconds: float = 10.0, **changes: object) -> Measurement:
    fields: dict[str, object] = {"durations": {}, "cpu": {}, "requests": {}, **changes}
    return Measurement(system=system, workload="burst", runs=100, seconds=seconds, **fields)  # type: ignore[arg-type]


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(1, 101)]
    assert percentile(values, 0.50) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1.0) == 100
    assert percentile([7.0], 0.50) == percentile([7.0], 0.99) == 7


def test_no_values_have_no_percentiles() -> None:
    assert Percentiles.of([]) is None
    assert Percentiles.of([3.0, 1.0, 2.0]) == Percentiles(2.0, 3.0)


def test_durations_count_from_the_request() -> None:
    run = Run("run-1", created=10.0, pod=10.5, pod_ended=11.0, done=11.25)
    assert durations([run]) == {
        "create to Pod": Percentiles(0.5, 0.5),
        "Pod end to status": Percentiles(0.25, 0.25),
        "create to done": Percentiles(1.25, 1.25),
    }


def test_a_bare_pod_has_no_status_that_follows_its_end() -> None:
    run = Run("run-1", created=10.0, pod=10.5, pod_ended=11.0, done=11.0)
    assert "Pod end to status" not in durations([run])


def test_a_cancelled_run_has_its_time_from_the_request() -> None:
    run = Run("run-1", created=10.0, cancelled=20.0, done=21.0)
    assert durations([run])["cancel to done"] == Percentiles(1.0, 1.0)


def test_rounds_are_summarised_by_workload_and_system() -> None:
    rounds = [_measurement(seconds=10), _measurement("jobs", 50), _measurement(seconds=5)]
    pods, jobs = summarise([*rounds, _measurement(seconds=4)])
    assert (pods.system, jobs.system) == ("pods", "jobs")
    assert pods.rate == Spread(20, 10, 25)
    assert jobs.rate == Spread(2, 2, 2)


def test_a_round_without_a_component_counts_as_no_use() -> None:
    rounds = [_measurement(cpu={"etcd": 3.0}), _measurement(cpu={"etcd": 5.0}), _measurement()]
    summary = Summary("pods", "burst", rounds)
    assert summary.cpu("etcd") == 3
    assert summary.cpu("kubelet") == 0


def test_requests_are_medians_by_kind() -> None:
    rounds = [_measurement(requests={"create pods": 1.0}), _measurement(requests={})]
    assert Summary("pods", "burst", rounds).requests() == {"create pods": 0.5}
