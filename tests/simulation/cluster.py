"""A simulated cluster: actions of users and of nodes, and the controllers of Kubernetes.

The scheduler binds Pods without gates to nodes, the garbage collector follows ownerReferences, and
nodes are lost and come back. Requests of the controller are in `engine`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from taskruns.core.facts import ENDED_PHASES
from taskruns.core.plan import Event, Refusal, RefusalKind
from taskruns.core.unstructured import Draft, Object, drafted, merged, with_condition
from taskruns.engines.engine import Refused, RunRef
from taskruns.engines.kubernetes.event_recorder import EventCorrelator
from tests.simulation.admission import admitted
from tests.simulation.agenda import Agenda
from tests.simulation.kubelet import Kubelet, Scripts
from tests.simulation.script import Script
from tests.simulation.store import Change, Kind, Store

Admission = Callable[[Object], Refusal | None]
"""Function that returns the refusal of a Pod manifest, or None."""

_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
"""The finalizers that `--cascade=orphan` and `--cascade=foreground` set.

The garbage collector removes them.
"""
_WORDS = {
    "EvictionByEvictionAPI": "Eviction API: evicting",
    "PreemptionByScheduler": "default-scheduler: preempting to accommodate a higher priority pod",
    "DeletionByTaintManager": "Taint manager: deleting due to NoExecute taint",
    "DeletionByPodGC": "PodGC: node no longer exists",
}
"""Messages of Kubernetes for each reason of a disruption."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Delays of the parts of a cluster, in seconds."""

    schedule: float = 0.005
    notice: float = 0.005
    """Until a kubelet notices a change of one of its Pods."""
    start: float = 0.4
    """From the kubelet's notice until the first container runs."""
    collect: float = 0.05
    """Until the garbage collector acts."""
    evict: float = 350.0
    """Until the Pods of a lost node are deleted: 50 s of grace and 300 s of toleration."""


def _default_script(_pod: Object, _container: Object) -> Script:
    return Script()


