"""Client for users of TaskRuns: create, read, change, delete and follow them, and read logs.

It only sends requests; the controller does the work. A rejection is passed on as it was received.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from taskruns.core.unstructured import Object, stamp, text
from taskruns.engines.engine import EngineError, Unavailable
from taskruns.engines.kubernetes import endpoints
from taskruns.engines.kubernetes.connection import Connection
from taskruns.engines.kubernetes.endpoints import MERGE_PATCH, Endpoint
from taskruns.engines.kubernetes.listing import list_pages
from taskruns.engines.kubernetes.responses import Response, is_server_failure

_WATCH_SECONDS = "240"
"""Seconds after which the apiserver ends a watch, so that a dead connection is detected."""
_PAUSE_SECONDS = 1.0
"""Delay before a request to an unavailable apiserver is retried, in seconds."""
_MOST_REFUSALS = 30
"""Consecutive rejections, one second apart, after which a run counts as no longer readable."""
_AT_ONCE = 1
"""Shortest grace period, in seconds. With 0 the apiserver would not wait for the Pod's end."""


class Denied(EngineError):
    """The apiserver rejected a request."""

    def __init__(self, call: Endpoint, answer: Response) -> None:
        super().__init__(answer.message)
        self.call = call
        self.answer = answer


class NotStarted(EngineError):
    """A container has no log yet."""


