"""Jobs of Kubernetes, with one Pod each."""

from dataclasses import dataclass

from benchmarks.throughput.api import Object
from benchmarks.throughput.system import LIFTED, STOCK, Behaviour, Request, Task, metadata
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

    def is_done(self, change: str, obj: Object) -> bool:
        """Return whether the Job has completed, failed, or is suspended without a Pod."""
        ended = {"Complete", "Failed"} | ({"Suspended"} if not _active(obj) else set())
        conditions = obj["status"].get("conditions") or ()
        return change != "DELETED" and any(
            each["type"] in ended and each["status"] == "True" for each in conditions
        )

    def cancel(self, run: str) -> Request:
        """Suspend the Job, which stops its Pod and keeps its object, as a cancelled TaskRun."""
        return Request("PATCH", f"jobs/{run}", {"spec": {"suspend": True}})

    def react(self, change: str, obj: Object) -> Request | None:  # noqa: ARG002 - of the protocol
        """Do nothing: the Job controller acts."""
        return None


_INDEXED: Object = {"completionMode": "Indexed", "completions": 1, "backoffLimitPerIndex": RETRIES}


def _active(job: Object) -> bool:
    return bool(job["status"].get("active") or job["status"].get("terminating"))
