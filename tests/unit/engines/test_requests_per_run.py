"""Number of requests per run: each write costs one in etcd, for every task of a day."""

from typing import Any

import pytest

from tests.simulation import Cluster, Script
from tests.support.builders.objects import a_run
from tests.support.simulation import Simulation

SHORT = ["create_pod", "write_status", "release_gate", "write_status", "release_pod", "delete_pod"]
LONGER = [*SHORT[:3], "write_status", *SHORT[3:]]


def requests_of(script: Script, **spec: Any) -> list[str]:
    simulation = Simulation(Cluster(lambda _pod, _container: script))
    simulation.cluster.create_run(a_run(**spec))
    simulation.until()
    return [request.verb for request in simulation.controllers[0].answers.requests]


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("seconds", [0, 0.1, 0.9])
def test_a_run_of_under_a_second_costs_six_writes_and_no_read(code: int, seconds: float) -> None:
    script = Script(seconds=seconds, exit_code=code)
    assert requests_of(script, ttlSecondsAfterFinished=-1) == SHORT


@pytest.mark.parametrize("seconds", [3, 100, 10_000])
def test_a_longer_run_costs_one_more_write(seconds: float) -> None:
    assert requests_of(Script(seconds=seconds), ttlSecondsAfterFinished=-1) == LONGER


def test_a_ttl_costs_one_more_write() -> None:
    assert requests_of(Script(), ttlSecondsAfterFinished=60) == [*SHORT, "delete_run"]


def test_each_retry_costs_what_a_run_costs() -> None:
    requests = requests_of(Script(exit_code=1), backoffLimit=2, ttlSecondsAfterFinished=-1)
    assert sorted(requests) == sorted(SHORT * 3)


def test_a_cancelled_run_costs_two_more_writes_than_a_short_one() -> None:
    spec = {"activeDeadlineSeconds": 3, "ttlSecondsAfterFinished": -1}
    stubborn = Script(seconds=1000)
    assert sorted(requests_of(stubborn, **spec)) == sorted([*LONGER, "stop_pod", "write_status"])
