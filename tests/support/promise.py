"""Check of design.md, Promise, against every change in a simulated cluster.

The check knows which containers really ran, independent of what was reported. `forced` holds the
runs of which a finalizer was removed by force, which design.md excepts from the promise. Only the
written statuses of these are checked.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.core.unstructured import Object
from tests.simulation import Change, Cluster, Execution, Kind

UNSEEN = "Unknown"
"""Reason with which a kubelet reports an exit code that it has invented."""


@dataclass
class Promise:
    """Observe one cluster from its beginning to its end and assert the promise at each change."""

    cluster: Cluster
    forced: set[str] = field(default_factory=set)
    """Uids of runs, a Pod of which has lost its finalizer by force."""
    ends: dict[str, Object] = field(default_factory=dict)
    """Terminal status by uid of the run."""
    statuses: dict[str, Object] = field(default_factory=dict)
    """Last status by uid of the run."""
    reported: dict[str, int] = field(default_factory=dict)
    """Exit code of main by uid of the Pod, reported by the kubelet while our finalizer was set."""
    created: dict[str, str] = field(default_factory=dict)
    """Uid of the run by uid of its Pod, for every Pod that was created with our label."""
    released: set[str] = field(default_factory=set)
    """Uids of the Pods that have lost our scheduling gate."""

    def __post_init__(self) -> None:
        self.cluster.store.observe(self._on_change)

    def _on_change(self, change: Change) -> None:
        if change.kind is Kind.RUN and change.type != "DELETED":
            self._on_run(change.object)
        if change.kind is Kind.POD and change.type == "ADDED":
            labels = change.object["metadata"].get("labels") or {}
            if names.LABEL_UID in labels:
                self.created[change.object["metadata"]["uid"]] = labels[names.LABEL_UID]
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
        for pod_uid in claimed[len(earlier) :]:
            assert self.created.get(pod_uid) == uid, "a Pod was claimed that is not the run's"
        numbers = [record["number"] for record in status.get("attempts") or ()]
        assert numbers == list(range(1, 1 + (status.get("attempt") or 0))), "attempts are missing"
        assert claimed[: len(earlier)] == earlier, "a claim was taken back"
        if status.get("phase") in TERMINAL_PHASES:
            self.ends.setdefault(uid, status)
            for pod_uid in claimed:
                assert not self._at_work(pod_uid), "a run ended while its Pod was at work"
        self.statuses[uid] = status

    def _on_pod(self, pod: Object) -> None:
        metadata = pod["metadata"]
        gates = pod["spec"].get("schedulingGates") or ()
        if metadata["uid"] in self.created and not any(
            g["name"] == names.GATE_CLAIM for g in gates
        ):
            self.released.add(metadata["uid"])
        if names.FINALIZER_OUTCOME not in (metadata.get("finalizers") or ()):
            return
        for container in pod["status"].get("containerStatuses") or ():
            termination = container["state"].get("terminated")
            if container["name"] != "main" or not termination or not termination["startedAt"]:
                continue
            if termination["reason"] != UNSEEN:
                self.reported[metadata["uid"]] = termination["exitCode"]

    def _at_work(self, pod_uid: str) -> bool:
        running = (e for e in self._work() if e.finished is None)
        return any(e.pod_uid == pod_uid for e in running)

    def _work(self) -> list[Execution]:
        """Return the executions of main containers, without those of forced runs."""
        executions = (e for e in self.cluster.kubelet.executions if "TASKRUN_UID" in e.env)
        return [e for e in executions if e.env["TASKRUN_UID"] not in self.forced]

    def check_work(self, run_uid: str, budget: int) -> None:
        """Assert that a run's work was started at most 1 + budget times and never in parallel."""
        work = [e for e in self._work() if e.env["TASKRUN_UID"] == run_uid]
        assert len(work) <= 1 + budget, f"work was started {len(work)} times"
        for before, after in pairwise(work):
            assert before.finished is not None, "work was started while it was being done"
            assert before.finished <= after.started, "work was done twice at a time"

    def claimed(self) -> set[str]:
        """Return the uids of all Pods that were ever claimed."""
        return {pod_uid for status in self.statuses.values() for pod_uid in _claimed(status)}

    def check_claims(self) -> None:
        """Assert that only claimed Pods were released by us, or ran."""
        claimed = self.claimed()
        for execution in self._work():
            assert execution.pod_uid in claimed, "a Pod that nobody claimed ran"
        assert self.released <= claimed, "a Pod that nobody claimed was released"

    def check_outcomes(self) -> None:
        """Assert that every terminal status contains the outcomes that the kubelet reported."""
        for uid, status in self.ends.items():
            if uid not in self.forced:
                self._check_outcomes(status)

    def _check_outcomes(self, status: Any) -> None:
        for record in status.get("attempts") or ():
            code = self.reported.get(record["podUID"])
            if code is None:
                continue
            assert record.get("exitCode") == code, f"an outcome was lost: {record}"
            if code == 0 and "stopTime" not in record:
                assert record["outcome"] == "Succeeded", f"a success was lost: {record}"


def _settled(status: Object) -> Object:
    """Return a terminal status without observedGeneration, which follows later changes of spec."""
    return {key: value for key, value in status.items() if key != "observedGeneration"}


def _claimed(status: Object) -> list[str]:
    return [record["podUID"] for record in status.get("attempts") or ()]
