"""Implementation of the Engine protocol on the state file of one run, in place of an apiserver.

`Kubelet` creates, starts and stops the containers. It reads the record as a kubelet reads its Pods.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime

from taskruns.api import names
from taskruns.clock import Clock
from taskruns.core.plan import STOP_SECONDS, Event, PodRef, Refusal, RefusalKind
from taskruns.core.unstructured import (
    Draft,
    Object,
    drafted,
    mappings,
    merged,
    stamp,
    with_condition,
)
from taskruns.engines.docker.container import NO_SECRETS, Secrets, container_of
from taskruns.engines.docker.fields import Unsupported
from taskruns.engines.docker.image_pull import pull_policy
from taskruns.engines.docker.pod_status import translate_status
from taskruns.engines.docker.state_file import Record, StateFile, uid_of
from taskruns.engines.engine import AlreadyExists, Conflict, Refused, RunRef


class DockerEngine:
    """Applies the actions of plans to the record of one run."""

    def __init__(self, file: StateFile, now: Clock, secrets: Secrets = NO_SECRETS) -> None:
        self._file = file
        self._now = now
        self._secrets = secrets

    async def read_run(self, namespace: str, name: str) -> Object | None:
        """Return the TaskRun, or None."""
        is_this_run = (namespace, name) == (self._file.namespace, self._file.name)
        return (await self._file.read()).run if is_this_run else None

    async def read_pod(self, namespace: str, name: str) -> Object | None:
        """Return a Pod, or None."""
        is_this_namespace = namespace == self._file.namespace
        return (await self._file.read()).pods.get(name) if is_this_namespace else None

    async def read_pod_events(self, pod: PodRef) -> Sequence[str]:  # noqa: ARG002 - part of the protocol
        """Return no Events: the Pod's status has the error that prevents a container's start."""
        return ()

    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        """Merge a patch into the status; return the TaskRun, or None if it is gone."""
        async with self._file.change() as record:
            live = _the_run(record, run)
            if live is None:
                return None
            _check_version(live, patch["metadata"]["resourceVersion"])
            live["status"] = merged(live.get("status"), translate_status(patch["status"]))
        return live

    async def create_pod(self, manifest: Object) -> Object:
        """Record a Pod. Raises Refused, naming the field, if Docker cannot run the Pod."""
        try:
            container_of(manifest, self._secrets)
        except Unsupported as error:
            raise Refused(Refusal(RefusalKind.INVALID, str(error))) from error
        pod: Draft = drafted(manifest)
        name = pod["metadata"]["name"]
        pod["metadata"] |= {
            "uid": str(uuid.uuid4()),
            "creationTimestamp": stamp(self._now()),
            "generation": 1,
        }
        main = pod["spec"]["containers"][0]
        main["imagePullPolicy"] = main.get("imagePullPolicy") or pull_policy(main["image"])
        pod["status"] = {"phase": "Pending"}
        async with self._file.change() as record:
            if name in record.pods:
                raise AlreadyExists(f"pod {name} exists already")
            record.pods[name] = pod
        return pod

    async def release_gate(self, pod: PodRef) -> Object | None:
        """Remove our gate; bind a Pod without other gates to the node at once."""
        async with self._file.change() as record:
            live = _the_pod(record, pod)
            if live is None:
                return None
            spec = live["spec"]
            gates = mappings(spec.pop("schedulingGates", None))
            if foreign_gates := [gate for gate in gates if gate.get("name") != names.GATE_CLAIM]:
                spec["schedulingGates"] = foreign_gates
            elif "deletionTimestamp" not in live["metadata"]:
                spec["nodeName"] = names.DOCKER_NODE
                scheduled = {"type": "PodScheduled", "status": "True"}
                live["status"] = with_condition(live["status"], self._now(), scheduled)
        return live

    async def stop_pod(self, pod: PodRef) -> Object | None:
        """Request that the container is stopped with its grace period."""
        async with self._file.change() as record:
            live = _the_pod(record, pod)
            if live is not None:
                live["spec"]["activeDeadlineSeconds"] = STOP_SECONDS
        return live

    async def release_pod(self, pod: PodRef) -> Object | None:
        """Remove our finalizer.

        The Pod is removed as well if it is being deleted, has no other finalizer and no container.
        """
        async with self._file.change() as record:
            live = _the_pod(record, pod)
            if live is None:
                return None
            finalizers = live["metadata"].pop("finalizers", ())
            if remaining := [
                finalizer for finalizer in finalizers if finalizer != names.FINALIZER_OUTCOME
            ]:
                live["metadata"]["finalizers"] = remaining
            return _after_deletion(record, live)

    async def delete_pod(self, pod: PodRef, resource_version: str | None = None) -> Object | None:
        """Mark the Pod as being deleted; its container, if any, ends before it is removed."""
        async with self._file.change() as record:
            live = _the_pod(record, pod)
            if live is None:
                return None
            if resource_version is not None:
                _check_version(live, resource_version)
            live["metadata"].setdefault("deletionTimestamp", stamp(self._now()))
            return _after_deletion(record, live)

    async def delete_run(self, run: RunRef, resource_version: str) -> Object | None:
        """Delete the TaskRun; its record is removed together with its last Pod."""
        async with self._file.change() as record:
            live = _the_run(record, run)
            if live is None:
                return None
            _check_version(live, resource_version)
            mark_run_deleted(record, self._now())
            return record.run

    def record_event(self, run: RunRef, event: Event) -> None:
        """Ignore the Event: clients see every status, and the attempts have the history."""


def mark_run_deleted(record: Record, now: datetime) -> None:
    """Delete a TaskRun: at once if it has no Pods, otherwise when its last Pod is removed."""
    if record.run is not None and not record.pods:
        record.run = None
    elif record.run is not None:
        record.run["metadata"].setdefault("deletionTimestamp", stamp(now))


def remove_pod(record: Record, name: str) -> None:
    """Remove a Pod from the record, and the TaskRun if it is being deleted and has no Pod left."""
    pod = record.pods.pop(name, None)
    if pod is not None:
        record.requests.pop(uid_of(pod), None)
    if record.run is not None and record.run["metadata"].get("deletionTimestamp"):
        record.run = record.run if record.pods else None


def _after_deletion(record: Record, pod: Draft) -> Object | None:
    """Remove a Pod that is being deleted and has no finalizer and no node, hence no container.

    Returns:
        The Pod, or None if it was removed.
    """
    metadata = pod["metadata"]
    going = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
    if going and not pod["spec"].get("nodeName"):
        remove_pod(record, metadata["name"])
        return None
    return pod


def _the_run(record: Record, run: RunRef) -> Draft | None:
    return record.run if record.run is not None and uid_of(record.run) == run.uid else None


def _the_pod(record: Record, pod: PodRef) -> Draft | None:
    live = record.pods.get(pod.name)
    return live if live is not None and uid_of(live) == pod.uid else None


def _check_version(live: Object, expected: str) -> None:
    version = live["metadata"]["resourceVersion"]
    if version != expected:
        raise Conflict(f"the record has been changed: it is at {version}, not at {expected}")
