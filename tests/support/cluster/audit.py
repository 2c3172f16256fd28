"""Requests of controllers and users, read from the apiserver's audit log."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from typing_extensions import override

from tests.cluster import Cluster

AGENT = "taskruns-controller/"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request; `resource` is a plural, with its subresource if there is one."""

    verb: str
    resource: str
    namespace: str
    name: str
    user: str
    agent: str
    code: int

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES

    @override
    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


class Audit:
    """The requests that controllers send after this object was made."""

    def __init__(self, cluster: Cluster) -> None:
        self._log = cluster.audit_log
        self._start = self._log.stat().st_size

    def requests(self, namespace: str | None = None) -> list[Request]:
        """Return all requests so far, in one namespace or in all."""
        sent = [request for request in self._read() if request.agent.startswith(AGENT)]
        return [r for r in sent if namespace is None or r.namespace == namespace]

    def of_user(self, user: str) -> list[Request]:
        """Return all requests of one user so far; a watch is logged when it ends."""
        return [request for request in self._read() if request.user == user]

    def settled(self, namespace: str, within: float = 5.0) -> list[Request]:
        """Return all requests of a namespace, once none has been added for a second."""
        deadline = time.monotonic() + within
        before: list[Request] = []
        while (now := self.requests(namespace)) != before and time.monotonic() < deadline:
            before = now
            time.sleep(1)
        return now

    def _read(self) -> Iterator[Request]:
        with self._log.open("rb") as log:
            assert self._log.stat().st_size >= self._start, (
                "the audit log was begun anew: count again"
            )
            log.seek(self._start)
            lines = log.read().splitlines(keepends=True)
        for line in lines:
            if line.endswith(b"\n"):
                yield _request(json.loads(line))


def _request(entry: dict[str, object]) -> Request:
    about, user, status = (
        entry.get(part) or {} for part in ("objectRef", "user", "responseStatus")
    )
    assert isinstance(about, dict)
    assert isinstance(user, dict)
    assert isinstance(status, dict)
    parts = (about.get("resource", ""), about.get("subresource", ""))
    return Request(
        verb=str(entry["verb"]),
        resource="/".join(part for part in parts if part),
        namespace=str(about.get("namespace", "")),
        name=str(about.get("name", "")),
        user=str(user.get("username", "")),
        agent=str(entry.get("userAgent", "")),
        code=int(status.get("code", 0)),
    )
