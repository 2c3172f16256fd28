"""The installation itself: commands of users, Pod Security, and restarts.

Every test runs with the installations that it names. `manifest` is `kubectl apply -f
manifests/install.yaml`, for which one successful task is enough.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import SOON, shell
from tests.support.cluster import invariants
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Kube, Object, Resource
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.installation import (
    EACH_INSTALLATION,
    NAMESPACE,
    RESTRICTED,
    ROOT,
    Installation,
    helm,
)
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import END, START

SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))

only = pytest.mark.parametrize
COMPONENT = "app.kubernetes.io/component"
IN_CLUSTER = only("installation", ["helm", "manifest"], indirect=True, scope="session")


def controllers(kube: Kube) -> list[Object]:
    """Return the Pods of controllers, without those that a rollout is removing."""
    pods = kube.list(PODS, NAMESPACE, f"{COMPONENT}=controller")
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


@pytest.mark.parametrize("code", [0, 1])
def test_kubectl_wait_returns_on_either_end(
    scenario: Scenario, cluster: Cluster, code: int
) -> None:
    run = scenario.create(f"exit-{code}", shell(f"exit {code}"))
    output = cluster.kubectl(
        "wait",
        "--for=condition=Finished",
        f"taskrun/{run.name}",
        "-n",
        run.namespace,
        "--timeout=60s",
        within=70,
    ).stdout
    assert output == f"taskrun.taskruns.dev/{run.name} condition met\n"
    assert run.ended()["exitCode"] == code


@pytest.mark.taskrun(shell("echo hello"))
def test_kubectl_get_shows_phase_reason_and_exit_code(run: Run, cluster: Cluster) -> None:
    run.ended()
    shown = cluster.kubectl("get", "trun", run.name, "-n", run.namespace).stdout
    header, line = (row.split() for row in shown.splitlines())
    assert header[:4] == ["NAME", "PHASE", "REASON", "EXIT"]
    assert line[:4] == [run.name, "Succeeded", "Completed", "0"]


@IN_CLUSTER
@pytest.mark.taskrun(shell("echo hello", podGC={"deleteDelayDuration": "1s"}))
def test_a_controller_in_a_pod_completes_a_run(run: Run) -> None:
    SUCCEEDED.check(run)
    run.pods_gone()


@IN_CLUSTER
def test_the_service_serves_the_metrics(installation: Installation, cluster: Cluster) -> None:
    service = f"/api/v1/namespaces/{NAMESPACE}/services/taskruns-metrics:metrics"
    page = cluster.kubectl("get", "--raw", f"{service}/proxy/metrics").stdout
    assert "taskruns_ready 1.0" in page.splitlines(), installation.name


@only("installation", ["manifest"], indirect=True, scope="session")
def test_two_controllers_are_replaced_without_a_gap(
    installation: Installation, scenario: Scenario, cluster: Cluster, kube: Kube
) -> None:
    before = {pod["metadata"]["name"] for pod in controllers(kube)}
    assert len(before) == 2, installation.name
    (budget,) = kube.list(BUDGETS, NAMESPACE)
    status = budget["status"]
    assert (status["currentHealthy"], status["disruptionsAllowed"]) == (2, 1)
    assert _leader(kube) in before
    began = datetime.now(UTC)
    deployment = ("-n", NAMESPACE, "deployment/taskruns")
    cluster.kubectl("rollout", "restart", *deployment)
    meanwhile = scenario.create("meanwhile", shell("sleep 5"))
    cluster.kubectl("rollout", "status", *deployment, "--timeout=120s", within=130)
    after = {pod["metadata"]["name"] for pod in controllers(kube)}
    assert len(after) == 2
    assert not after & before
    assert min(_ready_counts(scenario, began)) >= 2
    SUCCEEDED.check(meanwhile)
    SUCCEEDED.check(scenario.create("afterwards", shell("true")))
    scenario.watch_recorder.wait(
        lambda: _leader(kube) in after or None, 30, "one of the new controllers leads"
    )


BUDGETS = Resource("/apis/policy/v1", "poddisruptionbudgets")
LEASES = Resource("/apis/coordination.k8s.io/v1", "leases")


def _leader(kube: Kube) -> str:
    """Return the name of the Pod that holds the Lease."""
    lease = kube.get(LEASES, NAMESPACE, "taskruns")
    assert lease is not None
    return str(lease["spec"].get("holderIdentity", "")).partition("_")[0]


def _ready_counts(scenario: Scenario, began: datetime) -> Iterator[int]:
    """Yield the number of ready controllers after each change of one of their Pods."""
    recorder = scenario.watch_recorder
    pods = [
        pod
        for pod in recorder.ever(PODS)
        if (pod["metadata"].get("labels") or {}).get(COMPONENT) == "controller"
    ]
    versions = [each for pod in pods for each in recorder.history(pod["metadata"]["uid"])]
    ready: set[str] = set()
    for version in sorted(versions, key=lambda each: each.at):
        uid, status = version.found["metadata"]["uid"], version.found["status"]
        conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
        is_ready = conditions.get("Ready") == "True" and not version.gone
        (ready.add if is_ready else ready.discard)(uid)
        if version.at >= began:
            yield len(ready)


SAMPLES = {
    "deadline": Reason.DEADLINE_EXCEEDED,
    "failing": Reason.NON_ZERO_EXIT_CODE,
    "hello": Reason.COMPLETED,
    "progress": Reason.COMPLETED,
    "result": Reason.COMPLETED,
    "retries": Reason.COMPLETED,
    "template": Reason.COMPLETED,
}


@only("installation", ["helm"], indirect=True, scope="session")
def test_every_sample_ends_with_its_documented_reason(scenario: Scenario, cluster: Cluster) -> None:
    folder = ROOT / "manifests/samples"
    assert {path.stem for path in folder.iterdir()} == set(SAMPLES)
    cluster.kubectl("apply", "-n", scenario.namespace, "-f", str(folder))
    runs = {obj["metadata"]["name"]: obj for obj in scenario.kube.list(RUNS, scenario.namespace)}
    for name, reason in SAMPLES.items():
        run = Run(runs[name], scenario.kube, scenario.watch_recorder)
        assert run.ended()["reason"] == reason, name
        invariants.check(run)


@only("installation", ["helm"], indirect=True, scope="session")
def test_the_controller_is_admitted_where_restricted_pod_security_is_enforced(
    installation: Installation, kube: Kube
) -> None:
    namespace = kube.get(NAMESPACES, None, NAMESPACE)
    assert namespace is not None
    assert RESTRICTED.items() <= namespace["metadata"]["labels"].items()
    (pod,) = controllers(kube)
    ready = {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Ready"]
    assert ready == "True", f"{installation.name}: {pod['status']}"


PRIORITY = 1_000_000
"""Value of the chart's own priority class."""
PLACE: Object = {
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]}
                ]
            }
        }
    },
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "podLabels": {"team": "data"},
    "priorityClass": {"create": True},
    "networkPolicy": {"enabled": True},
}


