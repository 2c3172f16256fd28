"""Faults of a cluster that a test cannot cause in a real one: quotas, nodes, namespaces."""

from typing import Any

import pytest

from taskruns.core.unstructured import Object
from tests.simulation import Cluster, Script
from tests.simulation.cluster import quota
from tests.support.builders.objects import a_run
from tests.support.simulation import Simulation

LONG = Script(seconds=60)


def world_with(script: Script, **spec: Any) -> Simulation:
    simulation = Simulation(Cluster(lambda _pod, _container: script))
    simulation.cluster.create_run(a_run(ttlSecondsAfterFinished=-1, **spec))
    return simulation


def summary_of(simulation: Simulation) -> tuple[Any, ...]:
    status = simulation.status()
    outcomes = [attempt.get("outcome") for attempt in status.get("attempts") or ()]
    return status["phase"], status["reason"], status.get("exitCode"), outcomes


def pod_at_work(simulation: Simulation) -> Object:
    simulation.advance(10)
    (pod,) = simulation.pods()
    assert pod["status"]["phase"] == "Running"
    return pod


def test_a_run_waits_for_quota_without_using_an_attempt() -> None:
    simulation = world_with(Script(seconds=100))
    simulation.cluster.admission.append(quota(simulation.cluster, pods=1))
    simulation.settle()
    simulation.cluster.create_run(a_run(metadata={"name": "second"}, ttlSecondsAfterFinished=-1))
    simulation.advance(50)
    status = simulation.status("second")
    assert (status["phase"], status["reason"]) == ("Queued", "QuotaExceeded")
    assert "exceeded quota" in status["message"]
    simulation.until()
    assert simulation.status("second")["phase"] == "Succeeded"
    assert simulation.status("second")["attempt"] == 1
    refused = [r for r in simulation.controllers[0].answers.requests if r.verb == "create_pod"]
    assert len(refused) < 20, "no hot loop"


@pytest.mark.parametrize("reason", ["EvictionByEvictionAPI", "PreemptionByScheduler"])
def test_a_running_pod_that_is_evicted_is_a_disruption(reason: str) -> None:
    simulation = world_with(LONG)
    simulation.cluster.evict(pod_at_work(simulation), reason)
    simulation.until()
    expected = "Evicted" if reason == "EvictionByEvictionAPI" else "Preempted"
    assert summary_of(simulation) == ("Failed", expected, 137, ["Disrupted"])


def test_a_pod_evicted_by_its_kubelet_is_a_disruption() -> None:
    simulation = world_with(LONG)
    pod = pod_at_work(simulation)
    simulation.cluster.kubelet.evict(
        pod["metadata"]["uid"], "The node was low on resource: memory."
    )
    simulation.until()
    assert summary_of(simulation) == ("Failed", "Evicted", 137, ["Disrupted"])
    assert "low on resource" in simulation.status()["message"]


def test_a_pod_deleted_before_it_has_a_node_is_replaced() -> None:
    simulation = world_with(Script())
    simulation.cluster.nodes.clear()
    simulation.advance(1)
    (pod,) = simulation.pods()
    simulation.cluster.delete_pod(pod)
    simulation.cluster.add_node("node-2")
    simulation.until()
    assert summary_of(simulation) == ("Succeeded", "Completed", 0, ["Replaced", "Succeeded"])


def test_an_outcome_on_a_lost_node_is_awaited_and_reported_when_the_node_returns() -> None:
    simulation = world_with(LONG)
    pod_at_work(simulation)
    simulation.cluster.lose_node("node-1")
    simulation.cluster.add_node("node-2")
    simulation.advance(3600)
    assert summary_of(simulation)[0] == "Running", (
        "a Pod that is deleted on a lost node may still be at work"
    )
    status = simulation.status()
    assert status["reason"] == "NodeLost"
    assert "kubectl delete node node-1" in status["message"]
    simulation.cluster.restore_node("node-1")
    simulation.until()
    assert summary_of(simulation) == ("Succeeded", "Completed", 0, ["Succeeded"])


def test_the_removal_of_a_node_ends_the_attempt() -> None:
    simulation = world_with(LONG)
    pod_at_work(simulation)
    simulation.cluster.lose_node("node-1")
    simulation.cluster.add_node("node-2")
    simulation.advance(3600)
    simulation.cluster.remove_node("node-1")
    simulation.until()
    assert summary_of(simulation) == ("Failed", "NodeLost", None, ["Disrupted"])
    assert len(simulation.cluster.kubelet.executions) == 1


@pytest.mark.parametrize("limit", [0, 1])
def test_an_end_during_a_node_restart_is_a_disruption(limit: int) -> None:
    simulation = world_with(LONG, disruptionLimit=limit)
    pod_at_work(simulation)
    simulation.cluster.reboot_node("node-1")
    simulation.until()
    if limit:
        assert summary_of(simulation) == ("Succeeded", "Completed", 0, ["Disrupted", "Succeeded"])
    else:
        assert summary_of(simulation) == ("Failed", "FinalStateUnknown", None, ["Disrupted"])
    assert len(simulation.cluster.kubelet.executions) == 1 + limit


def test_a_run_is_deleted_with_its_namespace_and_blocks_nothing() -> None:
    simulation = world_with(LONG)
    pod_at_work(simulation)
    simulation.cluster.terminate_namespace("default")
    simulation.until()
    assert simulation.run() is None
    assert not simulation.pods()


def test_nothing_is_created_in_a_terminating_namespace() -> None:
    simulation = world_with(LONG)
    simulation.cluster.terminate_namespace("default")
    simulation.until()
    assert simulation.run() is None
    assert not simulation.cluster.kubelet.executions
