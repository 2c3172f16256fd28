"""Lists that carry metadata alone: who is there, and how new, at a tenth of the cost."""

from collections.abc import AsyncIterator

from taskruns.api import names
from taskruns.engines.cache import Versions, version
from taskruns.engines.kubernetes import answers, calls
from taskruns.engines.kubernetes.calls import Call
from taskruns.engines.kubernetes.connection import Connection
from taskruns.engines.port import EngineError, Object

PAGE = 500
"""Objects that one request asks for."""

_EXPIRED, _NOT_FOUND = 410, 404


class NotInstalled(EngineError):
    """The apiserver does not know the resource."""


class Expired(EngineError):
    """A list took longer than the apiserver keeps its snapshot: start again."""


async def list_all(connection: Connection) -> Versions:
    """List every TaskRun and every Pod that carries our label.

    Raises:
        NotInstalled: the cluster has no TaskRun resource.
        Expired: it took too long; try again.
        Unavailable: the apiserver could not answer.
    """
    runs = {_uid(item): version(item) async for item in _items(connection, calls.LIST_RUNS, "")}
    ours = _items(connection, calls.LIST_PODS, names.LABEL_UID)
    pods = {_uid(item): version(item) async for item in ours}
    return Versions(runs, pods)


def _uid(item: Object) -> str:
    uid: str = item["metadata"]["uid"]
    return uid


async def _items(connection: Connection, call: Call, label: str) -> AsyncIterator[Object]:
    query = {"limit": str(PAGE)} | ({"labelSelector": label} if label else {})
    while True:
        answer = await connection.send(call, call.path(), query=query, metadata_only=True)
        if answer.code == _EXPIRED:
            raise Expired(answer.message)
        if answer.code == _NOT_FOUND:
            raise NotInstalled(f"the cluster has no resource {call.resource}: {answer.message}")
        if not answer.ok:
            raise answers.error(answer)
        for item in answer.body.get("items") or ():
            yield item
        token = (answer.body.get("metadata") or {}).get("continue")
        if not token:
            return
        query |= {"continue": token}