@pytest.mark.usefixtures("installation")
def test_a_controller_with_scheduling_values_completes_a_run(
    scenario: Scenario, cluster: Cluster, kube: Kube
) -> None:
    """The network, not this test, decides whether traffic that the policy allows passes."""
    release = ("taskruns", "-n", NAMESPACE, "--wait", "--timeout", "3m")
    values = [f"--set-json={key}={json.dumps(value)}" for key, value in PLACE.items()]
    chart = str(ROOT / "charts/taskruns")
    helm(cluster, "upgrade", *release, chart, "--reset-then-reuse-values", *values)
    try:
        (pod,) = controllers(kube)
        assert pod["spec"]["priority"] == PRIORITY
        assert pod["spec"]["affinity"] == PLACE["affinity"]
        assert pod["spec"]["nodeSelector"] == PLACE["nodeSelector"]
        assert PLACE["tolerations"][0] in pod["spec"]["tolerations"]
        assert pod["metadata"]["labels"]["team"] == "data"
        assert cluster.kubectl("get", "networkpolicy", "-n", NAMESPACE, "-o", "name").stdout
        SUCCEEDED.check(scenario.create("placed", shell("exit 0")))
    finally:
        helm(cluster, "rollback", *release)


@pytest.mark.guarantee("Nothing is lost or repeated when the controller dies at any step of a run")
@EACH_INSTALLATION
def test_a_killed_controller_resumes_its_runs(
    scenario: Scenario, installation: Installation
) -> None:
    at_work = f"{START}; sleep 6; {END}"
    retried = f'{START}; [ "$TASKRUN_ATTEMPT" -ge 3 ]'
    mount = scenario.start_counter.mount()
    long = scenario.create("at-work", shell(at_work) | mount)
    again = scenario.create("again", shell(retried, backoffLimit=2, **SOON) | mount)
    long.main_started()
    installation.kill()
    SUCCEEDED.check(long)
    assert again.ended()["phase"] == Phase.SUCCEEDED
    for run in (long, again):
        run.pods_gone()
    assert (scenario.start_counter.starts(long.uid), scenario.start_counter.ends(long.uid)) == (
        1,
        1,
    )
    assert scenario.start_counter.starts(again.uid) == 3
