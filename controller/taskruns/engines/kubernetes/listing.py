"""Paged lists of TaskRuns and Pods. Most request metadata only, at a tenth of the cost."""

from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus

from taskruns.api import names
from taskruns.core.unstructured import Object, mapping, text
from taskruns.engines.cache import Versions, version
from taskruns.engines.engine import EngineError
from taskruns.engines.kubernetes import endpoints, responses
from taskruns.engines.kubernetes.connection import Connection
from taskruns.engines.kubernetes.endpoints import Endpoint
from taskruns.engines.kubernetes.responses import Response

PAGE_SIZE = 500
"""Maximum number of objects per response."""

EVERYWHERE = ""
"""Value instead of a namespace that means all namespaces."""


class NotInstalled(EngineError):
    """The apiserver does not know the resource."""


class NotAllowed(EngineError):
    """A list is forbidden: a role is missing, or the namespace together with its role."""


class Expired(EngineError):
    """A list took longer than the apiserver keeps the listed version: start the list again."""


async def list_pages(
    connection: Connection,
    call: Endpoint,
    path: str,
    selector: Mapping[str, str],
    *,
    metadata_only: bool = False,
) -> AsyncIterator[Response]:
    """Yield the responses to a list, page by page; after a failed one there are no more.

    Args:
        connection: the connection to the apiserver.
        call: the request.
        path: its URL path.
        selector: further query parameters, such as `labelSelector`.
        metadata_only: whether to request only the objects' metadata.
    """
    query = {"limit": str(PAGE_SIZE), **selector}
    while True:
        page = await connection.send(call, path, query=query, metadata_only=metadata_only)
        yield page
        token = text(mapping(page.body.get("metadata")).get("continue"))
        if not page.ok or not token:
            return
        query |= {"continue": token}


async def list_all(connection: Connection, namespace: str) -> Versions:
    """List the versions of all TaskRuns and all Pods with our label, in a namespace or EVERYWHERE.

    Raises:
        NotInstalled: the cluster has no TaskRun resource.
        NotAllowed: the list is forbidden.
        Expired: the list took too long; retry it.
        Unavailable: the apiserver is unavailable.
    """
    runs = _items(connection, endpoints.LIST_RUNS, namespace)
    pods = _items(connection, endpoints.LIST_PODS, namespace, names.LABEL_UID)
    return Versions(
        {_uid(item): version(item) async for item in runs},
        {_uid(item): version(item) async for item in pods},
    )


async def list_ours(connection: Connection, namespace: str) -> list[Object]:
    """List every Pod with our label, as full objects. Raises as `list_all` does."""
    pods = _items(connection, endpoints.LIST_PODS, namespace, names.LABEL_UID, metadata_only=False)
    return [pod async for pod in pods]


async def list_held(connection: Connection, namespace: str) -> list[Object]:
    """List the metadata of every Pod with our finalizer, regardless of its labels.

    Raises as `list_all` does.
    """
    pods = _items(connection, endpoints.LIST_PODS, namespace)
    return [
        pod
        async for pod in pods
        if names.FINALIZER_OUTCOME in (pod["metadata"].get("finalizers") or ())
    ]


async def count_selected(connection: Connection, namespace: str, selector: str) -> int:
    """Count the Pods that match a label selector. Raises as `list_all` does."""
    return len([1 async for _ in _items(connection, endpoints.LIST_PODS, namespace, selector)])


def _uid(item: Object) -> str:
    uid: str = item["metadata"]["uid"]
    return uid


async def _items(
    connection: Connection,
    call: Endpoint,
    namespace: str,
    label: str = "",
    *,
    metadata_only: bool = True,
) -> AsyncIterator[Object]:
    selector = {"labelSelector": label} if label else {}
    path = call.path(namespace)
    async for page in list_pages(connection, call, path, selector, metadata_only=metadata_only):
        if not page.ok:
            raise _error(call, page)
        for item in page.body.get("items") or ():
            yield item


def _error(call: Endpoint, response: Response) -> EngineError:
    """Return the error of a failed list."""
    match response.code:
        case HTTPStatus.GONE:
            return Expired(response.message)
        case HTTPStatus.NOT_FOUND:
            return NotInstalled(f"the cluster has no resource {call.resource}: {response.message}")
        case HTTPStatus.FORBIDDEN:
            return NotAllowed(response.message)
        case _:
            return responses.error(response)
