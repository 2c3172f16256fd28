"""Jobs of Kubernetes, with one Pod each."""

from dataclasses import dataclass

from benchmarks.throughput.api import Object
from benchmarks.throughput.system import LIFTED, STOCK, Behaviour, End, Request, Task, metadata
from tests.cluster.tuning import Tuning

RETRIES = 2


@dataclass(frozen=True, slots=True)
class Jobs:
    """A Job for each run. Job and Pod stay until the turn is over, as they do by default."""

    name: str = "jobs"
    title: str = "Job, lifted limits"
    stock: bool = False
    """Whether controller-manager and scheduler have their default client limits."""
    root: str = "/apis/batch/v1"
    plural: str = "jobs"
    removes_pods: bool = False
    controller: None = None

    @property
    def tuning(self) -> Tuning:
        """Settings of the control plane."""
        return STOCK if self.stock else LIFTED

    def create(self, run: str, task: Task) -> Object:
        """Return a Job; one that retries is indexed, so that its Pods count their failures."""
        spec: Object = {"template": task.pod(run), "backoffLimit": 0}
        if task.behaviour is Behaviour.FAIL_TWICE:
            spec = {**_INDEXED, "template": task.pod(run)}
        return {"metadata": metadata(run), "spec": spec}

    def end(self, change: str, obj: Object) -> End | None:  # noqa: ARG002 - of the protocol
        """Return the end of the Job; it is cancelled if it is suspended without a Pod."""
        conditions = obj["status"].get("conditions") or ()
        true = {each["type"] for each in conditions if each["status"] == "True"}
        if "Suspended" in true and _active(obj):
            return None
        return next((end for kind, end in _ENDS.items() if kind in true), None)

    def cancel(self, run: str) -> Request:
        """Suspend the Job, which stops its Pod and keeps its object, as a cancelled TaskRun."""
        return Request("PATCH", f"jobs/{run}", {"spec": {"suspend": True}})

    def react(self, change: str, obj: Object) -> Request | None:  # noqa: ARG002 - of the protocol
        """Do nothing: the Job controller acts."""
        return None


_ENDS = {"Complete": End.SUCCEEDED, "Failed": End.FAILED, "Suspended": End.CANCELLED}
_INDEXED: Object = {"completionMode": "Indexed", "completions": 1, "backoffLimitPerIndex": RETRIES}


def _active(job: Object) -> bool:
    return bool(job["status"].get("active") or job["status"].get("terminating"))
