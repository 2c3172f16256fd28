"""Implementation of the Engine interface with a Kubernetes apiserver."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from taskruns.core.plan import Event, PodRef
from taskruns.core.unstructured import Object, mappings, text
from taskruns.engines.engine import RunRef
from taskruns.engines.kubernetes import endpoints, responses
from taskruns.engines.kubernetes.connection import Connection
from taskruns.engines.kubernetes.endpoints import MERGE_PATCH, STRATEGIC_MERGE_PATCH, Endpoint
from taskruns.engines.kubernetes.event_recorder import EventRecorder
from taskruns.engines.kubernetes.responses import Response

_MAX_EVENTS = 100
"""Maximum number of Events of a Pod that are read."""

_ANOTHER_OBJECT = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Status codes with which the apiserver rejects a write whose uid is not the object's."""


class KubernetesEngine:
    """Engine that sends one request per method; a read follows only an ambiguous rejection.

    A response that the Engine interface does not provide for raises EngineError itself. It is a
    bug, or the cluster does not behave as Kubernetes does.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._recorder = EventRecorder(connection)

    async def read_run(self, namespace: str, name: str) -> Object | None:
        """Read a TaskRun live."""
        return await self._read(endpoints.GET_RUN, namespace, name)

    async def read_pod(self, namespace: str, name: str) -> Object | None:
        """Read a Pod live."""
        return await self._read(endpoints.GET_POD, namespace, name)

    async def read_pod_events(self, pod: PodRef) -> Sequence[str]:
        """Return the messages of the Pod's warning Events, oldest first.

        Some causes appear only there, for example why a volume is not mounted. The role of an older
        release does not allow this request; the list is then empty.
        """
        path = endpoints.LIST_EVENTS.path(pod.namespace)
        selector = f"involvedObject.uid={pod.uid},type=Warning"
        query = {"fieldSelector": selector, "limit": str(_MAX_EVENTS)}
        response = await self._connection.send(endpoints.LIST_EVENTS, path, query=query)
        if response.code == HTTPStatus.FORBIDDEN:
            return []
        if not response.ok:
            raise responses.error(response)
        events = sorted(mappings(response.body.get("items")), key=_last_time)
        return [" ".join(text(event.get("message")).split()) for event in events]

    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        """Apply a merge patch to the run's status.

        A 409 raises Conflict even if the name belongs to another run by now, because the caller
        reads the run again in either case.
        """
        path = endpoints.PATCH_RUN_STATUS.path(run.namespace, run.name)
        body = endpoints.run_status(run, patch)
        response = await self._connection.send(
            endpoints.PATCH_RUN_STATUS, path, body, content_type=MERGE_PATCH
        )
        return _object_or_gone(response)

    async def create_pod(self, manifest: Object) -> Object:
        """Create a Pod; an unknown field is an error instead of being dropped."""
        response = await self._connection.send(
            endpoints.CREATE_POD,
            endpoints.CREATE_POD.path(manifest["metadata"]["namespace"]),
            manifest,
            query={"fieldValidation": "Strict"},
        )
        if not response.ok:
            raise responses.create_error(response)
        return response.body

    async def release_gate(self, pod: PodRef) -> Object | None:
        """Remove our scheduling gate."""
        return await self._patch_pod(pod, endpoints.release_gate(pod))

    async def stop_pod(self, pod: PodRef) -> Object | None:
        """Stop the Pod's containers, by an activeDeadlineSeconds that is already exceeded."""
        return await self._patch_pod(pod, endpoints.stop_pod(pod))

    async def release_pod(self, pod: PodRef) -> Object | None:
        """Remove our finalizer."""
        return await self._patch_pod(pod, endpoints.release_pod(pod))

    async def delete_pod(self, pod: PodRef, resource_version: str | None = None) -> Object | None:
        """Delete the Pod with its own grace period."""
        body = endpoints.delete_pod(pod, resource_version)
        return await self._write_pod(
            pod, endpoints.DELETE_POD, body, content_type="application/json"
        )

    async def delete_run(self, run: RunRef, resource_version: str) -> Object | None:
        """Delete the TaskRun in this version. A 409 raises Conflict, as in `write_status`."""
        path = endpoints.DELETE_RUN.path(run.namespace, run.name)
        body = endpoints.delete_run(run, resource_version)
        return _object_or_gone(await self._connection.send(endpoints.DELETE_RUN, path, body))

    def record_event(self, run: RunRef, event: Event) -> None:
        """Queue an Event to be written."""
        self._recorder.record(run, event)

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds until the queued Events are written, and drop the rest."""
        await self._recorder.drain(grace)

    async def _read(self, call: Endpoint, namespace: str, name: str) -> Object | None:
        response = await self._connection.send(call, call.path(namespace, name))
        if response.code == HTTPStatus.NOT_FOUND:
            return None
        if not response.ok:
            raise responses.error(response)
        return response.body

    async def _patch_pod(self, pod: PodRef, body: dict[str, Any]) -> Object | None:
        return await self._write_pod(
            pod, endpoints.PATCH_POD, body, content_type=STRATEGIC_MERGE_PATCH
        )

    async def _write_pod(
        self, pod: PodRef, call: Endpoint, body: dict[str, Any], *, content_type: str
    ) -> Object | None:
        path = call.path(pod.namespace, pod.name)
        response = await self._connection.send(call, path, body, content_type=content_type)
        if response.code in _ANOTHER_OBJECT:
            live = await self.read_pod(pod.namespace, pod.name)
            if live is None or live["metadata"]["uid"] != pod.uid:
                return None
        return _object_or_gone(response)


def _last_time(event: Object) -> str:
    return text(event.get("lastTimestamp")) or text(event.get("eventTime"))


def _object_or_gone(response: Response) -> Object | None:
    """Return the object from the response to a write, or None if the object is gone."""
    if response.code == HTTPStatus.NOT_FOUND:
        return None
    if not response.ok:
        raise responses.error(response)
    return None if is_removed(response.body) else response.body


def is_removed(body: Object) -> bool:
    """Whether a response to a write shows that its object was removed from etcd.

    The response is then either a Status of success, or the object itself, being deleted without a
    finalizer and with a grace period of 0.
    """
    if body.get("kind") == "Status":
        return True
    metadata = body.get("metadata") or {}
    held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds") != 0
    return bool(metadata.get("deletionTimestamp")) and not held
