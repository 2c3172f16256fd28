"""Outages of the control plane, while a hundred runs stand at every stage of their lives.

Under each installation the apiserver goes away and comes back, and etcd right after it: in good
order and for a minute, or killed. Nobody touches the controller. What the tasks themselves wrote
into the ledger says whether anything was lost or done twice.
"""

import time
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.support.cluster_client import NAMESPACES, PODS, Kube, Resource
from tests.support.installation import Installation
from tests.support.run import Run
from tests.support.stage import Stage
from tests.support.standing import NODE_LABEL, Standing, standings

QUOTAS = Resource("/api/v1", "resourcequotas")
BY_THE_CLOCK = ("backing-off", "finished", "expiring")
STAGES = [*standings("", "")]
IN_GOOD_ORDER, KILLED = 20.0, 0.0
OUTAGES = {
    "helm": (("kube-apiserver", IN_GOOD_ORDER, 60.0), ("etcd", IN_GOOD_ORDER, 5.0)),
    "process": (("kube-apiserver", KILLED, 10.0), ("etcd", KILLED, 5.0)),
}
"""By installation: what is stopped, the grace that it is given, and the seconds that it is away."""

RECOVERED = 120
"""Seconds in which a hundred runs have gone on to their ends, on a busy machine."""


@pytest.fixture(scope="module")
def crowded(kube: Kube, namespace: str) -> Iterator[str]:
    """A namespace that has room for three Pods at a time."""
    name = f"{namespace}-crowded"
    kube.create(NAMESPACES, None, {"metadata": {"name": name}})
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}}
    kube.create(QUOTAS, name, quota)
    yield name
    kube.delete(NAMESPACES, None, name)


class Crowd:
    """A hundred runs, by the stage at which the outage found them."""

    def __init__(self, stage: Stage, crowded: str, life: str) -> None:
        self.life = life
        """The controller's life as it was before."""
        self.standings = standings(f"{stage.namespace}-during", f"{stage.namespace}-after")
        self.runs: dict[str, list[Run]] = {}
        self._stage = stage
        self._crowded = crowded

    def take_their_places(self) -> None:
        for names in ([n for n in self.standings if n not in BY_THE_CLOCK], BY_THE_CLOCK):
            for name in names:
                self.runs[name] = self._create(name, self.standings[name])
            for name in names:
                for run in self.runs[name]:
                    self.standings[name].stand(run)

    def _create(self, name: str, standing: Standing) -> list[Run]:
        where = self._crowded if name == "queued" else ""
        spec = standing.spec | self._stage.ledger.mount()
        return [self._stage.create(f"{name}-{n}", spec, where) for n in range(standing.runs)]

    def let_go(self, cluster: Cluster) -> None:
        """Take away everything that still holds them up."""
        self._stage.ledger.say(f"{self._stage.namespace}-after")
        cluster.kubectl("label", "node", cluster.node_name, f"{NODE_LABEL}=true")
        no_gates = {"spec": {"schedulingGates": None}}
        for run in self.runs["gated"]:
            self._stage.kube.merge(PODS, run.namespace, run.pod_name(), no_gates)


@pytest.fixture(scope="module")
def crowd(
    cluster: Cluster, installation: Installation, stage: Stage, crowded: str
) -> Iterator[Crowd]:
    """The runs, after all that has happened to them."""
    crowd = Crowd(stage, crowded, installation.life())
    crowd.take_their_places()
    for component, grace, seconds in OUTAGES[installation.name]:
        cluster.stop(component, grace)
        stage.ledger.say(f"{stage.namespace}-during")
        time.sleep(seconds)  # this is the outage
        cluster.start(component)
    crowd.let_go(cluster)
    yield crowd
    cluster.kubectl("label", "node", cluster.node_name, f"{NODE_LABEL}-")


@pytest.mark.parametrize("name", STAGES)
def test_nothing_is_lost_or_done_twice(crowd: Crowd, stage: Stage, name: str) -> None:
    for run in crowd.runs[name]:
        crowd.standings[name].check(run, stage.ledger, RECOVERED)


def test_the_controller_has_lived_through_it(installation: Installation, crowd: Crowd) -> None:
    assert installation.life() == crowd.life
