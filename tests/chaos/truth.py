"""What really happened, from the apiserver's audit log, its watch, and lines of containers.

The audit log holds each version of an object that the apiserver has stored. A killed apiserver may
not have logged its last writes, so the versions that a watch of this program has shown are added.
resourceVersions order all versions of all objects.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from taskruns.api import names
from tests.support.cluster.client import Object
from tests.support.promise import UNSEEN

NEVER = 2**63


@dataclass(slots=True)
class PodTruth:
    """One Pod of a run; times are resourceVersions."""

    uid: str
    run_uid: str
    released: int = NEVER
    """When it lost our gate."""
    ended: int = NEVER
    """When its end was reported, or its deletion before it had a node."""
    started: bool = False
    """Whether main was reported as running or ended."""
    exit_code: int | None = None
    """Exit code of main that the kubelet has reported."""

    def take(self, pod: Object) -> None:
        """Take one stored version into account, in any order."""
        version, metadata = int(pod["metadata"]["resourceVersion"]), pod["metadata"]
        status, spec = pod.get("status") or {}, pod["spec"]
        gates = spec.get("schedulingGates") or ()
        if not any(gate["name"] == names.GATE_CLAIM for gate in gates):
            self.released = min(self.released, version)
        unbound = not spec.get("nodeName") and metadata.get("deletionTimestamp")
        if status.get("phase") in ("Succeeded", "Failed") or unbound:
            self.ended = min(self.ended, version)
        for container in status.get("containerStatuses") or ():
            state = container.get("state") or {}
            ended = state.get("terminated") or {}
            if container["name"] != "main" or not (state.get("running") or ended.get("startedAt")):
                continue
            self.started = True
            if ended and ended.get("reason") not in (UNSEEN, "ContainerStatusUnknown"):
                self.exit_code = ended["exitCode"]


@dataclass(slots=True)
class RunTruth:
    """One run: its spec, and every status that was stored, by resourceVersion."""

    name: str
    uid: str
    spec: Object
    statuses: dict[int, Object] = field(default_factory=dict)
    pods: list[PodTruth] = field(default_factory=list)

    @property
    def last(self) -> Object:
        """The last stored status."""
        return self.statuses[max(self.statuses)] if self.statuses else {}

    @property
    def records(self) -> list[Object]:
        """The records of its attempts."""
        return list(self.last.get("attempts") or ())


Line = tuple[int, float]
"""Number of an attempt, and seconds at which its container wrote a line."""


@dataclass
class Truth:
    """All runs of one session."""

    runs: dict[str, RunTruth] = field(default_factory=dict)
    pods: dict[str, PodTruth] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=dict)
    """Lines of containers by uid of the run."""
    requests: Counter[str] = field(default_factory=Counter)
    """Requests of controllers by HTTP status."""

    def take(self, obj: Object) -> None:
        """Take one stored version of a TaskRun or Pod into account.

        The response to a delete that has removed the object may have no version.
        """
        metadata = obj["metadata"]
        if "resourceVersion" not in metadata:
            return
        uid = metadata["uid"]
        if obj["kind"] == names.KIND:
            run = self.runs.setdefault(uid, RunTruth(metadata["name"], uid, obj["spec"]))
            run.statuses[int(metadata["resourceVersion"])] = obj.get("status") or {}
        elif owner := (metadata.get("labels") or {}).get(names.LABEL_UID):
            if uid not in self.pods:
                self.pods[uid] = PodTruth(uid, owner)
            self.pods[uid].take(obj)

    def close(self, lines: Iterable[str]) -> None:
        """Assign Pods and lines to their runs."""
        for pod in self.pods.values():
            if pod.run_uid in self.runs:
                self.runs[pod.run_uid].pods.append(pod)
        by_run: defaultdict[str, list[Line]] = defaultdict(list)
        for uid, attempt, seconds in map(str.split, lines):
            by_run[uid].append((int(attempt), float(seconds)))
        self.lines = dict(by_run)


def stored(log: Path, start: int, namespace: str, truth: Truth) -> None:
    """Read the audit log from an offset, and take every stored version of a namespace."""
    with log.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            entry = json.loads(line)
            about = entry.get("objectRef") or {}
            code = (entry.get("responseStatus") or {}).get("code", 0)
            if about.get("namespace") != namespace:
                continue
            if str(entry.get("userAgent")).startswith("taskruns-controller"):
                truth.requests[str(code)] += 1
            stored_object = entry.get("responseObject") or {}
            if code < 300 and stored_object.get("kind") in (names.KIND, "Pod"):
                truth.take(stored_object)
