"""Requests to the apiserver about TaskRuns and logs.

Requests are sent by the client that Airflow's Kubernetes connection opens. Transient errors are
retried for a limited time, because all of these requests are idempotent. Every patch contains the
uid, so that it never changes another TaskRun of the same name.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp

from taskruns.api import names
from taskruns.api.errors import is_too_large
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.client import Ref, Refused, Unreachable
from taskruns_airflow.log_position import Piece, pieces_of
from taskruns_airflow.manifest import Object

_RUNS = f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{{namespace}}/{names.PLURAL}"
_LOG = "/api/v1/namespaces/{namespace}/pods/{pod}/log"

_SECONDS_PER_REQUEST = 30
_RETRY_SECONDS = 60.0
"""Time for which a request is retried, in seconds."""

_MAX_LINE_BYTES = 8 * 1024 * 1024
"""Maximum length of a line of a watch, in bytes; more than any object that the apiserver stores."""

_RBAC_DENIAL = "is forbidden: User"
_UNKNOWN_KIND = "404 page not found"
"""Texts in the apiserver's responses if RBAC denies a request, and if a kind is unknown."""

_PAGE_SIZE = 500
"""Page size of lists; a namespace may hold tens of thousands of runs, ended ones included."""

_TRANSIENT_CODES = {408, 429, 500, 502, 503, 504}


BROKEN = (aiohttp.ClientError, OSError, TimeoutError)
"""Exceptions of a connection that cannot be opened or is interrupted."""


