"""The `TaskRun` resource, version v1alpha1: every field with its meaning, unit, default and bound.

The CRD and the reference pages are generated from these models (`taskruns.api.crd`). A field that
is absent stays absent in the cluster. Defaults are applied where a field is read, and each
description states its default. The models are never stricter than the CRD, so that every object
that the apiserver has stored can be parsed.
"""

from taskruns.api.v1alpha1.model import (
    MAX_SECONDS,
    CoreObject,
    Duration,
    Model,
    Time,
)
from taskruns.api.v1alpha1.spec import (
    DEFAULT_RESULT_PATH,
    Backoff,
    PodGC,
    PodGCStrategy,
    PodReplacementPolicy,
    TaskRunSpec,
)
from taskruns.api.v1alpha1.status import Attempt, Condition, ObjectMeta, TaskRun, TaskRunStatus

__all__ = [
    "DEFAULT_RESULT_PATH",
    "MAX_SECONDS",
    "Attempt",
    "Backoff",
    "Condition",
    "CoreObject",
    "Duration",
    "Model",
    "ObjectMeta",
    "PodGC",
    "PodGCStrategy",
    "PodReplacementPolicy",
    "TaskRun",
    "TaskRunSpec",
    "TaskRunStatus",
    "Time",
]