class Cluster:
    """Nodes, users, and the controllers of every cluster."""

    def __init__(self, scripts: Scripts = _default_script, latency: Latency | None = None) -> None:
        self.agenda = Agenda()
        self.store = Store(self.agenda)
        self.latency = latency or Latency()
        self.kubelet = Kubelet(
            self.agenda,
            self.store,
            scripts,
            notice=self.latency.notice,
            start=self.latency.start,
        )
        self.nodes = ["node-1"]
        """Nodes without labels; every Pod is scheduled to the first one."""
        self.admission: list[Admission] = []
        """Admission checks of Pods, besides their validity."""
        self.correlator = EventCorrelator()
        """The Events that controllers have recorded."""
        self._going: set[str] = set()
        self.store.observe(self._on_change)

    # Actions of users.

    def create_run(self, manifest: Object) -> Object:
        """Create a TaskRun, as `kubectl create` does.

        Raises:
            AlreadyExists: there is a TaskRun of that name.
        """
        run: Draft = drafted(manifest)
        run["metadata"].setdefault("namespace", "default")
        run["status"] = {"observedGeneration": -1}
        return self.store.create(Kind.RUN, run)

    def patch(self, kind: Kind, namespace: str, name: str, patch: Object) -> Object:
        """Apply a merge patch to an object and return the result."""
        live = self.store.get(kind, namespace, name)
        return self.store.update(kind, drafted(merged(live, patch)))

    def create_pod(self, manifest: Object) -> Object:
        """Create a Pod and return it.

        Raises:
            Refused: the namespace is terminating, or admission or validation refuses the Pod.
            AlreadyExists: there is a Pod of that name.
        """
        namespace = manifest["metadata"]["namespace"]
        if namespace in self._going:
            message = f"namespace {namespace} is being terminated"
            raise Refused(Refusal(RefusalKind.NAMESPACE_TERMINATING, message))
        for admission in self.admission:
            if (refusal := admission(manifest)) is not None:
                raise Refused(refusal)
        return self.store.create(Kind.POD, admitted(manifest, self.agenda.now))

    def create_event(self, run: RunRef, event: Event) -> None:
        """Record an Event, unless the namespace is terminating."""
        if run.namespace not in self._going:
            self.correlator.note(run, event)

    def delete_run(
        self, namespace: str, name: str, *, orphan: bool = False, foreground: bool = False
    ) -> None:
        """Delete a TaskRun with background propagation, or with orphan or foreground."""
        run = self.store.get(Kind.RUN, namespace, name)
        if run is not None and (orphan or foreground):
            draft = drafted(run)
            finalizers = draft["metadata"].setdefault("finalizers", [])
            finalizers.append(_ORPHAN if orphan else _FOREGROUND)
            run = self.store.update(Kind.RUN, draft)
            collect = self._orphan if orphan else self._collect_first
            self.agenda.after(self.latency.collect, partial(collect, run["metadata"]["uid"]))
        if run is not None:
            self.store.mark_deleted(Kind.RUN, run, 0)

    def delete_pod(self, pod: Object, *, grace: int | None = None) -> Object | None:
        """Delete a Pod; return it while it terminates, or None if it is gone at once."""
        ended = pod["status"]["phase"] in ENDED_PHASES or not pod["spec"].get("nodeName")
        own = pod["spec"]["terminationGracePeriodSeconds"]
        return self.store.mark_deleted(
            Kind.POD, pod, 0 if ended else own if grace is None else grace
        )

    def force_off_finalizers(self, pod: Object) -> None:
        """Remove every finalizer of a Pod by force."""
        draft = drafted(pod)
        draft["metadata"].pop("finalizers", None)
        self.store.update(Kind.POD, draft)

    def terminate_namespace(self, namespace: str) -> None:
        """Delete a namespace: it accepts no new Pods; its Pods go first, then its TaskRuns."""
        self._going.add(namespace)
        for pod in self.store.all(Kind.POD):
            if pod["metadata"]["namespace"] == namespace:
                self.delete_pod(pod)
        self.agenda.after(1.0, partial(self._empty, namespace))

    # Events of nodes and Pods.

    def evict(self, pod: Object, reason: str = "EvictionByEvictionAPI") -> None:
        """Mark a Pod as disrupted by the cluster (eviction, preemption), and delete it."""
        self.delete_pod(self._mark_disrupted(pod, reason))

    def lose_node(self, node: str) -> None:
        """Lose a node: its Pods continue there, and their status no longer changes."""
        self.nodes.remove(node)
        self.kubelet.cut_off(node)
        self.agenda.after(self.latency.evict, partial(self._evict_from, node))

    def restore_node(self, node: str) -> None:
        """Bring a lost node back."""
        self.nodes.append(node)
        self.kubelet.reconnect(node)
        self._schedule_all()

    def remove_node(self, node: str) -> None:
        """Switch a node off and delete it; its Pods are ended in its place."""
        if node in self.nodes:
            self.nodes.remove(node)
        self.kubelet.power_off(node)
        for pod in self.store.all(Kind.POD):
            if pod["spec"].get("nodeName") == node:
                self._collect_from_lost_node(pod)

    def reboot_node(self, node: str) -> None:
        """Reboot a node: its containers have ended, and how is unknown."""
        self.kubelet.reboot(node)

    def add_node(self, node: str) -> None:
        """Add a node."""
        self.nodes.append(node)
        self._schedule_all()

    def _evict_from(self, node: str) -> None:
        if node in self.nodes:
            return
        for pod in self.store.all(Kind.POD):
            if pod["spec"].get("nodeName") == node and pod["status"]["phase"] not in ENDED_PHASES:
                self.evict(pod, "DeletionByTaintManager")

    def _collect_from_lost_node(self, pod: Object) -> None:
        if pod["status"]["phase"] not in ENDED_PHASES:
            draft = drafted(self._mark_disrupted(pod, "DeletionByPodGC"))
            draft["status"]["phase"] = "Failed"
            pod = self.store.update(Kind.POD, draft)
        self.delete_pod(pod, grace=0)

    def _mark_disrupted(self, pod: Object, reason: str) -> Object:
        draft = drafted(pod)
        condition = {"type": "DisruptionTarget", "status": "True", "reason": reason}
        condition["message"] = _WORDS.get(reason, "")
        draft["status"] = with_condition(draft["status"], self.agenda.now, condition)
        return self.store.update(Kind.POD, draft)

    # Actions of the cluster itself.

    def _on_change(self, change: Change) -> None:
        latency, metadata = self.latency, change.object["metadata"]
        if change.kind is Kind.RUN and change.type == "DELETED":
            self.agenda.after(latency.collect, partial(self._collect_owned, metadata["uid"]))
        if change.kind is Kind.POD and change.type != "DELETED":
            if not change.object["spec"].get("nodeName"):
                self.agenda.after(latency.schedule, partial(self._schedule, metadata["uid"]))
            if change.type == "ADDED":
                self.agenda.after(latency.collect, partial(self._collect, metadata["uid"]))

    def _schedule_all(self) -> None:
        for pod in self.store.all(Kind.POD):
            self._schedule(pod["metadata"]["uid"])

    def _schedule(self, uid: str) -> None:
        pod = self.store.find(Kind.POD, uid)
        if pod is None or pod["spec"].get("schedulingGates") or pod["spec"].get("nodeName"):
            return
        if "deletionTimestamp" in pod["metadata"] or pod["status"]["phase"] in ENDED_PHASES:
            return
        draft = drafted(pod)
        scheduled = {"type": "PodScheduled", "status": "True"}
        if self.nodes and not pod["spec"].get("nodeSelector"):
            draft["spec"]["nodeName"] = self.nodes[0]
        else:
            scheduled |= {"status": "False", "reason": "Unschedulable"}
            scheduled["message"] = f"0/{len(self.nodes)} nodes are available"
        draft["status"] = with_condition(draft["status"], self.agenda.now, scheduled)
        self.store.update(Kind.POD, draft)

    def _collect(self, pod_uid: str) -> None:
        """Delete a Pod whose owner does not exist, even if the Pod was created later."""
        pod = self.store.find(Kind.POD, pod_uid)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        owners = pod["metadata"].get("ownerReferences") or ()
        if owners and not any(self.store.find(Kind.RUN, owner["uid"]) for owner in owners):
            self.delete_pod(pod)

    def _collect_owned(self, run_uid: str) -> None:
        for pod in self.store.all(Kind.POD):
            if _owned_by(pod, run_uid):
                self._collect(pod["metadata"]["uid"])

    def _orphan(self, run_uid: str) -> None:
        """Remove the owner from a run's Pods, then release the run."""
        for pod in self.store.all(Kind.POD):
            if _owned_by(pod, run_uid):
                draft = drafted(pod)
                del draft["metadata"]["ownerReferences"]
                self.store.update(Kind.POD, draft)
        self._release_run(run_uid, _ORPHAN)

    def _collect_first(self, run_uid: str) -> None:
        """Delete a run's Pods, and release the run when none is left that blocks its deletion."""
        if self.store.find(Kind.RUN, run_uid) is None:
            return
        blocking = False
        for pod in self.store.all(Kind.POD):
            if _owned_by(pod, run_uid):
                gone = self.delete_pod(pod) is None
                blocking = blocking or (not gone and _blocks(pod, run_uid))
        if blocking:
            self.agenda.after(self.latency.collect, partial(self._collect_first, run_uid))
        else:
            self._release_run(run_uid, _FOREGROUND)

    def _release_run(self, uid: str, finalizer: str) -> None:
        run = self.store.find(Kind.RUN, uid)
        if run is not None:
            draft = drafted(run)
            held = draft["metadata"].pop("finalizers", ())
            if remaining := [name for name in held if name != finalizer]:
                draft["metadata"]["finalizers"] = remaining
            self.store.update(Kind.RUN, draft)

    def _empty(self, namespace: str) -> None:
        for run in self.store.all(Kind.RUN):
            if run["metadata"]["namespace"] == namespace:
                self.store.mark_deleted(Kind.RUN, run, 0)


def quota(cluster: Cluster, pods: int) -> Admission:
    """Return an admission check that limits the Pods in each namespace that have not ended."""

    def admission(manifest: Object) -> Refusal | None:
        namespace = manifest["metadata"]["namespace"]
        live = [p for p in cluster.store.all(Kind.POD) if p["metadata"]["namespace"] == namespace]
        used = sum(pod["status"]["phase"] not in ENDED_PHASES for pod in live)
        if used < pods:
            return None
        message = (
            f"exceeded quota: pods, requested: pods=1, used: pods={used}, limited: pods={pods}"
        )
        return Refusal(
            RefusalKind.QUOTA_EXCEEDED,
            f"pods {manifest['metadata']['name']!r} is forbidden: {message}",
        )

    return admission


def _blocks(pod: Object, uid: str) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(o.get("uid") == uid and o.get("blockOwnerDeletion") for o in owners)


def _owned_by(pod: Object, uid: str) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == uid for owner in owners)
