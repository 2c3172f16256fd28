"""The installation itself: commands of users, Pod Security, and restarts.

Every test runs with the installations that it names. `manifest` is `kubectl apply -f
manifests/install.yaml`, for which one successful task is enough.
"""

import json

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import SOON, shell
from tests.support.cluster import invariants
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Kube, Object
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
IN_CLUSTER = only("installation", ["helm", "manifest"], indirect=True, scope="session")


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
    (pod,) = kube.list(PODS, NAMESPACE, "app.kubernetes.io/name=taskruns")
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
        (pod,) = kube.list(PODS, NAMESPACE, "app.kubernetes.io/name=taskruns")
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
