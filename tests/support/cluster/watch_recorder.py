"""A record of every version of every TaskRun and Pod in order, on which tests wait.

A test that polls an object misses the versions in between. The recorder watches from before
the first object until the end of the session. Tests can therefore assert "was never Running", "two
Pods at once" and "stayed as it was", and a wait ends with the very event that it waits for.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from urllib3.exceptions import HTTPError

from taskruns.api import names
from tests.support.cluster.client import PODS, RUNS, Kube, Object, Refused, Resource, Watch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Observation:
    """One version of an object; `gone` marks the last one, with its deletion."""

    at: datetime
    """Time at which the version was observed, which is never before it was written."""
    found: Object
    gone: bool = False
    listed: bool = False
    """Whether a list and not a watch returned it; versions since the last one may be missing."""


class WaitTimeout(AssertionError):
    """The awaited condition did not become true in time."""


class WatchRecorder:
    """The histories of all TaskRuns and Pods by uid, kept by one thread per kind."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._changed = threading.Condition()
        self._histories: dict[str, list[Observation]] = {}
        self._uids: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
        self._pods_of: defaultdict[str, list[str]] = defaultdict(list)
        self._watches: dict[str, Watch] = {}
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(resource,), daemon=True)
            for resource in (RUNS, PODS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ending.set()
        for watch in self._watches.values():
            watch.stop()
        for thread in self._threads:
            thread.join(timeout=10)

    def history(self, uid: str) -> tuple[Observation, ...]:
        """Return all versions of one object, oldest first."""
        with self._changed:
            return tuple(self._histories.get(uid, ()))

    def last(self, uid: str) -> Observation | None:
        with self._changed:
            history = self._histories.get(uid)
            return history[-1] if history else None

    def named(self, resource: Resource, namespace: str, name: str) -> tuple[str, ...]:
        """Return the uids of all objects that ever had a name, oldest first."""
        with self._changed:
            return tuple(self._uids[resource.plural, namespace, name])

    def present(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """Return all present objects of a kind in one namespace, or in all."""
        with self._changed:
            uids = [
                uid
                for (plural, object_namespace, _), object_uids in self._uids.items()
                if plural == resource.plural and namespace in (None, object_namespace)
                for uid in object_uids
            ]
            last = [self._histories[uid][-1] for uid in uids]
            return [version.found for version in last if not version.gone]

    def ever(self, resource: Resource) -> list[Object]:
        """Return the last version of every object of a kind that ever existed."""
        with self._changed:
            return [
                self._histories[uid][-1].found
                for (plural, *_), uids in self._uids.items()
                for uid in uids
                if plural == resource.plural
            ]

    def pods_of(self, run_uid: str) -> tuple[tuple[Observation, ...], ...]:
        """Return the histories of all Pods that have a run's uid as their label, oldest first."""
        with self._changed:
            return tuple(tuple(self._histories[uid]) for uid in self._pods_of[run_uid])

    def wait(self, look: Callable[[], T | None], seconds: float, what: str) -> T:
        """Return the first result of `look` that is not None; call it again at every change.

        Raises:
            TooLate: there was none within `seconds`.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while (answer := look()) is None:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise WaitTimeout(f"not within {seconds:g} s: {what}")
                self._changed.wait(min(remaining, 1))  # also for objects outside the watch recorder
            return answer

    def _follow(self, resource: Resource) -> None:
        while not self._ending.is_set():
            try:
                self._watch_once(resource)
            except (Refused, HTTPError, OSError, ValueError):
                self._ending.wait(0.5)  # the apiserver restarts, or the watch has expired

    def _watch_once(self, resource: Resource) -> None:
        page = self._kube.page(resource)
        self._take_list(resource, page["items"])
        watch = self._kube.watch(resource, page["metadata"]["resourceVersion"])
        self._watches[resource.plural] = watch
        for change, obj in watch:
            if change == "ERROR":
                return
            self._take(resource, obj, gone=change == "DELETED")

    def _take_list(self, resource: Resource, items: list[Object]) -> None:
        present = {item["metadata"]["uid"] for item in items}
        for uid in self._known(resource):
            last = self._histories[uid][-1]
            if uid not in present and not last.gone:
                self._take(resource, last.found, gone=True, listed=True)
        for item in items:
            self._take(resource, item, listed=True)

    def _known(self, resource: Resource) -> list[str]:
        with self._changed:  # the other kind's thread adds to the same dictionary
            return [
                uid
                for (plural, *_), uids in self._uids.items()
                for uid in uids
                if plural == resource.plural
            ]

    def _take(
        self, resource: Resource, found: Object, *, gone: bool = False, listed: bool = False
    ) -> None:
        metadata = found["metadata"]
        uid = metadata["uid"]
        with self._changed:
            if uid not in self._histories:
                self._histories[uid] = []
                self._uids[resource.plural, metadata["namespace"], metadata["name"]].append(uid)
                owner = (metadata.get("labels") or {}).get(names.LABEL_UID)
                if resource is PODS and owner:
                    self._pods_of[owner].append(uid)
            self._histories[uid].append(Observation(datetime.now(UTC), found, gone, listed))
            self._changed.notify_all()
