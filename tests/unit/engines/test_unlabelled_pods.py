"""A Pod whose labels were removed is in no watch or list, and still belongs to its run."""

import pytest

from tests.simulation import Cluster, Kind, Script
from tests.support.builders.objects import a_run
from tests.support.simulation import Simulation


@pytest.mark.parametrize("requests", range(1, 6))
@pytest.mark.parametrize("seconds", [0, 0.2, 0.6, 50])
def test_a_pod_without_labels_is_followed_to_its_end(requests: int, seconds: float) -> None:
    simulation = Simulation(Cluster(lambda _pod, _container: Script(seconds=3)))
    simulation.cluster.create_run(a_run(podGC={"deleteDelayDuration": "5s"}))
    controller = simulation.controllers[0]
    controller.see(Kind.RUN)
    for _ in range(requests):
        if controller.begin():
            controller.step()
    simulation.cluster.agenda.advance(seconds)
    (pod,) = simulation.pods()
    name = pod["metadata"]["name"]
    simulation.cluster.patch(Kind.POD, "default", name, {"metadata": {"labels": None}})
    for _ in range(10):
        simulation.until()
        controller.resync()
    assert not simulation.pods()
    assert simulation.run() is None
    (execution,) = simulation.cluster.kubelet.executions
    assert execution.exit_code == 0
