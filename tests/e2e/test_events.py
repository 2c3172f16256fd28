"""Events of a run in `kubectl describe`: few, ordered, counted, and permitted by our role.

`tests/engine` covers the behaviour; these tests check the user's view, and a quota.
"""

from pathlib import Path

import pytest
import yaml

from taskruns.api.conditions import EventReason, Outcome, Phase
from tests.cluster import Cluster
from tests.support.builders.manifests import SOON, pod_spec, shell
from tests.support.cluster import invariants
from tests.support.cluster.audit import Audit
from tests.support.cluster.client import NAMESPACES, Object, Resource, events_about
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.expected_end import succeeded_after
from tests.support.cluster.installation import ROOT, Installation, stopped
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.service_account import account, kubeconfig_of

IN_CLUSTER = pytest.mark.parametrize("installation", ["helm"], indirect=True, scope="session")
pytestmark = IN_CLUSTER

QUOTAS = Resource("/api/v1", "resourcequotas")
ROOM = 1
MANY = 4
FORBIDDEN = 403


def events_until(run: Run, scenario: Scenario, last: EventReason) -> list[Object]:
    """Wait for an Event; return all Events of the run, in their order."""

    def look() -> list[Object] | None:
        events = events_about(scenario.kube, run.namespace, run.uid)
        return events if last in [event["reason"] for event in events] else None

    return scenario.watch_recorder.wait(look, 30, f"{run.name} has the Event {last}")


def without_started(events: list[Object]) -> list[Object]:
    """Return all Events but Started.

    A short task has that one only if the machine is slow to report its end.
    """
    return [event for event in events if event["reason"] != EventReason.STARTED]


def counted(events: list[Object]) -> list[tuple[str, int]]:
    return [(event["reason"], event["count"]) for event in events]


def described(run: Run, cluster: Cluster) -> list[str]:
    """Return the Events at the end of `kubectl describe taskrun`, one line each."""
    text = cluster.kubectl("describe", "taskrun", run.name, "-n", run.namespace).stdout
    _, heading, table = text.partition("\nEvents:\n")
    assert heading, text
    return table.splitlines()[2:]


@pytest.mark.taskrun(shell("sleep 8"))
def test_a_successful_run_is_described_by_three_events_in_order(
    run: Run, scenario: Scenario, cluster: Cluster
) -> None:
    run.ended()
    events_until(run, scenario, EventReason.SUCCEEDED)
    created, started, succeeded = described(run, cluster)
    assert created.split()[:2] == ["Normal", "PodCreated"]
    assert created.endswith(f" Created Pod {run.pod_name()} for attempt 1")
    assert started.split()[:2] == ["Normal", "Started"]
    assert succeeded.split()[:2] == ["Normal", "Succeeded"]
    assert succeeded.endswith(f" {run.status['message']}")


@pytest.mark.taskrun(shell("echo topsecret; exit 7", backoffLimit=2, **SOON))
def test_retries_are_described_with_their_number_and_reason(
    run: Run, scenario: Scenario, cluster: Cluster
) -> None:
    run.ended()
    events = without_started(events_until(run, scenario, EventReason.FAILED))
    assert counted(events) == [("PodCreated", 3), ("Retrying", 2), ("Failed", 1)]
    assert [event["related"]["name"] for event in events] == [
        run.pod_name(attempt) for attempt in (3, 2, 3)
    ]
    lines = described(run, cluster)
    retrying = next(line for line in lines if " Retrying " in line)
    assert "(x2 over" in retrying
    assert "NonZeroExitCode: Container main exited with code 7 on node" in retrying
    assert "topsecret" in run.status["message"]
    assert not [line for line in lines if "topsecret" in line]


@pytest.mark.taskrun(shell("sleep 600", **pod_spec(terminationGracePeriodSeconds=1)))
def test_a_cancelled_run_has_events_for_the_stop_and_the_end(run: Run, scenario: Scenario) -> None:
    run.reaches(Phase.RUNNING)
    run.cancel()
    reasons = [reason for reason, _ in counted(events_until(run, scenario, EventReason.CANCELLED))]
    assert reasons == ["PodCreated", "Started", "Stopping", "Cancelled"]


