"""A Pod whose labels were removed is in no watch or list, and still belongs to its run."""

import pytest

from tests.simulation import Cluster, Kind, Script
from tests.support.builders.objects import a_run
from tests.support.world import World


@pytest.mark.parametrize("requests", range(1, 6))
@pytest.mark.parametrize("seconds", [0, 0.2, 0.6, 50])
def test_a_pod_without_labels_is_followed_to_its_end(requests: int, seconds: float) -> None:
    world = World(Cluster(lambda _pod, _container: Script(seconds=3)))
    world.cluster.create_run(a_run(podGC={"deleteDelayDuration": "5s"}))
    controller = world.controllers[0]
    controller.see(Kind.RUN)
    for _ in range(requests):
        if controller.begin():
            controller.step()
    world.cluster.agenda.advance(seconds)
    (pod,) = world.pods()
    name = pod["metadata"]["name"]
    world.cluster.patch(Kind.POD, "default", name, {"metadata": {"labels": None}})
    for _ in range(10):
        world.until()
        controller.resync()
    assert not world.pods()
    assert world.run() is None
    (execution,) = world.cluster.kubelet.executions
    assert execution.exit_code == 0
