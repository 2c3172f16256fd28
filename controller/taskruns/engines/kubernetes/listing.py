"""Lists, page by page; most carry metadata alone: who is there, how new, at a tenth of the cost."""

from collections.abc import AsyncIterator
from http import HTTPStatus

from taskruns.api import names
from taskruns.engines.cache import Versions, version
from taskruns.engines.engine import EngineError, Object
from taskruns.engines.kubernetes import endpoints, responses
from taskruns.engines.kubernetes.connection import Connection
from taskruns.engines.kubernetes.endpoints import Endpoint

PAGE = 500
"""Objects that one request asks for."""

EVERYWHERE = ""
"""In place of a namespace: all of them."""


class NotInstalled(EngineError):
    """The apiserver does not know the resource."""


class NotAllowed(EngineError):
    """We have no right to list: a role is missing, or the namespace and the role with it."""


class Expired(EngineError):
    """A list took longer than the apiserver keeps its snapshot: start again."""


async def list_all(connection: Connection, namespace: str) -> Versions:
    """List every TaskRun and every Pod that carries our label, of a namespace or EVERYWHERE.

    Raises:
        NotInstalled: the cluster has no TaskRun resource.
        NotAllowed: the apiserver says that we may not.
        Expired: it took too long; try again.
        Unavailable: the apiserver could not answer.
    """
    runs = _items(connection, endpoints.LIST_RUNS, namespace)
    pods = _items(connection, endpoints.LIST_PODS, namespace, names.LABEL_UID)
    return Versions(
        {_uid(item): version(item) async for item in runs},
        {_uid(item): version(item) async for item in pods},
    )


async def list_ours(connection: Connection, namespace: str) -> list[Object]:
    """List every Pod that carries our label, whole. Raises as `list_all` does."""
    found = _items(connection, endpoints.LIST_PODS, namespace, names.LABEL_UID, metadata_only=False)
    return [pod async for pod in found]


async def list_held(connection: Connection, namespace: str) -> list[Object]:
    """List the metadata of every Pod with our finalizer, whatever labels it has been left with.

    Raises as `list_all` does.
    """
    found = _items(connection, endpoints.LIST_PODS, namespace)
    return [
        pod
        async for pod in found
        if names.FINALIZER_OUTCOME in (pod["metadata"].get("finalizers") or ())
    ]


async def count_selected(connection: Connection, namespace: str, selector: str) -> int:
    """Count the Pods that a label selector finds. Raises as `list_all` does."""
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
    query = {"limit": str(PAGE)} | ({"labelSelector": label} if label else {})
    path = call.path(namespace)
    while True:
        answer = await connection.send(call, path, query=query, metadata_only=metadata_only)
        if answer.code == HTTPStatus.GONE:
            raise Expired(answer.message)
        if answer.code == HTTPStatus.NOT_FOUND:
            raise NotInstalled(f"the cluster has no resource {call.resource}: {answer.message}")
        if answer.code == HTTPStatus.FORBIDDEN:
            raise NotAllowed(answer.message)
        if not answer.ok:
            raise responses.error(answer)
        for item in answer.body.get("items") or ():
            yield item
        token = (answer.body.get("metadata") or {}).get("continue")
        if not token:
            return
        query |= {"continue": token}