@pytest.mark.taskrun(shell("exit 0", nodeSelector={"taskruns.dev/no-such-node": "true"}))
def test_the_event_of_an_unschedulable_pod_has_the_schedulers_message(
    run: Run, scenario: Scenario
) -> None:
    cannot_start = events_until(run, scenario, EventReason.CANNOT_START)[-1]
    assert cannot_start["type"] == "Warning"
    assert cannot_start["message"].startswith("Unschedulable: ")
    assert "0/" in cannot_start["message"]
    run.cancel()
    run.ended()


def test_repeated_quota_refusals_are_one_event_per_run(
    scenario: Scenario, cluster: Cluster
) -> None:
    limited_namespace = f"{scenario.namespace}-crowded"
    scenario.kube.create(NAMESPACES, None, {"metadata": {"name": limited_namespace}})
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": str(ROOM)}}}
    scenario.kube.create(QUOTAS, limited_namespace, quota)
    audit = Audit(cluster)
    runs = [
        scenario.create(f"crowded-{n}", shell("sleep 1"), limited_namespace) for n in range(MANY)
    ]
    for run in runs:
        run.ended()
    counts = [counted(events_until(run, scenario, EventReason.SUCCEEDED)) for run in runs]
    blocked = [dict(each).get("Blocked", 0) for each in counts]
    assert (min(blocked), max(blocked)) == (0, 1), "the first has room, and the last has to wait"
    sent = [
        str(request) for request in audit.settled(limited_namespace) if "events" in request.resource
    ]
    assert sent.count("create events") + sent.count("patch events") <= 3 * MANY + sum(blocked)
    refused = {
        request.resource
        for request in audit.requests(limited_namespace)
        if request.code == FORBIDDEN
    }
    assert refused == {"pods"}, "the chart's role allows Events"
    scenario.kube.delete(NAMESPACES, None, limited_namespace)


def test_runs_succeed_if_the_controller_may_not_write_events(
    scenario: Scenario, installation: Installation, cluster: Cluster, tmp_path: Path
) -> None:
    """Its role is that of a release without Events."""
    account(cluster, scenario.namespace, "quiet")
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(_quiet_role(scenario.namespace)))
    kubeconfig = kubeconfig_of(cluster, scenario.namespace, "quiet", tmp_path)
    quiet = ControllerProcess(cluster, "--namespaces", scenario.namespace, kubeconfig=kubeconfig)
    audit = Audit(cluster)
    with stopped(installation), quiet.at_work():
        retried = shell('[ "$TASKRUN_ATTEMPT" -ge 2 ]', backoffLimit=1, **SOON)
        run = scenario.create("untold", retried)
        succeeded_after(Outcome.FAILED).check(run)
        invariants.check(run)
        requests = audit.settled(scenario.namespace)
        log = quiet.log.read_text()
    assert {each.resource for each in requests if each.code == FORBIDDEN} == {"events"}
    assert events_about(scenario.kube, run.namespace, run.uid) == []
    lost = [line for line in log.splitlines() if ": events is forbidden" in line]
    assert len(lost) == 1, log


def _quiet_role(namespace: str) -> list[Object]:
    """Return the chart's controller role without the rule about Events, and its binding."""
    shipped = yaml.safe_load_all((ROOT / "manifests/install.yaml").read_text())
    (role,) = (
        each
        for each in shipped
        if each and (each["kind"], each["metadata"]["name"]) == ("ClusterRole", "taskruns")
    )
    rules = [rule for rule in role["rules"] if rule["resources"] != ["events"]]
    assert len(rules) == len(role["rules"]) - 1
    group = "rbac.authorization.k8s.io"
    metadata = {"name": "quiet", "namespace": namespace}
    whole = {"apiVersion": f"{group}/v1", "metadata": metadata}
    to = {"apiGroup": group, "kind": "Role", "name": "quiet"}
    subjects = [{"kind": "ServiceAccount", **metadata}]
    return [
        {**whole, "kind": "Role", "rules": rules},
        {**whole, "kind": "RoleBinding", "roleRef": to, "subjects": subjects},
    ]
