"""Outages of the control plane, while a hundred runs stand at every stage of their lives.

Under each installation the apiserver goes away and comes back, and etcd right after it: in good
order and for a minute under a hundred runs, killed under a quarter of them. Nobody touches the
controller. What the tasks themselves wrote
into the ledger says whether anything was lost or done twice.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cluster import Cluster
from tests.support.cluster_client import NAMESPACES, PODS, Kube, Resource
from tests.support.installation import Installation
from tests.support.run import Run
from tests.support.stage import Stage
from tests.support.standing import BY_THE_CLOCK, NODE_LABEL, Standing, standings

QUOTAS = Resource("/api/v1", "resourcequotas")
STAGES = [*standings("", "", 0, 1)]


@dataclass(frozen=True, slots=True)
class Outage:
    """How long the apiserver and then etcd are away, and how they go."""

    apiserver: float
    etcd: float
    grace: float
    share: float
    """Of the hundred runs."""


OUTAGES = {
    "helm": Outage(apiserver=60, etcd=5, grace=20, share=1),
    "process": Outage(apiserver=10, etcd=5, grace=0, share=0.25),
}

RECOVERED = 240
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
    """The runs, by the stage at which the outage found them."""

    def __init__(self, stage: Stage, crowded: str, outage: Outage) -> None:
        later = int(outage.apiserver * 0.75)
        words = f"{stage.namespace}-during", f"{stage.namespace}-after"
        self.standings = standings(*words, later, outage.share)
        self.runs: dict[str, list[Run]] = {}
        self.life = ""
        """The controller's life before the outage."""
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
    outage = OUTAGES[installation.name]
    crowd = Crowd(stage, crowded, outage)
    crowd.take_their_places()
    crowd.life = installation.life()
    for component, seconds in (("kube-apiserver", outage.apiserver), ("etcd", outage.etcd)):
        cluster.stop(component, outage.grace)
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
