"""The objects as last seen, by uid: watch events and the answers to our own writes meet here.

Nothing older ever replaces anything newer, so a reconcile never acts on a copy from before its
own last write, however late the watch is. What is known to be gone stays gone.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Protocol

from taskruns.api import conditions, names
from taskruns.engines.engine import Object, RunRef

_TOMBSTONES = 1_000
"""Gone objects that are remembered: late events of theirs are ignored, and a Pod that vanished
is judged by how it was last seen."""

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
"""Of a run that has ended: all that a decision about its clean-up reads."""


@dataclass(frozen=True, slots=True)
class RunKey:
    """Identifies a run for as long as anything of it exists."""

    namespace: str
    uid: str


@dataclass(frozen=True, slots=True)
class View:
    """One run as it is seen: the TaskRun, or None, and every Pod that carries its uid."""

    key: RunKey
    run: Object | None
    pods: tuple[Object, ...]

    @property
    def ref(self) -> RunRef:
        """The TaskRun's full identity; a run that is not seen is named by its Pods' label."""
        if self.run is not None:
            name = self.run["metadata"]["name"]
        else:
            labels = (pod["metadata"].get("labels") or {} for pod in self.pods)
            name = next(
                (found[names.LABEL_NAME] for found in labels if names.LABEL_NAME in found), ""
            )
        return RunRef(self.key.namespace, name, self.key.uid)


@dataclass(frozen=True, slots=True)
class Versions:
    """What there is: uid to resourceVersion, as a number."""

    runs: Mapping[str, int]
    pods: Mapping[str, int]

    def all(self) -> dict[str, int]:
        """Return both kinds; a uid is never that of two objects."""
        return {**self.runs, **self.pods}


@dataclass(frozen=True, slots=True)
class _Tombstone:
    """What is remembered of an object that is out of sight."""

    last_seen: Object | None
    version: float
    """Nothing up to this version is taken in again; infinite once a live read proved it gone."""


class Observer(Protocol):
    """Who is told of what the cache takes in, at once and in its order."""

    def run_changed(self, key: RunKey, run: Object | None) -> None:
        """A TaskRun is seen anew, or is gone (None)."""

    def pod_changed(self, before: Object, after: Object | None) -> None:
        """A Pod that was seen before is seen anew, or is seen no more (None)."""


class Cache:
    """Runs and Pods by uid, for one event loop."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._runs: dict[str, Object] = {}
        self._pods: dict[str, Object] = {}
        self._key_of: dict[str, RunKey] = {}
        self._pods_of: defaultdict[RunKey, set[str]] = defaultdict(set)
        self._gone: OrderedDict[str, _Tombstone] = OrderedDict()

    def observe(self, observer: Observer) -> None:
        """Tell somebody of all that is taken in from now on."""
        self._observers.append(observer)

    def view(self, key: RunKey) -> View:
        """Return what is seen of a run now.

        Anybody's Pod may carry the uid of another namespace's run: that run is not seen from there.
        """
        pods = tuple(self._pods[uid] for uid in sorted(self._pods_of.get(key, ())))
        run = self._runs.get(key.uid)
        return View(key, run if run is not None and key_of_run(run) == key else None, pods)

    def put_run(self, run: Object) -> RunKey:
        """Take in a TaskRun unless what is here is newer."""
        key = key_of_run(run)
        if self._newer(run, self._runs.get(key.uid), key.uid):
            self._runs[key.uid] = slim(run)
            for observer in self._observers:
                observer.run_changed(key, run)
        return key

    def put_pod(self, pod: Object) -> RunKey | None:
        """Take in a Pod unless what is here is newer; None for a Pod without our label."""
        key = key_of_pod(pod)
        uid = pod["metadata"]["uid"]
        if key is not None and self._newer(pod, self._pods.get(uid), uid):
            self._set_pod(uid, key, pod)
        return key

    def keep_pod(self, pod: Object, key: RunKey) -> None:
        """Take in a Pod of a run that a live read has just shown, whatever its labels say.

        The watch and every list select by our label, so a Pod that lost it only looks gone.
        """
        uid = pod["metadata"]["uid"]
        self._gone.pop(uid, None)
        if version(pod) >= version(self._pods.get(uid, pod)):
            self._set_pod(uid, key, pod)

    def drop_run(self, uid: str) -> None:
        """Forget a TaskRun that is gone, for good."""
        run = self._runs.pop(uid, None)
        self._bury(uid, None, inf)
        if run is not None:
            for observer in self._observers:
                observer.run_changed(key_of_run(run), None)

    def drop_pod(self, uid: str) -> Object | None:
        """Forget a Pod that is gone, for good; return it as it was last seen, if it was."""
        pod = self._take_out(uid)
        self._bury(uid, pod, inf)
        self._tell_pod(pod, None)
        return self._gone[uid].last_seen

    def lose_pod(self, uid: str) -> None:
        """Forget a Pod that the watch or a list shows no more, until something newer is seen."""
        pod = self._take_out(uid)
        if pod is not None:
            self._bury(uid, pod, version(pod))
            self._tell_pod(pod, None)

    def keys(self) -> Iterator[RunKey]:
        """Every run of which anything is seen."""
        yield from {key_of_run(run) for run in self._runs.values()} | set(self._pods_of)

    def unfinished(self) -> Iterator[RunKey]:
        """Every run that may need something without an event: not ended, or with a Pod left."""
        for key in self.keys():
            phase = ((self._runs.get(key.uid) or {}).get("status") or {}).get("phase")
            if key in self._pods_of or phase not in conditions.TERMINAL_PHASES:
                yield key

    def versions(self, namespace: str = "") -> Versions:
        """How new everything is that is seen, in all namespaces or in one."""

        def of(found: Mapping[str, Object]) -> dict[str, int]:
            return {
                uid: version(each)
                for uid, each in found.items()
                if namespace in ("", each["metadata"]["namespace"])
            }

        return Versions(of(self._runs), of(self._pods))

    def runs(self) -> Collection[Object]:
        """Every TaskRun that is seen; those that have ended only in their slim form."""
        return self._runs.values()

    def pods(self) -> Collection[Object]:
        """Every Pod that is seen."""
        return self._pods.values()

    def _newer(self, found: Object, kept: Object | None, uid: str) -> bool:
        grave = self._gone.get(uid)
        if grave is not None and version(found) <= grave.version:
            return False
        return kept is None or version(found) > version(kept)

    def _set_pod(self, uid: str, key: RunKey, pod: Object) -> None:
        before = self._take_out(uid)
        self._pods[uid] = without_managed_fields(pod)
        self._key_of[uid] = key
        self._pods_of[key].add(uid)
        self._tell_pod(before, pod)

    def _tell_pod(self, before: Object | None, after: Object | None) -> None:
        if before is not None:
            for observer in self._observers:
                observer.pod_changed(before, after)

    def _take_out(self, uid: str) -> Object | None:
        key = self._key_of.pop(uid, None)
        if key is not None:
            self._pods_of[key].discard(uid)
            if not self._pods_of[key]:
                del self._pods_of[key]
        return self._pods.pop(uid, None)

    def _bury(self, uid: str, last_seen: Object | None, up_to: float) -> None:
        before = self._gone.pop(uid, None)
        self._gone[uid] = _Tombstone(last_seen or (before.last_seen if before else None), up_to)
        while len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)


def key_of_run(run: Object) -> RunKey:
    """Name the run that a TaskRun object is."""
    return RunKey(run["metadata"]["namespace"], run["metadata"]["uid"])


def key_of_pod(pod: Object) -> RunKey | None:
    """Name the run that a Pod says it belongs to; None when it says nothing."""
    uid = (pod["metadata"].get("labels") or {}).get(names.LABEL_UID)
    return RunKey(pod["metadata"]["namespace"], uid) if uid else None


def version(found: Object) -> int:
    """Return an object's resourceVersion as the number that it is (comparable since 1.35)."""
    return int(found["metadata"].get("resourceVersion") or 0)


def without_managed_fields(found: Object) -> Object:
    """Return an object without the part that nobody here reads, a fifth of its size."""
    metadata = {k: v for k, v in found["metadata"].items() if k != "managedFields"}
    return {**found, "metadata": metadata}


def slim(run: Object) -> Object:
    """Return what later decisions need of a TaskRun: of one that has ended, only clean-up."""
    run = without_managed_fields(run)
    status = run.get("status") or {}
    if status.get("phase") not in conditions.TERMINAL_PHASES:
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
