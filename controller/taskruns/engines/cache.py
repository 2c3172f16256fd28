"""Informer cache of TaskRuns and Pods by uid, filled from watch events and responses to our writes.

An older version never replaces a newer one, so a reconcile never acts on a copy that is older than
its own last write, even if the watch is late. An object that is known to be gone does not return.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Protocol

from taskruns.api import conditions, names
from taskruns.core.unstructured import Object
from taskruns.engines.engine import RunRef

_TOMBSTONES = 1_000
"""Number of deleted objects that are remembered. Their late events are ignored, and a Pod that
was deleted is judged by its last known state."""

_KEPT_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
)
"""Metadata fields that are kept of an ended run: those that decisions about its clean-up read."""


@dataclass(frozen=True, slots=True)
class RunKey:
    """Identity of a run, valid for as long as its TaskRun or any of its Pods exists."""

    namespace: str
    uid: str


@dataclass(frozen=True, slots=True)
class View:
    """Cached state of one run: its TaskRun, or None, and every Pod that carries its uid."""

    key: RunKey
    run: Object | None
    pods: tuple[Object, ...]

    @property
    def ref(self) -> RunRef:
        """Reference to the TaskRun; if it is not cached, its name is taken from its Pods' label."""
        if self.run is not None:
            name = self.run["metadata"]["name"]
        else:
            labels = (pod["metadata"].get("labels") or {} for pod in self.pods)
            name = next((each[names.LABEL_NAME] for each in labels if names.LABEL_NAME in each), "")
        return RunRef(self.key.namespace, name, self.key.uid)


@dataclass(frozen=True, slots=True)
class Versions:
    """resourceVersion of every object, as a number, by uid."""

    runs: Mapping[str, int]
    pods: Mapping[str, int]

    def all(self) -> dict[str, int]:
        """Return both kinds in one mapping; uids are unique across kinds."""
        return {**self.runs, **self.pods}


@dataclass(frozen=True, slots=True)
class _Tombstone:
    """Record of an object that is no longer cached."""

    last_seen: Object | None
    version: float
    """Versions up to this one are not cached again; infinite if the object is known to be gone."""


class Observer(Protocol):
    """Callbacks for changes of the cache, called synchronously and in order."""

    def run_changed(self, key: RunKey, run: Object | None) -> None:
        """Handle a new version of a TaskRun, or None if it is gone."""

    def pod_changed(self, before: Object, after: Object | None) -> None:
        """Handle a new version of a Pod that was cached before, or None if it was removed."""


