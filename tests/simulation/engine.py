"""The `Engine` port on a simulated cluster; it records every request for tests of cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from taskruns.api import names
from taskruns.core.plan import STOP_SECONDS, Event, PodRef
from taskruns.core.unstructured import Draft, Object, drafted, merged
from taskruns.engines.engine import Conflict, RunRef
from tests.simulation.cluster import Cluster
from tests.simulation.store import Kind


@dataclass(frozen=True, slots=True)
class Request:
    """One request that reached the apiserver."""

    verb: str
    """Name of the port's method."""
    name: str
    at: datetime

    @property
    def writes(self) -> bool:
        """Whether the request was sent to change something."""
        return not self.verb.startswith("read")


class MemoryEngine:
    """One controller's connection to a simulated cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._store = cluster.store
        self.requests: list[Request] = []
        self.warnings: dict[str, Sequence[str]] = {}
        """Messages of warning Events, by the uid of their Pod."""

    async def read_run(self, namespace: str, name: str) -> Object | None:
        """Return a TaskRun, or None if there is none of that name."""
        self._record("read_run", name)
        return self._store.get(Kind.RUN, namespace, name)

    async def read_pod(self, namespace: str, name: str) -> Object | None:
        """Return a Pod, or None if there is none of that name."""
        self._record("read_pod", name)
        return self._store.get(Kind.POD, namespace, name)

    async def read_pod_events(self, pod: PodRef) -> Sequence[str]:
        """Return the Pod's warnings that a test has set."""
        self._record("read_pod_events", pod.name)
        return self.warnings.get(pod.uid, ())

    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        """Merge a patch into the status subresource; the rest of the run stays the same."""
        self._record("write_status", run.name)
        live = self._run(run)
        if live is None:
            return None
        _check_version(live, patch["metadata"].get("resourceVersion"))
        status = merged(live.get("status"), patch["status"])
        return self._store.update(Kind.RUN, drafted({**live, "status": status}))

    async def create_pod(self, manifest: Object) -> Object:
        """Create a Pod.

        Raises:
            AlreadyExists: there is a Pod of that name.
            Refused: the apiserver refuses the Pod.
        """
        self._record("create_pod", manifest["metadata"]["name"])
        return self._cluster.create_pod(manifest)

    async def release_gate(self, pod: PodRef) -> Object | None:
        """Remove our scheduling gate, and no other."""
        draft = self._pod("release_gate", pod)
        if draft is None:
            return None
        gates = draft["spec"].get("schedulingGates") or ()
        draft["spec"]["schedulingGates"] = [g for g in gates if g["name"] != names.GATE_CLAIM]
        if not draft["spec"]["schedulingGates"]:
            del draft["spec"]["schedulingGates"]
        return self._store.update(Kind.POD, draft)

    async def stop_pod(self, pod: PodRef) -> Object | None:
        """Set the Pod's activeDeadlineSeconds to `STOP_SECONDS`, so that the kubelet stops it."""
        draft = self._pod("stop_pod", pod)
        if draft is None:
            return None
        draft["spec"]["activeDeadlineSeconds"] = STOP_SECONDS
        return self._store.update(Kind.POD, draft)

    async def release_pod(self, pod: PodRef) -> Object | None:
        """Remove our finalizer; a Pod that is being deleted goes with its last finalizer."""
        draft = self._pod("release_pod", pod)
        if draft is None:
            return None
        finalizers = draft["metadata"].get("finalizers") or ()
        draft["metadata"]["finalizers"] = [f for f in finalizers if f != names.FINALIZER_OUTCOME]
        if not draft["metadata"]["finalizers"]:
            del draft["metadata"]["finalizers"]
        after = self._store.update(Kind.POD, draft)
        return after if self._find_pod(pod) is not None else None

    async def delete_pod(self, pod: PodRef, resource_version: str | None = None) -> Object | None:
        """Delete the Pod, with its grace period if it runs on a node."""
        draft = self._pod("delete_pod", pod)
        if draft is None:
            return None
        if resource_version is not None:
            _check_version(draft, resource_version)
        return self._cluster.delete_pod(draft)

    async def delete_run(self, run: RunRef, resource_version: str) -> Object | None:
        """Delete the TaskRun; its Pods go with it."""
        self._record("delete_run", run.name)
        live = self._run(run)
        if live is None:
            return None
        _check_version(live, resource_version)
        self._cluster.delete_run(run.namespace, run.name)
        return self._run(run)

    def record_event(self, run: RunRef, event: Event) -> None:
        """Record an Event at once; it counts as no request, because no run waits for it."""
        self._cluster.create_event(run, event)

    def _record(self, verb: str, name: str) -> None:
        self.requests.append(Request(verb, name, self._cluster.agenda.now))

    def _run(self, run: RunRef) -> Object | None:
        live = self._store.get(Kind.RUN, run.namespace, run.name)
        return live if live is not None and live["metadata"]["uid"] == run.uid else None

    def _find_pod(self, pod: PodRef) -> Object | None:
        live = self._store.get(Kind.POD, pod.namespace, pod.name)
        return live if live is not None and live["metadata"]["uid"] == pod.uid else None

    def _pod(self, verb: str, pod: PodRef) -> Draft | None:
        self._record(verb, pod.name)
        live = self._find_pod(pod)
        return None if live is None else dict(drafted(live))


def _check_version(live: Object, seen: str | None) -> None:
    """Refuse a write on an old version; a write without a version overwrites, as in Kubernetes."""
    version = live["metadata"]["resourceVersion"]
    if seen is not None and version != seen:
        raise Conflict(f"the object has been modified: it is at {version}, not at {seen}")
