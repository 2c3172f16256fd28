"""More runs than Pods that the namespace's quota allows."""

from collections.abc import Iterator

import pytest

from taskruns.api.conditions import ConditionType, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import IMAGE, shell
from tests.support.cluster import invariants
from tests.support.cluster.audit import Audit
from tests.support.cluster.client import NAMESPACES, PODS, Object, Resource
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario

QUOTAS = Resource("/api/v1", "resourcequotas")
PLACES = 3
RUNS = 12
HANDFUL = 5


@pytest.fixture
def quota_namespace(scenario: Scenario, cluster: Cluster) -> Iterator[str]:
    """Provide a namespace whose quota allows a few Pods."""
    made = scenario.kube.create(NAMESPACES, None, {"metadata": {"generateName": "e2e-narrow-"}})
    name: str = made["metadata"]["name"]
    set_quota(scenario, cluster, name, {"pods": str(PLACES)})
    yield name
    scenario.kube.delete(NAMESPACES, None, name)


@pytest.fixture
def pods_filling_quota(scenario: Scenario, quota_namespace: str) -> list[str]:
    """Create Pods without a run that use up the quota; return their names."""
    names = [f"other-{number}" for number in range(PLACES)]
    container = {"name": "main", "image": IMAGE, "command": ["sleep", "600"]}
    for name in names:
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        scenario.kube.create(PODS, quota_namespace, {"metadata": {"name": name}, "spec": spec})
    return names


def set_quota(scenario: Scenario, cluster: Cluster, namespace: str, hard: Object) -> None:
    """Set a quota, and wait until it is counted; until then every create is refused."""
    quota = {"metadata": {"name": "narrow"}, "spec": {"hard": hard}}
    scenario.kube.create(QUOTAS, namespace, quota)
    counted = "--for=jsonpath={.status.hard}"
    cluster.kubectl("wait", "-n", namespace, "resourcequota/narrow", counted)


@pytest.mark.guarantee(
    "With a full quota, runs are `Queued` with `QuotaExceeded`; no attempt is used, and the "
    "oldest run goes first"
)
def test_twelve_runs_under_a_quota_of_three_pods_run_in_order_with_few_requests(
    scenario: Scenario, cluster: Cluster, quota_namespace: str
) -> None:
    audit = Audit(cluster)
    names = [f"run-{number:02d}" for number in range(RUNS)]
    runs = [scenario.create(name, shell("sleep 1"), quota_namespace) for name in names]
    for run in runs:
        assert run.ended()["phase"] == Phase.SUCCEEDED
        assert run.status["attempt"] == 1
        invariants.check(run)
    assert names_by_pod_creation(runs) == names
    assert max_concurrent_pods(runs) == PLACES
    waited = [run for run in runs if Phase.QUEUED in run.phases()]
    assert len(waited) == RUNS - PLACES
    for run in waited:
        statuses = [
            s.found["status"] for s in run.history() if s.found["status"].get("phase") == "Queued"
        ]
        assert {status["reason"] for status in statuses} == {Reason.QUOTA_EXCEEDED}
        assert len({status["message"] for status in statuses}) == 1
        assert "exceeded quota: narrow" in statuses[0]["message"]
    creates = [r.code for r in audit.settled(quota_namespace) if str(r) == "create pods"]
    assert creates.count(201) == RUNS
    assert len(creates) - RUNS <= HANDFUL, creates


@pytest.mark.guarantee("Cancel and suspend act at once if there is no Pod")
def test_a_run_queued_for_quota_is_cancelled_or_suspended_at_once_and_the_next_starts(
    scenario: Scenario, quota_namespace: str, pods_filling_quota: list[str]
) -> None:
    """The next run uses the quota that another client releases."""
    cancelled, suspended, after = (
        scenario.create(name, shell("exit 0"), quota_namespace)
        for name in ("cancelled", "suspended", "after")
    )
    for run in (cancelled, suspended, after):
        assert run.reaches(Phase.QUEUED)["reason"] == Reason.QUOTA_EXCEEDED
    cancelled.cancel()
    suspended.change(suspend=True)
    Ending(Phase.CANCELLED, Reason.CANCELLED).check(cancelled)
    shown = suspended.reaches(Phase.SUSPENDED)
    assert not shown.get("startTime")
    scenario.kube.delete(PODS, quota_namespace, pods_filling_quota[0])
    assert after.ended()["phase"] == Phase.SUCCEEDED
    assert not suspended.pods()
    suspended.change(suspend=False)
    end = suspended.ended()
    assert (end["phase"], end["attempt"]) == (Phase.SUCCEEDED, 1)
    conditions = {each["type"]: each["status"] for each in end["conditions"]}
    assert conditions[ConditionType.SUSPENDED] == "False"
    assert not cancelled.pods()
    for run in (cancelled, suspended, after):
        invariants.check(run)


@pytest.mark.guarantee(
    "A quota that can never be met ends the run as `AdmissionRefused` at once, without another "
    "create"
)
def test_a_quota_that_can_never_be_met_fails_the_run_after_one_create(
    scenario: Scenario, cluster: Cluster
) -> None:
    made = scenario.kube.create(NAMESPACES, None, {"metadata": {"generateName": "e2e-small-"}})
    small = made["metadata"]["name"]
    set_quota(scenario, cluster, small, {"limits.memory": "64Mi"})
    audit = Audit(cluster)
    large = scenario.create(
        "large", shell("exit 0", resources={"limits": {"memory": "65Mi"}}), small
    )
    regex = r"exceeded quota: narrow, requested: limits\.memory=65Mi.* limited: limits\.memory=64Mi"
    Ending(Phase.FAILED, Reason.ADMISSION_REFUSED, None, (regex,)).check(large)
    assert large.phases() == [Phase.FAILED]
    creates = [r.code for r in audit.settled(small) if str(r) == "create pods"]
    assert creates == [403]
    assert not large.pods()
    scenario.kube.delete(NAMESPACES, None, small)


def names_by_pod_creation(runs: list[Run]) -> list[str]:
    made = {run.name: run.pods()[0][0].found["metadata"]["resourceVersion"] for run in runs}
    return sorted(made, key=lambda name: int(made[name]))


def max_concurrent_pods(runs: list[Run]) -> int:
    """Return the greatest number of Pods that counted for the quota at one time."""
    changes = sorted(
        (entry for run in runs for pod in run.pods() for entry in pod),
        key=lambda entry: int(entry.found["metadata"]["resourceVersion"]),
    )
    live: set[str] = set()
    most = 0
    for entry in changes:
        uid = entry.found["metadata"]["uid"]
        (live.discard if entry.gone or has_ended(entry.found) else live.add)(uid)
        most = max(most, len(live))
    return most


def has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
