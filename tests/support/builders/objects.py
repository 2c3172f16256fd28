"""Raw objects as the apiserver returns them, with defaults that a test can override.

Times are in seconds since T0, the creation time of every run here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from taskruns.api import names
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.pods import build_pod

Object = dict[str, Any]

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
RUN_UID = "9f3c1a77-0000-4000-8000-00000000abcd"
POD_UID = "51d3b2c0-0000-4000-8000-0000000000{:02d}"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def stamp(seconds: float) -> str:
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_run(
    *,
    status: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Object:
    """Return a TaskRun; keyword arguments are fields of its spec, by their JSON names."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": "hello",
            "namespace": "default",
            "uid": RUN_UID,
            "resourceVersion": "1000",
            "generation": 1,
            "creationTimestamp": stamp(0),
            **(metadata or {}),
        },
        "spec": {"image": "busybox:1", **spec},
        "status": {
            "observedGeneration": 1 if status and "phase" in status else -1,
            **(status or {}),
        },
    }


def a_record(number: int = 1, **overrides: Any) -> Object:
    """Return an attempt's record of the run's status."""
    return {
        "number": number,
        "podName": names.pod_name("hello", RUN_UID, number),
        "podUID": pod_uid(number),
        "createdTime": stamp(0),
        **overrides,
    }


def a_claimed_status(phase: str = "Pending", number: int = 1, **overrides: Any) -> Object:
    """Return the status of a run whose attempt is claimed and has not ended."""
    return {
        "observedGeneration": 1,
        "phase": phase,
        "reason": "WaitingToStart",
        "attempt": number,
        "podName": names.pod_name("hello", RUN_UID, number),
        "podUID": pod_uid(number),
        "startTime": stamp(0),
        "attempts": [a_record(number)],
        **overrides,
    }


def an_ended_status(phase: str = "Succeeded", number: int = 1, **overrides: Any) -> Object:
    """Return the status of a run that ended ten seconds after T0."""
    outcome = "Succeeded" if phase == "Succeeded" else "Failed"
    record = a_record(number, finishedTime=stamp(10), outcome=outcome)
    end = {"completionTime": stamp(10), "attempts": [record], "reason": "Completed"}
    return a_claimed_status(phase, number, **{**end, **overrides})


def pod_uid(number: int) -> str:
    return POD_UID.format(number)


def a_pod(
    run: Mapping[str, Any] | None = None,
    number: int = 1,
    *,
    gated: bool = False,
    node: str = "node-1",
    main: Object | None = None,
    metadata: Mapping[str, Any] | None = None,
    **status: Any,
) -> Object:
    """Return the Pod of an attempt as the kubelet reports it.

    `main` is the state of the main container (`running`, `ended`, `waiting`); further keyword
    arguments are fields of the Pod's status.
    """
    pod = build_pod(TaskRun.model_validate(run or a_run()), number)
    pod["metadata"] |= {
        "uid": pod_uid(number),
        "resourceVersion": "2000",
        "creationTimestamp": stamp(0),
        **(metadata or {}),
    }
    if not gated:
        del pod["spec"]["schedulingGates"]
    if node and not gated:
        pod["spec"]["nodeName"] = node
    pod["status"] = {"phase": _phase(main), **_scheduled(holds="nodeName" in pod["spec"])}
    pod["status"] |= {
        "containerStatuses": [container_status("main", main)] if main else [],
        **status,
    }
    return pod


def container_status(name: str, state: Object) -> Object:
    """Return the container status that the kubelet reports for one container."""
    return {"name": name, "image": "busybox:1", "restartCount": 0, "lastState": {}, "state": state}


def _scheduled(*, holds: bool) -> Object:
    condition = {"type": "PodScheduled", "status": str(holds), "lastTransitionTime": stamp(1)}
    return {"conditions": [condition], **({"startTime": stamp(1)} if holds else {})}


def _phase(main: Object | None) -> str:
    if main is None or "waiting" in main:
        return "Pending"
    if "running" in main:
        return "Running"
    return "Succeeded" if main["terminated"]["exitCode"] == 0 else "Failed"


def running(since: float = 2) -> Object:
    return {"running": {"startedAt": stamp(since)}}


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message}}


def ended(
    exit_code: int,
    *,
    message: str = "",
    reason: str = "",
    started: float | None = 2,
    finished: float = 4,
) -> Object:
    """Return the state of an ended container; `started` is None if it never ran."""
    return {
        "terminated": {
            "exitCode": exit_code,
            "reason": reason or ("Error" if exit_code else "Completed"),
            "startedAt": None if started is None else stamp(started),
            "finishedAt": stamp(finished),
            **({"message": message} if message else {}),
        }
    }


def disrupted(reason: str) -> Object:
    """Return the condition with which the cluster marks a Pod that it ended."""
    return {"type": "DisruptionTarget", "status": "True", "reason": reason}
