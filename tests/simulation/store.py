"""The apiserver's storage: objects by name, growing versions, changes that can be watched.

Objects are never changed in place: a caller that holds one keeps that version.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from taskruns.core.unstructured import Draft, Object, drafted, stamp
from taskruns.engines.engine import AlreadyExists
from tests.simulation.agenda import Agenda


class Kind(StrEnum):
    """The kinds of object that are stored."""

    RUN = "TaskRun"
    POD = "Pod"


@dataclass(frozen=True, slots=True)
class Change:
    """One watch event."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    kind: Kind
    object: Object


class Store:
    """All stored objects, and the log of their changes."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._objects: dict[Kind, dict[tuple[str, str], Object]] = {kind: {} for kind in Kind}
        self._version = 1000
        self._created = 0
        self._observers: list[Callable[[Change], None]] = []
        self.log: list[Change] = []

    def observe(self, observer: Callable[[Change], None]) -> None:
        """Call `observer` with every later change."""
        self._observers.append(observer)

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Return the object of a name, or None."""
        return self._objects[kind].get((namespace, name))

    def find(self, kind: Kind, uid: str) -> Object | None:
        """Return the object of a uid, or None."""
        return next((obj for obj in self.all(kind) if obj["metadata"]["uid"] == uid), None)

    def all(self, kind: Kind) -> Iterator[Object]:
        """Yield every object of a kind, as of now."""
        yield from tuple(self._objects[kind].values())

    def as_of(self, behind: int) -> tuple[list[Change], list[Change]]:
        """Return the last change of each object that existed `behind` changes ago, and the later.

        The objects are in the order of their creation.
        """
        cut = max(len(self.log) - behind, 0)
        objects: dict[str, Change] = {}
        for change in self.log[:cut]:
            uid = change.object["metadata"]["uid"]
            if change.type == "DELETED":
                objects.pop(uid, None)
            else:
                objects[uid] = change
        return list(objects.values()), self.log[cut:]

    def create(self, kind: Kind, found: Object) -> Object:
        """Add an object with a new uid, a version and a creation time."""
        draft: Draft = drafted(found)
        metadata = draft["metadata"]
        if self.get(kind, metadata["namespace"], metadata["name"]) is not None:
            raise AlreadyExists(f'{kind} "{metadata["name"]}" already exists')
        self._created += 1
        metadata["uid"] = f"00000000-0000-4000-8000-{self._created:012d}"
        metadata["creationTimestamp"] = stamp(self._agenda.now)
        metadata["generation"] = 1
        return self._put("ADDED", kind, draft)

    def update(self, kind: Kind, draft: Draft) -> Object:
        """Store a changed copy of an object, or remove it if its deletion can complete."""
        metadata = draft["metadata"]
        before = self._objects[kind][metadata["namespace"], metadata["name"]]
        if draft == before:
            return before
        if draft.get("spec") != before.get("spec") or _deleting(draft) != _deleting(before):
            metadata["generation"] = before["metadata"]["generation"] + 1
        if _deleting(draft) and not metadata.get("finalizers") and not _grace(draft):
            return self.remove(kind, draft)
        return self._put("MODIFIED", kind, draft)

    def mark_deleted(self, kind: Kind, found: Object, grace: int) -> Object | None:
        """Delete with a grace period in seconds; return None when the object is gone."""
        draft = drafted(found)
        metadata = draft["metadata"]
        if not _deleting(draft) or grace < _grace(draft):
            metadata["deletionTimestamp"] = stamp(self._agenda.now + timedelta(seconds=grace))
            metadata["deletionGracePeriodSeconds"] = grace
        after = self.update(kind, draft)
        return self.get(kind, metadata["namespace"], metadata["name"]) and after

    def remove(self, kind: Kind, found: Object) -> Object:
        """Remove an object at once."""
        metadata = found["metadata"]
        del self._objects[kind][metadata["namespace"], metadata["name"]]
        return self._tell("DELETED", kind, drafted(found))

    def _put(self, event: Literal["ADDED", "MODIFIED"], kind: Kind, draft: Draft) -> Object:
        metadata = draft["metadata"]
        self._objects[kind][metadata["namespace"], metadata["name"]] = draft
        return self._tell(event, kind, draft)

    def _tell(
        self, event: Literal["ADDED", "MODIFIED", "DELETED"], kind: Kind, draft: Draft
    ) -> Object:
        self._version += 1
        draft["metadata"]["resourceVersion"] = str(self._version)
        change = Change(event, kind, draft)
        self.log.append(change)
        for observer in self._observers:
            observer(change)
        return draft


def _deleting(found: Object) -> bool:
    return "deletionTimestamp" in found["metadata"]


def _grace(found: Object) -> int:
    return int(found["metadata"].get("deletionGracePeriodSeconds") or 0)
