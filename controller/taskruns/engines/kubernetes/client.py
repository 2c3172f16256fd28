"""What people do with TaskRuns: create, look at, change, delete and follow them, and read logs.

The controller does the work; here is nothing but requests. A no is handed on as it was answered.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from taskruns.core.unstructured import mapping, stamp, text
from taskruns.engines.engine import EngineError, Object, Unavailable
from taskruns.engines.kubernetes import endpoints
from taskruns.engines.kubernetes.connection import Connection
from taskruns.engines.kubernetes.endpoints import MERGE_PATCH, Endpoint
from taskruns.engines.kubernetes.responses import Response

_PAGE = "500"
_WATCH_SECONDS = "240"
"""After which the apiserver ends a watch, to be asked for again: a dead line stays unseen else."""
_PAUSE_SECONDS = 1.0
"""Until an apiserver that went away is asked again."""
_MOST_REFUSALS = 30
"""Consecutive refusals, a second apart, after which a run that was readable no longer is."""
_AT_ONCE = 1
"""The shortest grace period: with none at all, nobody would wait for the Pod's end."""


class Denied(EngineError):
    """The apiserver said no."""

    def __init__(self, call: Endpoint, answer: Response) -> None:
        super().__init__(answer.message)
        self.call = call
        self.answer = answer


class NotYet(EngineError):
    """A container has no log yet."""


class Client:
    """One person's requests to one apiserver."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list_runs(self, namespace: str) -> list[Object]:
        """List the TaskRuns of a namespace, or of all where it is empty."""
        query, found = {"limit": _PAGE}, list[Object]()
        while True:
            body = await self._send(
                endpoints.LIST_RUNS, endpoints.LIST_RUNS.path(namespace), query=query
            )
            kind = {"apiVersion": body.get("apiVersion"), "kind": "TaskRun"}
            found += [kind | item for item in body.get("items") or ()]
            token = text(mapping(body.get("metadata")).get("continue"))
            if not token:
                return found
            query |= {"continue": token}

    async def read_run(self, namespace: str, name: str) -> Object | None:
        """Read a TaskRun; None when there is none of that name."""
        try:
            return await self._send(endpoints.GET_RUN, endpoints.GET_RUN.path(namespace, name))
        except Denied as error:
            if _is_object_missing(error.answer):
                return None
            raise

    async def create_run(self, namespace: str, manifest: Object) -> Object:
        """Create a TaskRun; a field that there is not is refused."""
        query = {"fieldValidation": "Strict"}
        path = endpoints.CREATE_RUN.path(namespace)
        return await self._send(endpoints.CREATE_RUN, path, manifest, query=query)

    async def patch_run(self, namespace: str, name: str, patch: Object) -> Object:
        """Change a TaskRun by a merge patch."""
        path = endpoints.PATCH_RUN.path(namespace, name)
        return await self._send(endpoints.PATCH_RUN, path, patch, content_type=MERGE_PATCH)

    async def delete_run(self, namespace: str, name: str) -> None:
        """Delete a TaskRun; its Pod goes along, with its grace period."""
        await self._send(endpoints.DELETE_RUN, endpoints.DELETE_RUN.path(namespace, name))

    async def end_pod(self, namespace: str, name: str) -> None:
        """Delete a Pod with the shortest grace period; how it ended stays readable."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": _AT_ONCE}
        await self._send(endpoints.DELETE_POD, endpoints.DELETE_POD.path(namespace, name), options)

    async def follow_run(self, namespace: str, name: str) -> AsyncIterator[Object]:
        """Yield a TaskRun as it is now and whenever it changes, until it is gone.

        An apiserver that goes away is waited for, once it has answered. One that has just started
        may forbid for a while what it allowed before.

        Raises:
            Denied: the run may not be read.
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
                refusals += not _is_servers_fault(error.answer.code)
                if refusals > _MOST_REFUSALS:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    async def follow_events(self, namespace: str, pod: str) -> AsyncIterator[Object]:
        """Yield the Events of a Pod, those that are there first."""
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
        """Yield a container's log as it comes, each line after its time.

        Args:
            namespace: the Pod's.
            pod: the Pod's name.
            container: the container's name.
            follow: whether to go on until the container has ended.
            since: the second to start from; by default the start of the log.

        Raises:
            NotYet: it has not started.
            Denied: there is no such Pod, or it may not be read.
            Unavailable: there was no answer, or it broke off.
        """
        query = {"container": container, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        if since is not None:
            query["sinceTime"] = stamp(since)
        path = endpoints.GET_LOG.path(namespace, pod)
        async with self._connection.stream(endpoints.GET_LOG, path, query) as found:
            if isinstance(found, Response):
                waiting = (
                    found.code == HTTPStatus.BAD_REQUEST and "waiting to start" in found.message
                )
                raise NotYet(found.message) if waiting else Denied(endpoints.GET_LOG, found)
            async for piece in found:
                yield piece

    async def version(self) -> str:
        """Return the apiserver's version."""
        call = Endpoint("get", "", "version")
        return text((await self._send(call, "/version")).get("gitVersion"))

    async def controllers(self) -> list[Object]:
        """List the Deployments of taskruns in the whole cluster."""
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
        """Yield changes until the apiserver ends the watch, or does not know that version."""
        query = {
            "watch": "true",
            "fieldSelector": selector,
            "resourceVersion": version,
            "timeoutSeconds": _WATCH_SECONDS,
        }
        async with self._connection.stream(call, call.path(namespace), query) as found:
            if isinstance(found, Response):
                if found.code == HTTPStatus.GONE:
                    return
                raise Denied(call, found)
            async for line in _lines(found):
                change: Mapping[str, Any] = json.loads(line)
                if change["type"] == "ERROR":
                    return
                yield change


def _is_servers_fault(code: int) -> bool:
    """Return whether the same request may succeed later: the apiserver is busy or starting."""
    return code == HTTPStatus.TOO_MANY_REQUESTS or code >= HTTPStatus.INTERNAL_SERVER_ERROR


def _is_object_missing(answer: Response) -> bool:
    """Whether the apiserver knows the kind, and has no object of that name."""
    return answer.code == HTTPStatus.NOT_FOUND and bool(answer.details.get("name"))


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut a stream into lines of any length."""
    left = b""
    async for piece in pieces:
        *lines, left = (left + piece).split(b"\n")
        for line in lines:
            if line:
                yield line
