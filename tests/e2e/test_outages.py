"""Outages of the control plane, under a hundred runs at every stage of their lives.

With each installation the apiserver stops and comes back, and etcd right after it: gracefully and
for a minute under a hundred runs, killed under a quarter of them. The controller is left alone. The
tasks' lines in the ledger show whether anything was lost or done twice.
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
    """How long the apiserver and then etcd are down, and how they are stopped."""

    apiserver: float
    etcd: float
    grace: float
    share: float
    """Fraction of the hundred runs."""


OUTAGES = {
    "helm": Outage(apiserver=60, etcd=5, grace=20, share=1),
    "process": Outage(apiserver=10, etcd=5, grace=0, share=0.25),
}

RECOVERED = 240
"""Limit for a hundred runs to reach their ends on a busy machine, in seconds."""


@pytest.fixture(scope="module")
def crowd(
    cluster: Cluster, installation: Installation, stage: Stage, crowded: str
) -> Iterator[Crowd]:
    """Provide the runs after all outages."""
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