class Cache:
    """Runs and Pods by uid. It is not thread-safe: use it in one event loop."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._runs: dict[str, Object] = {}
        self._pods: dict[str, Object] = {}
        self._key_of: dict[str, RunKey] = {}
        self._pods_of: defaultdict[RunKey, set[str]] = defaultdict(set)
        self._gone: OrderedDict[str, _Tombstone] = OrderedDict()

    def observe(self, observer: Observer) -> None:
        """Register an observer for all later changes."""
        self._observers.append(observer)

    def view(self, key: RunKey) -> View:
        """Return the cached state of a run.

        A Pod may carry the uid of a run in another namespace. The view for that Pod's namespace
        does not contain the run.
        """
        pods = tuple(self._pods[uid] for uid in sorted(self._pods_of.get(key, ())))
        run = self._runs.get(key.uid)
        return View(key, run if run is not None and key_of_run(run) == key else None, pods)

    def is_news(self, obj: Object) -> bool:
        """Return whether a TaskRun or Pod is not cached in this or a later version."""
        uid = obj["metadata"]["uid"]
        return self._is_newer(obj, self._runs.get(uid) or self._pods.get(uid), uid)

    def put_run(self, run: Object) -> RunKey:
        """Store a TaskRun unless the cached version is as new; return its key."""
        key = key_of_run(run)
        if self._is_newer(run, self._runs.get(key.uid), key.uid):
            self._runs[key.uid] = slim(run)
            for observer in self._observers:
                observer.run_changed(key, run)
        return key

    def put_pod(self, pod: Object) -> RunKey | None:
        """Store a Pod unless the cached version is as new; return its run's key.

        A Pod without our label is not stored, and None is returned.
        """
        key = key_of_pod(pod)
        uid = pod["metadata"]["uid"]
        if key is not None and self._is_newer(pod, self._pods.get(uid), uid):
            self._set_pod(uid, key, pod)
        return key

    def keep_pod(self, pod: Object, key: RunKey) -> None:
        """Store a Pod of a run that a live read has returned, regardless of its labels.

        The watch and every list select by our label, so a Pod that lost it only seems to be gone.
        """
        uid = pod["metadata"]["uid"]
        self._gone.pop(uid, None)
        if version(pod) >= version(self._pods.get(uid, pod)):
            self._set_pod(uid, key, pod)

    def keep_run(self, run: Object) -> None:
        """Store a TaskRun that a live read has returned, although a list did not show it."""
        uid = run["metadata"]["uid"]
        tombstone = self._gone.get(uid)
        if tombstone is not None and tombstone.version < inf:
            del self._gone[uid]
        self.put_run(run)

    def drop_run(self, uid: str) -> None:
        """Remove a TaskRun that is known to be gone; it is not cached again."""
        self._remove_run(uid, inf)

    def lose_run(self, uid: str) -> None:
        """Remove a TaskRun that a list no longer shows, until `keep_run` or a newer version."""
        run = self._runs.get(uid)
        if run is not None:
            self._remove_run(uid, version(run))

    def drop_pod(self, uid: str) -> Object | None:
        """Remove a Pod that is known to be gone.

        Watch events do not bring it back; only `keep_pod` does.

        Returns:
            Its last known state, also if `lose_pod` removed it before; None without one.
        """
        pod = self._remove_pod(uid)
        self._add_tombstone(uid, pod, inf)
        self._notify_pod_changed(pod, None)
        return self._gone[uid].last_seen

    def lose_pod(self, uid: str) -> bool:
        """Remove a Pod that the watch or a list no longer shows, until a newer version arrives.

        Returns:
            Whether the Pod was cached.
        """
        pod = self._remove_pod(uid)
        if pod is None:
            return False
        self._add_tombstone(uid, pod, version(pod))
        self._notify_pod_changed(pod, None)
        return True

    def keys(self) -> Iterator[RunKey]:
        """Yield the key of every run whose TaskRun or Pod is cached."""
        yield from {key_of_run(run) for run in self._runs.values()} | set(self._pods_of)

    def unfinished(self) -> Iterator[RunKey]:
        """Yield every run that may need a reconcile without an event: active, or with a Pod."""
        for key in self.keys():
            run = self._runs.get(key.uid)
            if key in self._pods_of or run is None or not conditions.is_terminal(run):
                yield key

    def has_open_attempt(self, key: RunKey) -> bool:
        """Return whether a run has a Pod and no final phase.

        Within a namespace, such runs are reconciled first; after eight of them one other run is
        taken.
        """
        run = self._runs.get(key.uid)
        return key in self._pods_of and run is not None and not conditions.is_terminal(run)

    def versions(self, namespace: str = "") -> Versions:
        """Return the versions of all cached objects, of one namespace or (empty) of all."""

        def of(objects: Mapping[str, Object]) -> dict[str, int]:
            return {
                uid: version(each)
                for uid, each in objects.items()
                if namespace in ("", each["metadata"]["namespace"])
            }

        return Versions(of(self._runs), of(self._pods))

    def runs(self) -> Collection[Object]:
        """Return every cached TaskRun; ended ones are reduced as in `slim`."""
        return self._runs.values()

    def pods(self) -> Collection[Object]:
        """Return every cached Pod."""
        return self._pods.values()

    def _is_newer(self, candidate: Object, cached: Object | None, uid: str) -> bool:
        tombstone = self._gone.get(uid)
        if tombstone is not None and version(candidate) <= tombstone.version:
            return False
        return cached is None or version(candidate) > version(cached)

    def _set_pod(self, uid: str, key: RunKey, pod: Object) -> None:
        before = self._remove_pod(uid)
        self._pods[uid] = without_managed_fields(pod)
        self._key_of[uid] = key
        self._pods_of[key].add(uid)
        self._notify_pod_changed(before, pod)

    def _notify_pod_changed(self, before: Object | None, after: Object | None) -> None:
        if before is not None:
            for observer in self._observers:
                observer.pod_changed(before, after)

    def _remove_run(self, uid: str, up_to: float) -> None:
        run = self._runs.pop(uid, None)
        self._add_tombstone(uid, None, up_to)
        if run is not None:
            for observer in self._observers:
                observer.run_changed(key_of_run(run), None)

    def _remove_pod(self, uid: str) -> Object | None:
        key = self._key_of.pop(uid, None)
        if key is not None:
            self._pods_of[key].discard(uid)
            if not self._pods_of[key]:
                del self._pods_of[key]
        return self._pods.pop(uid, None)

    def _add_tombstone(self, uid: str, last_seen: Object | None, up_to: float) -> None:
        before = self._gone.pop(uid, None)
        self._gone[uid] = _Tombstone(last_seen or (before.last_seen if before else None), up_to)
        while len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)


def key_of_run(run: Object) -> RunKey:
    """Return the key of a TaskRun object."""
    return RunKey(run["metadata"]["namespace"], run["metadata"]["uid"])


def key_of_pod(pod: Object) -> RunKey | None:
    """Return the key of the run that a Pod's label names, or None without that label."""
    uid = (pod["metadata"].get("labels") or {}).get(names.LABEL_UID)
    return RunKey(pod["metadata"]["namespace"], uid) if uid else None


def version(obj: Object) -> int:
    """Return an object's resourceVersion as a number; compare only versions of the same object.

    They are etcd revisions. Kubernetes documents only since 1.35 that they are comparable, but they
    were before (design.md, kopf).
    """
    return int(obj["metadata"].get("resourceVersion") or 0)


def without_managed_fields(obj: Object) -> Object:
    """Return an object without managedFields, which are unused and a fifth of its size."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def slim(run: Object) -> Object:
    """Return the parts of a TaskRun that later decisions need.

    Only managedFields are dropped, unless the run has ended. Then only what its clean-up needs is
    kept.
    """
    run = without_managed_fields(run)
    status = run.get("status") or {}
    if not conditions.is_terminal(run):
        return run
    metadata = run["metadata"]
    collected = (metadata.get("annotations") or {}).get(names.ANNOTATION_COLLECTED)
    return {
        "metadata": {k: metadata[k] for k in _KEPT_METADATA if k in metadata}
        | ({"annotations": {names.ANNOTATION_COLLECTED: collected}} if collected else {}),
        "spec": {k: v for k, v in run["spec"].items() if k in ("podGC", "ttlSecondsAfterFinished")},
        "status": {
            "observedGeneration": status.get("observedGeneration"),
            "phase": status["phase"],
            "completionTime": status.get("completionTime"),
            "attempt": status.get("attempt"),
            "podUID": status.get("podUID"),
            "attempts": [
                {k: v for k, v in attempt.items() if k not in ("message", "nodeName")}
                for attempt in status.get("attempts") or ()
            ],
        },
    }
