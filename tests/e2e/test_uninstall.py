"""An uninstall with runs at every stage: no object is stuck, and no outcome is lost.

One uninstall is by Helm, whose hook stops the running controller. The other is by the cleanup
command, after controllers have died. A new installation then brings every run to its end.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from taskruns.api import names
from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import pod_spec, shell
from tests.support.cluster import invariants
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Kube, Object, Resource
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.installation import DELETE_DELAY, Installation, stopped, uninstall
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import END, START

QUOTAS = Resource("/api/v1", "resourcequotas")
SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
FOREIGN_GATE = {"schedulingGates": [{"name": "example.test/wait"}]}
GRACE = {"terminationGracePeriodSeconds": 20}


@pytest.fixture
def new_namespace(scenario: Scenario) -> Callable[[str], str]:
    """Return a function that makes further namespaces, which are deleted after the test."""

    def make(name: str) -> str:
        made = scenario.kube.create(
            NAMESPACES, None, {"metadata": {"name": f"{scenario.namespace}-{name}"}}
        )
        return str(made["metadata"]["name"])

    return make


def _at_every_stage(scenario: Scenario, full: str, doomed: str) -> dict[str, Run]:
    """Bring one run to each stage; the namespace `full` has room for one Pod."""
    mount = scenario.start_counter.mount()
    work = shell(f"{START}; sleep 20; {END}") | mount
    _allow_one_pod(scenario.kube, full)
    runs = {
        "running": scenario.create("running", work),
        "filling": scenario.create("filling", work, full),
        "waiting": scenario.create(
            "waiting", shell(f"{START}; {END}", **pod_spec(**FOREIGN_GATE)) | mount
        ),
        "backing-off": scenario.create(
            "backing-off",
            shell(f'{START}; [ "$TASKRUN_ATTEMPT" -ge 2 ]', backoffLimit=1, backoff=_after("25s"))
            | mount,
        ),
        "stopping": scenario.create(
            "stopping", shell(_slow_to_stop(12), **pod_spec(**GRACE)) | mount
        ),
        "finished": scenario.create(
            "finished", shell(START, podGC={"deleteDelayDuration": "1h"}) | mount
        ),
        "lost": scenario.create("lost", shell("sleep 600", **pod_spec(**GRACE)), doomed),
    }
    runs["filling"].pod_seen()
    runs["queued"] = scenario.create("queued", shell(f"{START}; {END}") | mount, full)
    runs["stopping"].main_started()
    runs["stopping"].cancel()
    runs["lost"].main_started()
    for name, phase in {
        "running": Phase.RUNNING,
        "filling": Phase.RUNNING,
        "waiting": Phase.QUEUED,
        "backing-off": Phase.BACKING_OFF,
        "stopping": Phase.STOPPING,
        "finished": Phase.SUCCEEDED,
        "queued": Phase.QUEUED,
    }.items():
        runs[name].reaches(phase)
    return runs


@pytest.mark.parametrize("installation", ["helm"], indirect=True, scope="session")
def test_helm_uninstall_leaves_nothing_stuck_and_the_next_installation_resumes(
    scenario: Scenario,
    installation: Installation,
    cluster: Cluster,
    new_namespace: Callable[[str], str],
) -> None:
    full, doomed = new_namespace("full"), new_namespace("doomed")
    runs = _at_every_stage(scenario, full, doomed)

    uninstall(cluster)

    assert _stuck(scenario.kube, scenario.namespace, full, doomed) == []
    names_left = {run["metadata"]["name"] for run in scenario.kube.list(RUNS, scenario.namespace)}
    assert names_left == {"running", "waiting", "backing-off", "stopping", "finished"}
    scenario.kube.delete(NAMESPACES, None, doomed)
    runs.pop("lost").gone()
    _namespace_gone(scenario, doomed)

    installation.up()

    scenario.kube.merge(PODS, scenario.namespace, runs["waiting"].pod_name(), _without_gates())
    for name in ("running", "filling", "waiting", "finished", "queued"):
        SUCCEEDED.check(runs[name])
    assert runs["stopping"].ended()["phase"] == Phase.CANCELLED
    again = runs["backing-off"].ended()
    assert (again["phase"], again["attempt"]) == (Phase.SUCCEEDED, 2)
    for run in runs.values():
        invariants.check(run)
    starts = scenario.start_counter.all_starts()
    expected = {run.uid: 1 for run in runs.values()} | {runs["backing-off"].uid: 2}
    assert {run.uid: starts[run.uid] for run in runs.values()} == expected


@pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")
def test_cleanup_records_ends_and_releases_the_pods_of_dead_controllers(
    scenario: Scenario,
    installation: Installation,
    cluster: Cluster,
    new_namespace: Callable[[str], str],
) -> None:
    claimed_in, unclaimed_in = new_namespace("claimed"), new_namespace("unclaimed")
    everywhere = [scenario.namespace, claimed_in, unclaimed_in]
    with stopped(installation):
        runs = _runs_without_controller(scenario, cluster, claimed_in, unclaimed_in)
        report = _cleanup(cluster, *everywhere, "--dry-run")
        assert f"{claimed_in}/{runs[claimed_in].pod_name()}: deleted, because it never" in report
        assert len(_stuck(scenario.kube, *everywhere)) == len(runs)
        assert "no Pod waits for the controller" in _cleanup(cluster, *everywhere)

        assert _stuck(scenario.kube, *everywhere) == []
        ended, deleted = runs["ended"].status, runs["deleted"].status
        assert (ended["phase"], ended["exitCode"]) == (Phase.FAILED, 3)
        assert (deleted["reason"], deleted["exitCode"]) == (Reason.POD_DELETED, 9)
        assert runs[claimed_in].status["phase"] == Phase.BACKING_OFF
        assert runs[claimed_in].status["attempts"][0]["outcome"] == Outcome.REPLACED
        assert not runs[unclaimed_in].status.get("attempt")
        for run in (runs[claimed_in], runs[unclaimed_in]):
            run.pods_gone()
        (line,) = _cleanup(cluster, *everywhere).splitlines()
        assert "no Pod waits for the controller" in line

    for name in ("running", "unlabelled", unclaimed_in):
        SUCCEEDED.check(runs[name])
    replaced = (Outcome.REPLACED, Outcome.SUCCEEDED)
    Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=replaced).check(runs[claimed_in])
    for run in runs.values():
        invariants.check(run)
    starts = scenario.start_counter.all_starts()
    assert {starts[run.uid] for run in runs.values()} == {1}


def _runs_without_controller(
    scenario: Scenario, cluster: Cluster, claimed_in: str, unclaimed_in: str
) -> dict[str, Run]:
    """Leave runs at stages that a controller passes in a moment, with no controller running."""
    mount = scenario.start_counter.mount()
    work = shell(f"{START}; sleep 12; {END}") | mount
    stopped_late = shell(_slow_to_stop(5), **pod_spec(**GRACE)) | mount
    with _controller(cluster, scenario.namespace).at_work():
        runs = {
            "running": scenario.create("running", work),
            "unlabelled": scenario.create("unlabelled", work),
            "ended": scenario.create("ended", shell(f"{START}; sleep 4; exit 3") | mount),
            "deleted": scenario.create("deleted", stopped_late),
        }
        for run in runs.values():
            run.main_started()
    for step, where in {"before:gate": claimed_in, "after:create": unclaimed_in}.items():
        runs[where] = scenario.create("gated", shell(f"{START}; {END}") | mount, where)
        dying = _controller(cluster, where, crash=step)
        dying.start(until_ready=False)
        dying.died(30)
    labels = {"metadata": {"labels": {names.LABEL_UID: None}}}
    scenario.kube.merge(PODS, scenario.namespace, runs["unlabelled"].pod_name(), labels)
    _ended(scenario, runs["ended"])
    scenario.kube.delete(PODS, scenario.namespace, runs["deleted"].pod_name())
    return runs


def _stuck(kube: Kube, *namespaces: str) -> list[str]:
    """Return the names of the Pods that wait for a controller."""
    pods = [pod for namespace in namespaces for pod in kube.list(PODS, namespace)]
    return [pod["metadata"]["name"] for pod in pods if _waits(pod)]


def _waits(pod: Object) -> bool:
    gates = {gate["name"] for gate in pod["spec"].get("schedulingGates") or ()}
    held = names.FINALIZER_OUTCOME in (pod["metadata"].get("finalizers") or ())
    return held or names.GATE_CLAIM in gates


def _cleanup(cluster: Cluster, *arguments: str, code: int = 0) -> str:
    namespaces = [each for each in arguments if not each.startswith("--")]
    flags = [each for each in arguments if each.startswith("--")]
    command = [sys.executable, "-m", "taskruns.operator", "cleanup"]
    options = ["--kubeconfig", str(cluster.kubeconfig), "--namespaces", ",".join(namespaces)]
    done = subprocess.run(
        [*command, *options, *flags], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stderr


def _controller(cluster: Cluster, *namespaces: str, crash: str = "") -> ControllerProcess:
    flags = ("--default-delete-delay", DELETE_DELAY, "--namespaces", ",".join(namespaces))
    if not crash:
        return ControllerProcess(cluster, *flags)
    module = "tests.support.faults.crashing"
    return ControllerProcess(cluster, "--crash", crash, "--", *flags, module=module)


def _slow_to_stop(seconds: int) -> str:
    """Return work that takes `seconds` to end after SIGTERM, and exits with 9."""
    return f"{START}; trap 'sleep {seconds}; exit 9' TERM; while :; do sleep 600 & wait; done"


def _after(duration: str) -> dict[str, Any]:
    return {"duration": duration, "factor": 1}


def _without_gates() -> Object:
    return {"spec": {"schedulingGates": None}}


def _allow_one_pod(kube: Kube, namespace: str) -> None:
    kube.create(QUOTAS, namespace, {"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}})
    while not (kube.get(QUOTAS, namespace, "one") or {}).get("status", {}).get("hard"):
        time.sleep(0.05)


def _ended(scenario: Scenario, run: Run) -> None:
    def look() -> bool | None:
        return True if run.pod()["status"].get("phase") == "Failed" else None

    scenario.watch_recorder.wait(look, 30, f"the Pod of {run.name} has ended")


def _namespace_gone(scenario: Scenario, name: str) -> None:
    def look() -> bool | None:
        return True if scenario.kube.get(NAMESPACES, None, name) is None else None

    scenario.watch_recorder.wait(look, 60, f"namespace {name} is gone")