class Api:
    """Requests about the TaskRuns of one namespace, through an open client."""

    def __init__(self, client: Any, namespace: str, patience: float = _RETRY_SECONDS) -> None:
        self._client = client
        self._patience = patience
        self._runs = _RUNS.format(namespace=namespace)
        self._namespace = namespace

    async def create(self, manifest: Mapping[str, Any]) -> TaskRun:
        """Create a TaskRun, or return the existing one of that name.

        The TaskRun exists already when the response to an earlier create was lost.

        Raises:
            Refused: The apiserver refused the TaskRun.
        """
        try:
            response = await self._request(
                "POST", self._runs, {"fieldValidation": "Strict"}, manifest
            )
        except Refused as refused:
            if refused.status != HTTPStatus.CONFLICT:
                raise
            response = await self._request("GET", f"{self._runs}/{manifest['metadata']['name']}")
        return TaskRun.model_validate(response)

    async def get(self, ref: Ref) -> TaskRun | None:
        """Return a run; None if it is gone or another run has its name."""
        try:
            response = await self._request("GET", f"{self._runs}/{ref.name}")
        except Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            return None
        run = TaskRun.model_validate(response)
        return run if run.metadata.uid == ref.uid else None

    async def find(self, label: str, value: str) -> list[TaskRun]:
        """Return the runs that have a label."""
        response = await self._request("GET", self._runs, {"labelSelector": f"{label}={value}"})
        return [TaskRun.model_validate(each) for each in response["items"]]

    async def cancel(self, ref: Ref, *, leaving: bool = False) -> None:  # noqa: ARG002
        """Set `spec.cancel`, on which the controller stops the run; no effect on an ended run."""
        await self._patch(ref, {"spec": {"cancel": True}})

    async def collect(self, ref: Ref, pod_uid: str) -> None:
        """Mark a Pod as collected: its log and outcome are read, so it may be deleted."""
        await self._patch(ref, {"metadata": {"annotations": {names.ANNOTATION_COLLECTED: pod_uid}}})

    async def pages(self, selector: Mapping[str, str]) -> AsyncIterator[Object]:
        """Yield lists of objects, page by page; a watch starts at the last resourceVersion.

        Raises:
            Refused: The apiserver refused the request; with status 410 if the continue token has
                expired.
        """
        query = {**selector, "limit": str(_PAGE_SIZE)}
        while True:
            page = await self._request("GET", self._runs, query)
            token = page["metadata"].get("continue")
            yield page
            if not token:
                return
            query |= {"continue": token}

    @asynccontextmanager
    async def watch(
        self, selector: Mapping[str, str], version: str, seconds: int
    ) -> AsyncIterator[AsyncIterator[Object]]:
        """Open a watch from a resourceVersion; the apiserver ends it after `seconds`."""
        query = {
            **selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        async with self._stream(self._runs, query, seconds + _SECONDS_PER_REQUEST) as chunks:
            yield (json.loads(line) async for line in lines(chunks, _MAX_LINE_BYTES))

    @asynccontextmanager
    async def log(
        self,
        pod: str,
        container: str,
        since: str = "",
        *,
        follow: bool = True,
        previous: bool = False,
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        """Open a container's log, from the second `since` on; see client.Runs.log."""
        path = _LOG.format(namespace=self._namespace, pod=pod)
        query = {"container": container, "timestamps": "true"}
        query |= {"follow": "true"} if follow else {}
        query |= {"previous": "true"} if previous else {}
        query |= {"sinceTime": since} if since else {}
        async with self._stream(path, query) as chunks:
            yield pieces_of(chunks)

    async def log_end(self, pod: str, pieces: int | None) -> bytes:
        """Return the end of the log of a Pod's only container, byte for byte."""
        path = _LOG.format(namespace=self._namespace, pod=pod)
        query = {} if pieces is None else {"tailLines": str(pieces)}
        async with await self._send("GET", path, query, None, None) as response:
            end: bytes = await response.read()
            return end

    async def _patch(self, ref: Ref, change: Object) -> None:
        metadata = {"uid": ref.uid, **change.get("metadata", {})}
        try:
            await self._request(
                "PATCH", f"{self._runs}/{ref.name}", {}, {**change, "metadata": metadata}
            )
        except Refused as refused:
            # The run no longer exists, or another one has its name: there is nothing to change.
            if refused.status not in (404, 409, 422) or await self.get(ref) is not None:
                raise

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Object:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        for wait in backoff_delays():
            try:
                return await self._request_once(method, path, query or {}, body)
            except Refused as refused:
                if not _is_transient(refused) or loop.time() + wait > deadline:
                    raise
            except BROKEN as error:
                if loop.time() + wait > deadline:
                    raise Unreachable(f"the apiserver does not respond: {error!r}") from error
            await asyncio.sleep(wait)
        raise AssertionError("backoff_delays never end")

    async def _request_once(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> Object:
        async with await self._send(method, path, query, body, _SECONDS_PER_REQUEST) as response:
            answer: Object = json.loads(await response.read())
            return answer

    @asynccontextmanager
    async def _stream(
        self, path: str, query: Mapping[str, str], seconds: float | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        async with await self._send("GET", path, query, None, seconds) as response:
            yield response.content.iter_any()

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        seconds: float | None,
    ) -> Any:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        response = await self._client.call_api(
            path,
            method,
            query_params=list(query.items()),
            header_params={"Accept": "application/json, */*", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            # A log may stay silent for hours. A plain None would select the connection's default.
            _request_timeout=(_SECONDS_PER_REQUEST, seconds),
        )
        if response.status >= HTTPStatus.BAD_REQUEST:
            async with response:
                message = sentence(await response.read())
                raise Refused(response.status, message, self._advice(response.status, message))
        return response

    def _advice(self, status: int, message: str) -> str:
        match status:
            case HTTPStatus.UNAUTHORIZED:
                return "renew the token or certificate of the connection"
            case HTTPStatus.FORBIDDEN if _RBAC_DENIAL in message:
                return (
                    f"bind the role {names.CLIENT_ROLE} to this user in namespace {self._namespace}"
                )
            case HTTPStatus.NOT_FOUND if message == _UNKNOWN_KIND:
                return "install taskruns on this cluster, or select another one in the connection"
        if is_too_large(status, message):
            return "a TaskRun has at most 1.5 MiB: pass less data in the task's arguments"
        return ""


def _is_transient(refused: Refused) -> bool:
    """Whether the same request may succeed later."""
    return refused.status in _TRANSIENT_CODES and not refused.is_too_large


def backoff_delays(longest: float = 10.0) -> Iterator[float]:
    """Yield backoff delays in seconds without end: 0.5, doubled up to `longest`."""
    wait = 0.5
    while True:
        yield wait
        wait = min(wait * 2, longest)


async def lines(chunks: AsyncIterator[bytes], longest: int) -> AsyncIterator[bytes]:
    """Yield the lines of a stream without line ends; cut lines of more than `longest` bytes."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        while len(rest) > longest:
            yield rest[:longest]
            rest = rest[longest:]
    if rest:
        yield rest


def sentence(body: bytes) -> str:
    """Return the message of a Status object, or the body's text if it is none."""
    text = body.decode(errors="replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
