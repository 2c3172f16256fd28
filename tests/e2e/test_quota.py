"""A namespace with room for three Pods, and more runs than that."""

from collections.abc import Iterator

import pytest

from taskruns.api.conditions import Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support import laws
from tests.support.audit import Audit
from tests.support.cluster_client import NAMESPACES, PODS, Object, Resource
from tests.support.manifests import shell
from tests.support.run import Run
from tests.support.stage import Stage

QUOTAS = Resource("/api/v1", "resourcequotas")
PLACES = 3
RUNS = 12
HANDFUL = 5


@pytest.fixture
def narrow(stage: Stage, cluster: Cluster) -> Iterator[str]:
    """A namespace with room for a few Pods."""
    made = stage.kube.create(NAMESPACES, None, {"metadata": {"generateName": "e2e-narrow-"}})
    name: str = made["metadata"]["name"]
    limit(stage, cluster, name, PLACES)
    yield name
    stage.kube.delete(NAMESPACES, None, name)


def limit(stage: Stage, cluster: Cluster, namespace: str, pods: int) -> None:
    """Set a quota, and wait until it is counted: before, every create is refused."""
    hard = {"metadata": {"name": "narrow"}, "spec": {"hard": {"pods": str(pods)}}}
    stage.kube.create(QUOTAS, namespace, hard)
    counted = f"--for=jsonpath={{.status.hard.pods}}={pods}"
    cluster.kubectl("wait", "-n", namespace, "resourcequota/narrow", counted)


def test_twelve_runs_in_three_places_all_end_in_order_and_hardly_ask(
    stage: Stage, cluster: Cluster, narrow: str
) -> None:
    audit = Audit(cluster)
    names = [f"run-{number:02d}" for number in range(RUNS)]
    runs = [stage.create(name, shell("sleep 1"), narrow) for name in names]
    for run in runs:
        assert run.ended()["phase"] == Phase.SUCCEEDED
        assert run.status["attempt"] == 1
        laws.check(run)
    assert in_order_of_their_pods(runs) == names
    assert most_at_once(runs) == PLACES
    waited = [run for run in runs if Phase.QUEUED in run.phases()]
    assert len(waited) == RUNS - PLACES
    for run in waited:
        told = [
            s.found["status"] for s in run.history() if s.found["status"].get("phase") == "Queued"
        ]
        assert {status["reason"] for status in told} == {Reason.QUOTA_EXCEEDED}
        assert len({status["message"] for status in told}) == 1
        assert "exceeded quota: narrow" in told[0]["message"]
    creates = [r.code for r in audit.settled(narrow) if str(r) == "create pods"]
    assert creates.count(201) == RUNS
    assert len(creates) - RUNS <= HANDFUL, creates


def test_room_that_somebody_else_makes_is_found(stage: Stage, narrow: str) -> None:
    foreign = [f"foreign-{number}" for number in range(PLACES)]
    container = {"name": "main", "image": "busybox:1", "command": ["sleep", "600"]}
    for name in foreign:
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        stage.kube.create(PODS, narrow, {"metadata": {"name": name}, "spec": spec})
    run = stage.create("patient", shell("exit 0"), narrow)
    run.reaches(Phase.QUEUED)
    stage.kube.delete(PODS, narrow, foreign[0])
    assert run.ended()["phase"] == Phase.SUCCEEDED


def in_order_of_their_pods(runs: list[Run]) -> list[str]:
    made = {run.name: run.pods()[0][0].found["metadata"]["resourceVersion"] for run in runs}
    return sorted(made, key=lambda name: int(made[name]))


def most_at_once(runs: list[Run]) -> int:
    """The greatest number of Pods that counted for the quota at one time."""
    seen = sorted(
        (entry for run in runs for pod in run.pods() for entry in pod),
        key=lambda entry: int(entry.found["metadata"]["resourceVersion"]),
    )
    live: set[str] = set()
    most = 0
    for entry in seen:
        uid = entry.found["metadata"]["uid"]
        (live.discard if entry.gone or has_ended(entry.found) else live.add)(uid)
        most = max(most, len(live))
    return most


def has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
