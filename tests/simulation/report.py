"""The status of a Pod as its kubelet reports it, derived from the containers on the node."""

from datetime import datetime
from typing import Any

from taskruns.core.unstructured import Object, stamp, with_condition
from tests.simulation.sandbox import Container, Disruption, Role, Sandbox
from tests.simulation.script import SIGKILL_CODE


def reported(pod: Object, box: Sandbox, now: datetime) -> dict[str, Any]:
    """Return the Pod's new status; parts that other components wrote are kept."""
    status = {key: value for key, value in (pod.get("status") or {}).items() if key != "phase"}
    status["phase"] = _phase(box)
    status["startTime"] = stamp(box.started_at)
    status["containerStatuses"] = [_container(c, box) for c in box.of(Role.ORDINARY)]
    if inits := box.of(Role.INIT, Role.SIDECAR):
        status["initContainerStatuses"] = [_container(c, box) for c in inits]
    conditions = {
        "PodReadyToStartContainers": not box.over,
        "Initialized": box.initialized,
        "Ready": bool(box.running) and not box.ending,
        "ContainersReady": bool(box.running) and not box.ending,
    }
    for name, holds in conditions.items():
        status = with_condition(status, now, {"type": name, "status": str(holds)})
    return _with_disruption(status, box.disruption, now) if box.over else status


def _with_disruption(
    status: dict[str, Any], disruption: Disruption | None, now: datetime
) -> dict[str, Any]:
    if disruption is None:
        return status
    status |= {"reason": disruption.reason, "message": disruption.message}
    if not disruption.target:
        return status
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": disruption.target,
        "message": disruption.message,
    }
    return with_condition(status, now, condition)


def _phase(box: Sandbox) -> str:
    ordinary = box.of(Role.ORDINARY)
    if box.over:
        well = box.disruption is None and all(c.end and not c.failed for c in ordinary)
        return "Succeeded" if well else "Failed"
    if all(c.started_at or c.end for c in ordinary):
        return "Running"
    return "Pending"


def _container(container: Container, box: Sandbox) -> dict[str, Any]:
    return {
        "name": container.name,
        "image": container.spec["image"],
        "imageID": "",
        "restartCount": 0,
        "ready": container.running,
        "started": container.running,
        "lastState": {},
        "state": _state(container, box),
    }


def _state(container: Container, box: Sandbox) -> dict[str, Any]:
    if (end := container.end) is not None:
        terminated: dict[str, Any] = {
            "exitCode": end.exit_code,
            "reason": end.reason,
            "startedAt": end.started_at and stamp(end.started_at),
            "finishedAt": stamp(end.finished_at),
            "containerID": f"memory://{box.uid}/{container.name}",
        }
        return {"terminated": terminated | ({"message": end.message} if end.message else {})}
    if container.started_at is not None:
        return {"running": {"startedAt": stamp(container.started_at)}}
    if box.over and box.initialized:
        return {
            "terminated": {
                "exitCode": SIGKILL_CODE,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was terminated",
                "startedAt": None,
                "finishedAt": None,
            }
        }
    unready = "ContainerCreating" if box.initialized else "PodInitializing"
    return {"waiting": {"reason": container.waiting or unready}}
