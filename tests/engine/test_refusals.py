"""Obstacles to an attempt's Pod: invalid templates, Pods of other owners, unclaimed Pods."""

import pytest

from taskruns.api import names
from tests.engine.runtime import Runtime, Task, summarize
from tests.engine.work import HELLO, exits, lasts


def owner(task: Task) -> dict[str, object]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": task.name,
        "uid": task.uid,
        "controller": True,
    }


def test_a_typo_in_the_template_fails_the_run_with_the_servers_message(runtime: Runtime) -> None:
    container = {"name": "main", "imgaePullPolicy": "Never"}
    task = runtime.start(HELLO, template={"spec": {"containers": [container]}})
    status = task.ended()
    assert summarize(status) == ("Failed", "InvalidPodTemplate", None, [])
    assert "imgaePullPolicy" in status["message"]
    assert status["failureKind"] == "Configuration"


@pytest.mark.of_a_cluster
def test_an_invalid_pod_fails_the_run_with_the_servers_message(runtime: Runtime) -> None:
    template = {"spec": {"containers": [{"name": "main"}, {"name": "log"}]}}
    task = runtime.start(HELLO, template=template)
    status = task.ended()
    assert summarize(status) == ("Failed", "InvalidPodTemplate", None, [])
    assert "image" in status["message"]


@pytest.mark.guarantee(
    "A run whose main container cannot be determined fails, and the message says what to write"
)
def test_a_template_without_a_main_container_fails_the_run(runtime: Runtime) -> None:
    containers = [runtime.container("one", HELLO), runtime.container("two", HELLO)]
    task = runtime.start(HELLO, template={"spec": {"containers": containers}})
    status = task.ended()
    assert summarize(status) == ("Failed", "InvalidPodTemplate", None, [])
    assert "main" in status["message"]


@pytest.mark.guarantee(
    "Main is not restarted in place; if a webhook adds a restart policy, its deadlines count from "
    "its first start"
)
@pytest.mark.parametrize(
    "fields",
    [
        {"restartPolicy": "OnFailure"},
        {
            "restartPolicy": "Never",
            "restartPolicyRules": [
                {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}
            ],
        },
    ],
)
def test_a_main_container_that_is_restarted_in_place_fails_the_run(
    runtime: Runtime, fields: dict[str, object]
) -> None:
    task = runtime.start(exits(1), template={"spec": {"containers": [{"name": "main", **fields}]}})
    status = task.ended()
    assert summarize(status) == ("Failed", "InvalidPodTemplate", None, [])
    assert "template.spec.containers[main].restartPolicy" in status["message"]
    assert "use backoffLimit for retries" in status["message"]


@pytest.mark.of_a_cluster
def test_another_owners_pod_of_the_same_name_is_not_touched(runtime: Runtime) -> None:
    runtime.pause()
    task = runtime.start(HELLO)
    name = names.pod_name(task.name, task.uid, 1)
    runtime.create_pod(runtime.hand_made_pod(name))
    runtime.resume()
    status = task.ended()
    assert summarize(status) == ("Failed", "PodNameConflict", None, [])
    assert name in status["message"]
    assert [pod["metadata"]["name"] for pod in runtime.pods()] == [name]


@pytest.mark.of_a_cluster
def test_an_unclaimed_handmade_pod_never_runs(runtime: Runtime) -> None:
    """The Pod has our gate, labels and owner, but not the name of the attempt's Pod."""
    runtime.pause()
    task = runtime.start(lasts(0.5))
    labels = {names.LABEL_UID: task.uid, names.LABEL_NAME: task.name, names.LABEL_ATTEMPT: "1"}
    pod = dict(runtime.hand_made_pod("by-hand", labels=labels, ownerReferences=[owner(task)]))
    pod["spec"] = {**pod["spec"], "schedulingGates": [{"name": names.GATE_CLAIM}]}
    runtime.create_pod(pod)
    runtime.resume()
    status = task.ended()
    assert summarize(status) == ("Succeeded", "Completed", 0, ["Succeeded"])
    assert status["podName"] == names.pod_name(task.name, task.uid, 1)
    task.pods_gone()


def test_a_gated_pod_left_by_a_crash_is_claimed(runtime: Runtime) -> None:
    task = runtime.start(HELLO)
    task.has_pod()
    runtime.pause()
    runtime.resume()
    status = task.ended()
    assert summarize(status) == ("Succeeded", "Completed", 0, ["Succeeded"])
    task.pods_gone()