class Client:
    """Client of one apiserver, with the rights of one user."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list_runs(self, namespace: str) -> list[Object]:
        """List the TaskRuns of a namespace; for an empty string, of all namespaces."""
        call, runs = endpoints.LIST_RUNS, list[Object]()
        async for page in list_pages(self._connection, call, call.path(namespace), {}):
            if not page.ok:
                raise Denied(call, page)
            kind = {"apiVersion": page.body.get("apiVersion"), "kind": "TaskRun"}
            runs += [kind | item for item in page.body.get("items") or ()]
        return runs

    async def read_run(self, namespace: str, name: str) -> Object | None:
        """Read a TaskRun; return None if there is none of that name."""
        try:
            return await self._send(endpoints.GET_RUN, endpoints.GET_RUN.path(namespace, name))
        except Denied as error:
            if _is_object_missing(error.answer):
                return None
            raise

    async def create_run(self, namespace: str, manifest: Object) -> Object:
        """Create a TaskRun; unknown fields are rejected."""
        query = {"fieldValidation": "Strict"}
        path = endpoints.CREATE_RUN.path(namespace)
        return await self._send(endpoints.CREATE_RUN, path, manifest, query=query)

    async def patch_run(self, namespace: str, name: str, patch: Object) -> Object:
        """Apply a merge patch to a TaskRun; return the TaskRun."""
        path = endpoints.PATCH_RUN.path(namespace, name)
        return await self._send(endpoints.PATCH_RUN, path, patch, content_type=MERGE_PATCH)

    async def delete_run(self, namespace: str, name: str) -> None:
        """Delete a TaskRun; its Pod is deleted with it, with the Pod's grace period."""
        await self._send(endpoints.DELETE_RUN, endpoints.DELETE_RUN.path(namespace, name))

    async def end_pod(self, namespace: str, name: str) -> None:
        """Delete a Pod with the shortest grace period with which its outcome stays readable."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": _AT_ONCE}
        await self._send(endpoints.DELETE_POD, endpoints.DELETE_POD.path(namespace, name), options)

    async def follow_run(self, namespace: str, name: str) -> AsyncIterator[Object]:
        """Yield a TaskRun now and after each change, until it is gone.

        After the first response, the requests to an unavailable apiserver are retried without
        limit. Rejections are retried up to _MOST_REFUSALS times, because an apiserver that has just
        started may forbid what it allowed before.

        Raises:
            Denied: the run may not be read.
            Unavailable: there was no response to the first request.
        """
        run = await self.read_run(namespace, name)
        uid = run["metadata"]["uid"] if run is not None else ""
        refusals = 0
        while run is not None and run["metadata"]["uid"] == uid:
            yield run
            version = run["metadata"]["resourceVersion"]
            try:
                async for change in self._watch(
                    endpoints.WATCH_RUNS, namespace, f"metadata.name={name}", version
                ):
                    if change["type"] == "DELETED":
                        return
                    yield change["object"]
                run = await self.read_run(namespace, name)
                refusals = 0
            except Unavailable:
                await asyncio.sleep(_PAUSE_SECONDS)
            except Denied as error:
                refusals += not is_server_failure(error.answer.code)
                if refusals > _MOST_REFUSALS:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    async def follow_events(self, namespace: str, pod: str) -> AsyncIterator[Object]:
        """Yield the Events of a Pod: the existing ones, then new ones until the watch ends."""
        selector = f"involvedObject.name={pod}"
        async for change in self._watch(endpoints.WATCH_EVENTS, namespace, selector, "0"):
            yield change["object"]

    async def list_events(self, namespace: str, pod: str) -> list[Object]:
        """List the Events of a Pod."""
        query = {"fieldSelector": f"involvedObject.name={pod}"}
        path = endpoints.LIST_EVENTS.path(namespace)
        return list((await self._send(endpoints.LIST_EVENTS, path, query=query)).get("items") or ())

    async def log(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool,
        since: datetime | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield pieces of a container's log as they arrive; each line begins with its time.

        Args:
            namespace: the Pod's namespace.
            pod: the Pod's name.
            container: the container's name.
            follow: whether to continue until the container has ended.
            since: the time to start from, in whole seconds; None for the start of the log.

        Raises:
            NotStarted: the container has not started.
            Denied: the Pod does not exist, or its log may not be read.
            Unavailable: there was no response, or it was interrupted.
        """
        query = {"container": container, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        if since is not None:
            query["sinceTime"] = stamp(since)
        path = endpoints.GET_LOG.path(namespace, pod)
        async with self._connection.stream(endpoints.GET_LOG, path, query) as answer:
            if isinstance(answer, Response):
                waiting = (
                    answer.code == HTTPStatus.BAD_REQUEST and "waiting to start" in answer.message
                )
                raise NotStarted(answer.message) if waiting else Denied(endpoints.GET_LOG, answer)
            async for piece in answer:
                yield piece

    async def version(self) -> str:
        """Return the apiserver's version."""
        call = Endpoint("get", "", "version")
        return text((await self._send(call, "/version")).get("gitVersion"))

    async def controllers(self) -> list[Object]:
        """List the Deployments of the controller in all namespaces."""
        call = endpoints.LIST_DEPLOYMENTS
        query = {"labelSelector": "app.kubernetes.io/name=taskruns"}
        return list((await self._send(call, call.path(), query=query)).get("items") or ())

    async def _send(
        self, call: Endpoint, path: str, body: Object | None = None, **how: Any
    ) -> Mapping[str, Any]:
        answer = await self._connection.send(call, path, body, **how)
        if not answer.ok:
            raise Denied(call, answer)
        return answer.body

    async def _watch(
        self, call: Endpoint, namespace: str, selector: str, version: str
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield changes until the apiserver ends the watch or no longer knows the version."""
        query = {
            "watch": "true",
            "fieldSelector": selector,
            "resourceVersion": version,
            "timeoutSeconds": _WATCH_SECONDS,
        }
        async with self._connection.stream(call, call.path(namespace), query) as response:
            if isinstance(response, Response):
                if response.code == HTTPStatus.GONE:
                    return
                raise Denied(call, response)
            async for line in _lines(response):
                change: Mapping[str, Any] = json.loads(line)
                if change["type"] == "ERROR":
                    return
                yield change


def _is_object_missing(answer: Response) -> bool:
    """Return whether the apiserver knows the resource but has no object of that name."""
    return answer.code == HTTPStatus.NOT_FOUND and bool(answer.details.get("name"))


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Split a stream into lines of any length; empty lines are dropped."""
    left = b""
    async for piece in pieces:
        *lines, left = (left + piece).split(b"\n")
        for line in lines:
            if line:
                yield line
