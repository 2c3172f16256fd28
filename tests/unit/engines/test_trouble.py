"""Faults of a cluster that a test cannot cause in a real one: quotas, nodes, namespaces."""

from typing import Any

import pytest

from taskruns.engines.engine import Object
from tests.simulation import Cluster, Script
from tests.simulation.cluster import quota
from tests.support.builders.objects import a_run
from tests.support.world import World

LONG = Script(seconds=60)


def world_with(script: Script, **spec: Any) -> World:
    world = World(Cluster(lambda _pod, _container: script))
    world.cluster.create_run(a_run(ttlSecondsAfterFinished=-1, **spec))
    return world


def told(world: World) -> tuple[Any, ...]:
    status = world.status()
    outcomes = [attempt.get("outcome") for attempt in status.get("attempts") or ()]
    return status["phase"], status["reason"], status.get("exitCode"), outcomes


def pod_at_work(world: World) -> Object:
    world.advance(10)
    (pod,) = world.pods()
    assert pod["status"]["phase"] == "Running"
    return pod


def test_a_run_waits_in_a_full_quota_and_uses_up_no_attempt() -> None:
    world = world_with(Script(seconds=100))
    world.cluster.admission.append(quota(world.cluster, pods=1))
    world.settle()
    world.cluster.create_run(a_run(metadata={"name": "second"}, ttlSecondsAfterFinished=-1))
    world.advance(50)
    status = world.status("second")
    assert (status["phase"], status["reason"]) == ("Queued", "QuotaExceeded")
    assert "exceeded quota" in status["message"]
    world.until()
    assert world.status("second")["phase"] == "Succeeded"
    assert world.status("second")["attempt"] == 1
    refused = [r for r in world.controllers[0].answers.requests if r.verb == "create_pod"]
    assert len(refused) < 20, "no hot loop"


@pytest.mark.parametrize("reason", ["EvictionByEvictionAPI", "PreemptionByScheduler"])
def test_a_pod_evicted_at_work_is_a_disruption(reason: str) -> None:
    world = world_with(LONG)
    world.cluster.evict(pod_at_work(world), reason)
    world.until()
    expected = "Evicted" if reason == "EvictionByEvictionAPI" else "Preempted"
    assert told(world) == ("Failed", expected, 137, ["Disrupted"])


def test_a_pod_evicted_by_its_kubelet_is_a_disruption() -> None:
    world = world_with(LONG)
    pod = pod_at_work(world)
    world.cluster.kubelet.evict(pod["metadata"]["uid"], "The node was low on resource: memory.")
    world.until()
    assert told(world) == ("Failed", "Evicted", 137, ["Disrupted"])
    assert "low on resource" in world.status()["message"]


def test_a_pod_deleted_before_it_has_a_node_is_replaced() -> None:
    world = world_with(Script())
    world.cluster.nodes.clear()
    world.advance(1)
    (pod,) = world.pods()
    world.cluster.delete_pod(pod)
    world.cluster.add_node("node-2")
    world.until()
    assert told(world) == ("Succeeded", "Completed", 0, ["Replaced", "Succeeded"])


def test_an_outcome_on_a_lost_node_is_awaited_and_told_when_it_is_back() -> None:
    world = world_with(LONG)
    pod_at_work(world)
    world.cluster.lose_node("node-1")
    world.cluster.add_node("node-2")
    world.advance(3600)
    assert told(world)[0] == "Running", "a Pod that is deleted on a lost node may still be at work"
    status = world.status()
    assert status["reason"] == "NodeLost"
    assert "kubectl delete node node-1" in status["message"]
    world.cluster.restore_node("node-1")
    world.until()
    assert told(world) == ("Succeeded", "Completed", 0, ["Succeeded"])


def test_a_node_that_is_removed_takes_the_attempt_with_it() -> None:
    world = world_with(LONG)
    pod_at_work(world)
    world.cluster.lose_node("node-1")
    world.cluster.add_node("node-2")
    world.advance(3600)
    world.cluster.remove_node("node-1")
    world.until()
    assert told(world) == ("Failed", "NodeLost", None, ["Disrupted"])
    assert len(world.cluster.kubelet.executions) == 1


@pytest.mark.parametrize("limit", [0, 1])
def test_what_a_restarted_node_did_not_see_the_end_of_is_a_disruption(limit: int) -> None:
    world = world_with(LONG, disruptionLimit=limit)
    pod_at_work(world)
    world.cluster.reboot_node("node-1")
    world.until()
    if limit:
        assert told(world) == ("Succeeded", "Completed", 0, ["Disrupted", "Succeeded"])
    else:
        assert told(world) == ("Failed", "FinalStateUnknown", None, ["Disrupted"])
    assert len(world.cluster.kubelet.executions) == 1 + limit


def test_a_run_goes_with_its_namespace_and_holds_nothing_up() -> None:
    world = world_with(LONG)
    pod_at_work(world)
    world.cluster.terminate_namespace("default")
    world.until()
    assert world.run() is None
    assert not world.pods()


def test_nothing_is_created_in_a_namespace_that_goes() -> None:
    world = world_with(LONG)
    world.cluster.terminate_namespace("default")
    world.until()
    assert world.run() is None
    assert not world.cluster.kubelet.executions
