"""Pods that any user may create, with labels and owners that claim to be a run's."""

from typing import Any

import pytest

from taskruns.api import names
from taskruns.core.unstructured import Object
from tests.simulation import Cluster, Kind, Script
from tests.support.builders.objects import a_pod, a_run
from tests.support.simulation import Simulation

pytestmark = pytest.mark.guarantee("Objects that the run does not own are not touched")


def a_world() -> Simulation:
    return Simulation(Cluster(lambda _pod, _container: Script(seconds=10)))


def a_kept_run() -> Object:
    return a_run(podGC={"strategy": "Never"}, ttlSecondsAfterFinished=-1)


def forged(run: Object, *, gated: bool, **metadata: Any) -> Object:
    """Return a Pod that claims to be the run's first, by default in another namespace."""
    place = {"namespace": "elsewhere", "name": "forged", "uid": "forged"}
    pod = a_pod(run, gated=gated, node="", metadata={**place, **metadata})
    return {**pod, "status": {}}


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("seconds", [0, 5, 20])
def test_a_pod_of_another_namespace_changes_nothing_for_the_run_that_it_names(
    *, gated: bool, seconds: float
) -> None:
    simulation = a_world()
    run = simulation.cluster.create_run(a_kept_run())
    simulation.advance(seconds)
    simulation.cluster.create_pod(forged(run, gated=gated))
    simulation.advance(60)
    assert simulation.status()["phase"] == "Succeeded"
    name = names.pod_name("hello", run["metadata"]["uid"], 1)
    pod = simulation.cluster.store.get(Kind.POD, "default", name)
    assert pod is not None
    assert pod["metadata"]["uid"] == simulation.status()["podUID"]
    assert "finalizers" not in pod["metadata"]


def test_a_run_known_only_from_a_pods_label_is_not_taken_for_deleted() -> None:
    simulation = a_world()
    run = simulation.cluster.create_run(a_kept_run())
    controller = simulation.controllers[0]
    labels = a_pod(run)["metadata"]["labels"] | {names.LABEL_NAME: "another"}
    simulation.cluster.create_pod(forged(run, gated=True, namespace="default", labels=labels))
    controller.see(Kind.POD)
    while controller.begin():
        controller.step()
    simulation.advance(60)
    assert simulation.status()["phase"] == "Succeeded"


def test_a_held_pod_without_a_run_name_is_released_without_a_live_read() -> None:
    simulation = a_world()
    labels = {names.LABEL_UID: "made-up"}
    simulation.cluster.create_pod(forged(a_run(), gated=True, labels=labels, ownerReferences=[]))
    simulation.until()
    (pod,) = simulation.pods()
    assert "finalizers" not in pod["metadata"]
    assert "read_run" not in {made.verb for made in simulation.controllers[0].answers.requests}
