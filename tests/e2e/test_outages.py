"""Outages of the control plane, under a hundred runs at every stage of their lives.

With each installation the apiserver stops and comes back, and etcd right after it: gracefully and
for half a minute under a hundred runs, killed under a quarter of them. The controller is left
alone. The tasks' lines in the start counter show whether anything was lost or done twice.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cluster import Cluster
from tests.support.builders.lifecycle_points import NODE_LABEL, lifecycle_points
from tests.support.builders.scenario_runs import ScenarioRuns
from tests.support.cluster.installation import EACH_INSTALLATION, Installation
from tests.support.cluster.scenario import Scenario

pytestmark = EACH_INSTALLATION
STAGES = [*lifecycle_points("", "", 0, 1)]


@dataclass(frozen=True, slots=True)
class Outage:
    """How long the apiserver and then etcd are down, and how they are stopped."""

    apiserver: float
    etcd: float
    grace: float
    share: float
    """Fraction of the hundred runs."""


OUTAGES = {
    "helm": Outage(apiserver=30, etcd=5, grace=20, share=1),
    "process": Outage(apiserver=10, etcd=5, grace=0, share=0.25),
}

RECOVERED = 240
"""Limit for a hundred runs to reach their ends on a busy machine, in seconds."""


@pytest.fixture(scope="module")
def scenario_runs(
    cluster: Cluster, installation: Installation, scenario: Scenario, limited_namespace: str
) -> Iterator[ScenarioRuns]:
    """Provide the runs after all outages."""
    outage = OUTAGES[installation.name]
    scenario_runs = ScenarioRuns(scenario, limited_namespace, outage.apiserver, outage.share)
    scenario_runs.reach_points()
    scenario_runs.process_identity = installation.process_identity()
    for component, seconds in (("kube-apiserver", outage.apiserver), ("etcd", outage.etcd)):
        cluster.stop(component, outage.grace)
        scenario_runs.end_unseen()
        time.sleep(seconds)  # this is the outage
        cluster.start(component)
    scenario_runs.release(cluster)
    yield scenario_runs
    cluster.kubectl("label", "node", cluster.node_name, f"{NODE_LABEL}-")


@pytest.mark.guarantee(
    "Nothing is lost or repeated when the API server and etcd stop and come back, with a hundred "
    "runs at every stage"
)
@pytest.mark.parametrize("name", STAGES)
def test_nothing_is_lost_or_repeated(
    scenario_runs: ScenarioRuns, scenario: Scenario, name: str
) -> None:
    for run in scenario_runs.runs[name]:
        scenario_runs.lifecycle_points[name].check(run, scenario.start_counter, RECOVERED)


def test_the_controller_process_survives_the_outages(
    installation: Installation, scenario_runs: ScenarioRuns
) -> None:
    assert installation.process_identity() == scenario_runs.process_identity
