"""The bodies of the engine's writes. Each names the uid that it means.

A patch whose `metadata.uid` is not the object's is refused by the apiserver, so no write ever
reaches another object of the same name. Events alone have names that nothing else can have.
"""

from typing import Any

from taskruns.api import names
from taskruns.core.plan import STOP_SECONDS, PodRef
from taskruns.core.unstructured import stamp
from taskruns.engines.engine import Object, RunRef
from taskruns.engines.event_correlator import Series


def release_gate(pod: PodRef) -> dict[str, Any]:
    """Remove our scheduling gate and no other (strategic merge); none there: nothing happens."""
    gate = {"$patch": "delete", "name": names.GATE_CLAIM}
    return {"metadata": {"uid": pod.uid}, "spec": {"schedulingGates": [gate]}}


def stop_pod(pod: PodRef) -> dict[str, Any]:
    """Let the kubelet end the containers with their grace period and keep their logs."""
    return {"metadata": {"uid": pod.uid}, "spec": {"activeDeadlineSeconds": STOP_SECONDS}}


def release_pod(pod: PodRef) -> dict[str, Any]:
    """Remove our finalizer and no other (strategic merge); none there: nothing happens."""
    deletion = {"$deleteFromPrimitiveList/finalizers": [names.FINALIZER_OUTCOME]}
    return {"metadata": {"uid": pod.uid} | deletion}


def run_status(run: RunRef, patch: Object) -> dict[str, Any]:
    """Complete a merge patch of a status with the uid that it means."""
    return {**patch, "metadata": {**patch["metadata"], "uid": run.uid}}


def delete_pod(pod: PodRef, resource_version: str | None) -> dict[str, Any]:
    """Delete exactly this Pod, with its own grace period."""
    return _delete_options(pod.uid, resource_version)


def delete_run(run: RunRef, resource_version: str) -> dict[str, Any]:
    """Delete exactly this TaskRun; what it owns is collected afterwards."""
    return _delete_options(run.uid, resource_version) | {"propagationPolicy": "Background"}


def event(series: Series) -> dict[str, Any]:
    """Tell of a run for the first time.

    In the older of the two Event APIs: what the newer one writes has no lastTimestamp, and
    `kubectl describe` puts it before everything else.
    """
    run, told = series.run, series.event
    about = {"apiVersion": names.API_VERSION, "kind": names.KIND, **_reference(run)}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": series.name, "namespace": run.namespace},
        "involvedObject": about,
        "type": told.reason.type,
        "reason": told.reason,
        "source": {"component": names.MANAGER},
        "reportingComponent": names.MANAGER,
        "firstTimestamp": stamp(series.first),
        **event_again(series),
    }


def event_again(series: Series) -> dict[str, Any]:
    """Tell it again: the last time, the last words, and how often (merge)."""
    told = series.event
    related = {} if told.pod is None else {"apiVersion": "v1", "kind": "Pod"} | _reference(told.pod)
    return {
        "message": told.message,
        "lastTimestamp": stamp(told.at),
        "count": series.count,
        **({"related": related} if related else {}),
    }


def _reference(ref: RunRef | PodRef) -> dict[str, str]:
    return {"namespace": ref.namespace, "name": ref.name, "uid": ref.uid}


def _delete_options(uid: str, resource_version: str | None) -> dict[str, Any]:
    preconditions = {"uid": uid}
    if resource_version is not None:
        preconditions["resourceVersion"] = resource_version
    return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
