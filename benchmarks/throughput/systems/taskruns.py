"""TaskRuns, with a controller of this checkout or of another."""

from dataclasses import dataclass

from benchmarks.throughput.api import Object
from benchmarks.throughput.system import (
    COMMAND,
    IMAGE,
    LIFTED,
    Behaviour,
    Controller,
    End,
    Request,
    Task,
    metadata,
)
from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES
from tests.cluster.tuning import Tuning

RETRIES: Object = {"backoffLimit": 2, "backoff": {"duration": "1s", "factor": 1}}


@dataclass(frozen=True, slots=True)
class TaskRuns:
    """A TaskRun for each run. The TaskRun stays; its Pod is deleted after the delay."""

    name: str
    title: str
    controller: Controller
    root: str = f"/apis/{names.GROUP}/{names.VERSION}"
    plural: str = names.PLURAL
    removes_pods: bool = True
    tuning: Tuning = LIFTED

    def create(self, run: str, task: Task) -> Object:
        """Return a TaskRun by its shorthand fields; a template holds what kwok needs."""
        pod = task.pod(run)
        template = {"metadata": pod["metadata"], "spec": task.placement}
        retries = RETRIES if task.behaviour is Behaviour.FAIL_TWICE else {}
        expiry = {"ttlSecondsAfterFinished": 0} if task.transient else {}
        main = {"image": IMAGE, "command": COMMAND, "env": task.env}
        spec = {**main, "template": template, **retries, **expiry}
        kind = {"apiVersion": names.API_VERSION, "kind": names.KIND}
        return {**kind, "metadata": metadata(run), "spec": spec}

    def end(self, change: str, obj: Object) -> End | None:  # noqa: ARG002 - of the protocol
        """Return the end of the TaskRun in a terminal phase."""
        phase = obj["status"].get("phase")
        return End(phase.lower()) if phase in TERMINAL_PHASES else None

    def cancel(self, run: str) -> Request:
        """Set `spec.cancel`."""
        return Request("PATCH", f"{names.PLURAL}/{run}", {"spec": {"cancel": True}})

    def react(self, change: str, obj: Object) -> Request | None:  # noqa: ARG002 - of the protocol
        """Do nothing: the controller acts."""
        return None
