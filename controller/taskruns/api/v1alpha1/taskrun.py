"""The resource as a whole, as it is in the cluster."""

from collections.abc import Mapping

from pydantic import AwareDatetime, Field

from taskruns.api.v1alpha1.model import Model
from taskruns.api.v1alpha1.spec import TaskRunSpec
from taskruns.api.v1alpha1.status import TaskRunStatus


class ObjectMeta(Model):
    """The part of metav1.ObjectMeta that the controller reads."""

    name: str
    namespace: str
    uid: str
    resource_version: str = ""
    generation: int = 1
    creation_timestamp: AwareDatetime | None = None
    deletion_timestamp: AwareDatetime | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)


class TaskRun(Model):
    """One containerised task, run to completion: one Pod per attempt, one outcome."""

    metadata: ObjectMeta
    spec: TaskRunSpec
    status: TaskRunStatus = TaskRunStatus()
