"""Check of design.md, Promise, against every change in a simulated cluster.

The check knows which containers really ran, independent of what was reported. `forced` means that
the finalizer is removed by force, which design.md excepts from the promise. Then only the written
statuses are checked.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.core.unstructured import Object
from tests.simulation import Change, Cluster, Execution, Kind


@dataclass
class Promise:
    """Observe one cluster from its beginning to its end and assert the promise at each change."""

    cluster: Cluster
    forced: bool = False
    ends: dict[str, Object] = field(default_factory=dict)
    """Terminal status by uid of the run."""
    statuses: dict[str, Object] = field(default_factory=dict)
    """Last status by uid of the run."""
    reported: dict[str, int] = field(default_factory=dict)
    """Exit code of main by uid of the Pod, reported by the kubelet while our finalizer was set."""

    def __post_init__(self) -> None:
        self.cluster.store.observe(self._on_change)

    def _on_change(self, change: Change) -> None:
        if change.kind is Kind.RUN and change.type != "DELETED":
            self._on_run(change.object)
        if change.kind is Kind.POD and change.type == "MODIFIED":
            self._on_pod(change.object)

    def _on_run(self, run: Object) -> None:
        uid, status = run["metadata"]["uid"], run["status"]
        before = self.statuses.get(uid) or {}
        if uid in self.ends:
            assert _settled(status) == _settled(self.ends[uid]), "a terminal status changed"
        assert (status.get("attempt") or 0) >= (before.get("attempt") or 0), "attempt went back"
        claimed, earlier = _claimed(status), _claimed(before)
        for pod_uid in claimed[: len(claimed) - 1]:
            assert not self._at_work(pod_uid), "an attempt was claimed beside one that runs"
        assert claimed[: len(earlier)] == earlier, "a claim was taken back"
        if status.get("phase") in TERMINAL_PHASES:
            self.ends.setdefault(uid, status)
            for pod_uid in claimed:
                assert not self._at_work(pod_uid), "a run ended while its Pod was at work"
        self.statuses[uid] = status

    def _on_pod(self, pod: Object) -> None:
        metadata = pod["metadata"]
        if names.FINALIZER_OUTCOME not in (metadata.get("finalizers") or ()):
            return
        for container in pod["status"].get("containerStatuses") or ():
            termination = container["state"].get("terminated")
            if container["name"] == "main" and termination and termination["startedAt"]:
                self.reported[metadata["uid"]] = termination["exitCode"]

    def _at_work(self, pod_uid: str) -> bool:
        running = (e for e in self._work() if e.finished is None)
        return not self.forced and any(e.pod_uid == pod_uid for e in running)

    def _work(self) -> list[Execution]:
        """Return the executions of main containers."""
        return [e for e in self.cluster.kubelet.executions if "TASKRUN_UID" in e.env]

    def check_work(self, run_uid: str, budget: int) -> None:
        """Assert that a run's work was started at most 1 + budget times and never in parallel."""
        if self.forced:
            return
        work = [e for e in self._work() if e.env["TASKRUN_UID"] == run_uid]
        assert len(work) <= 1 + budget, f"work was started {len(work)} times"
        for before, after in pairwise(work):
            assert before.finished is not None, "work was started while it was being done"
            assert before.finished <= after.started, "work was done twice at a time"

    def check_claims(self) -> None:
        """Assert that only claimed Pods ran."""
        claimed = {pod_uid for status in self.statuses.values() for pod_uid in _claimed(status)}
        for execution in self._work():
            assert execution.pod_uid in claimed, "a Pod that nobody claimed ran"

    def check_outcomes(self, run: Object) -> None:
        """Assert that an ended run's status contains every outcome that the kubelet reported."""
        status: Any = run["status"]
        for record in status.get("attempts") or ():
            code = self.reported.get(record["podUID"])
            if code is None or self.forced:
                continue
            assert record.get("exitCode") == code, f"an outcome was lost: {record}"
            if code == 0 and "stopTime" not in record:
                assert record["outcome"] == "Succeeded", f"a success was lost: {record}"


def _settled(status: Object) -> Object:
    """Return a terminal status without observedGeneration, which follows later changes of spec."""
    return {key: value for key, value in status.items() if key != "observedGeneration"}


def _claimed(status: Object) -> list[str]:
    return [record["podUID"] for record in status.get("attempts") or ()]
