"""Bare Pods, driven by the load generator: the most that a cluster can do for a run."""

from dataclasses import dataclass

from benchmarks.throughput.api import Object
from benchmarks.throughput.stages import ATTEMPT, FAIL_TWICE
from benchmarks.throughput.system import LIFTED, RUN, End, Request, Task
from tests.cluster.tuning import Tuning

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Pods:
    """A Pod for each attempt, deleted when it has ended. Nothing survives the load generator."""

    name: str = "pods"
    title: str = "bare Pods"
    root: str = "/api/v1"
    plural: str = "pods"
    removes_pods: bool = True
    controller: None = None
    tuning: Tuning = LIFTED

    def create(self, run: str, task: Task) -> Object:
        """Return the Pod of the first attempt."""
        pod = task.pod(run, {ATTEMPT: "1"})
        return {**pod, "metadata": {**pod["metadata"], "name": f"{run}-1"}}

    def end(self, change: str, obj: Object) -> End | None:
        """Return the end of the Pod, unless another attempt follows."""
        if not (change == "DELETED" or _ended(obj)) or _is_retried(obj):
            return None
        if obj["status"]["phase"] == "Succeeded":
            return End.SUCCEEDED
        return End.CANCELLED if "deletionTimestamp" in obj["metadata"] else End.FAILED

    def cancel(self, run: str) -> Request:
        """Delete the Pod of the first attempt."""
        return Request("DELETE", f"pods/{run}-1")

    def react(self, change: str, obj: Object) -> Request | None:
        """Create the next attempt when a failed Pod is gone, and delete a Pod that has ended."""
        if change == "DELETED":
            return Request("POST", "pods", _next(obj)) if _is_retried(obj) else None
        deleting = "deletionTimestamp" in obj["metadata"]
        name = obj["metadata"]["name"]
        return Request("DELETE", f"pods/{name}") if _ended(obj) and not deleting else None


def _ended(pod: Object) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def _is_retried(pod: Object) -> bool:
    labels = pod["metadata"]["labels"]
    retried = FAIL_TWICE.items() <= labels.items() and int(labels[ATTEMPT]) < ATTEMPTS
    return retried and pod["status"].get("phase") == "Failed"


def _next(pod: Object) -> Object:
    labels = pod["metadata"]["labels"]
    number = int(labels[ATTEMPT]) + 1
    spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
    name = f"{labels[RUN]}-{number}"
    return {"metadata": {"name": name, "labels": {**labels, ATTEMPT: str(number)}}, "spec": spec}
