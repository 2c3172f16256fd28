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
from tests.support.builders.lifecycle_points import NODE_LABEL, standings
from tests.support.builders.scenario_runs import Crowd
from tests.support.cluster.installation import EACH_INSTALLATION, Installation
from tests.support.cluster.namespace import Stage

pytestmark = EACH_INSTALLATION
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
def crowd(
    cluster: Cluster, installation: Installation, stage: Stage, crowded: str
) -> Iterator[Crowd]:
    """The runs, after all that has happened to them."""
    outage = OUTAGES[installation.name]
    crowd = Crowd(stage, crowded, outage.apiserver, outage.share)
    crowd.take_their_places()
    crowd.life = installation.life()
    for component, seconds in (("kube-apiserver", outage.apiserver), ("etcd", outage.etcd)):
        cluster.stop(component, outage.grace)
        crowd.end_unseen()
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
