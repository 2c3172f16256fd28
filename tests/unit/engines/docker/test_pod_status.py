from typing import Any

import pytest

from taskruns.core.facts import read_pod
from taskruns.engines.docker.pod_status import StartError, pod_status

POD = {
    "metadata": {"name": "hello-1", "namespace": "default", "uid": "pod-1"},
    "spec": {"nodeName": "docker", "containers": [{"name": "main", "image": "busybox:1"}]},
    "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]},
}
STARTED = "2026-01-01T10:00:00.123456789Z"
FINISHED = "2026-01-01T10:00:02.5Z"


def inspected(status: str, **state: Any) -> dict[str, Any]:
    never = "0001-01-01T00:00:00Z"
    return {"State": {"Status": status, "StartedAt": never, "FinishedAt": never, **state}}


def facts(container: Any, **more: Any) -> Any:
    return read_pod({**POD, "status": pod_status(POD, container, **more)})


@pytest.mark.parametrize("status", ["running", "paused"])
def test_a_running_container_is_a_running_pod(status: str) -> None:
    pod = facts(inspected(status, StartedAt=STARTED))
    assert pod.phase == "Running"
    assert pod.main.running
    assert pod.main.started_at.second == 0


@pytest.mark.parametrize(
    ("code", "oom", "phase", "reason"),
    [
        (0, False, "Succeeded", "Completed"),
        (3, False, "Failed", "Error"),
        (137, False, "Failed", "Error"),
        (137, True, "Failed", "OOMKilled"),
    ],
)
def test_an_ended_container_has_its_exit_code_and_reason(
    code: int,
    oom: bool,  # noqa: FBT001
    phase: str,
    reason: str,
) -> None:
    container = inspected(
        "exited", ExitCode=code, OOMKilled=oom, StartedAt=STARTED, FinishedAt=FINISHED
    )
    pod = facts(container, message="last words")
    assert pod.phase == phase
    assert (pod.main.ending.exit_code, pod.main.ending.reason) == (code, reason)
    assert pod.main.ending.message == "last words"
    assert pod.main.ending.finished_at.second == 2


def test_a_container_that_could_not_be_started_never_ran() -> None:
    pod = facts(inspected("created", ExitCode=127, Error="no such file"))
    assert pod.ended
    assert pod.main.started_at is None
    assert pod.main.exited is None
    assert pod.main.ending.message == "no such file"


def test_the_cause_of_a_missing_container_is_reported() -> None:
    pod = facts(None, create_error=StartError("ErrImagePull", "no such image"))
    assert not pod.ended
    assert (pod.main.waiting_reason, pod.main.waiting_message) == ("ErrImagePull", "no such image")


def test_conditions_are_kept() -> None:
    assert facts(inspected("created")).conditions == {"PodScheduled": "True"}
