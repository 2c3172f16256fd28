"""The status of a TaskRun, which only the controller writes, and the TaskRun as a whole."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AwareDatetime, Field, WithJsonSchema

from taskruns.api.conditions import ConditionType, FailureKind, Outcome, Phase
from taskruns.api.v1alpha1.model import Model, Time, keyed_by
from taskruns.api.v1alpha1.spec import TaskRunSpec

_OUTPUT = ". Last output: "
"""Separator of a cause and the output of the task."""
_BETWEEN = " | "


def join_output(cause: str, lines: Iterable[str]) -> str:
    """Join a cause and the last lines of output into one line."""
    output = _BETWEEN.join(line.strip() for line in lines if line.strip())
    return f"{cause}{_OUTPUT}{output}" if output else cause


def split_output(message: str) -> tuple[str, list[str]]:
    """Return the cause in a message, and the lines of output at its end.

    A line of output that contains the separator is returned as several lines.
    """
    cause, _, output = message.partition(_OUTPUT)
    return cause, output.split(_BETWEEN) if output else []


MAX_ATTEMPTS = 20
"""Maximum number of attempt records in a status."""

MAX_COUNT = 2**31 - 1

Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Code = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Generation = Annotated[int, Field(ge=-1)]
ConditionWord = Annotated[
    ConditionType | str,
    Field(union_mode="left_to_right"),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 316}),
]
"""A condition type of taskruns, or one that another client or a newer controller has added."""


class Attempt(Model):
    """The record of one attempt: one Pod."""

    number: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        description="Number of the attempt, from 1."
    )
    pod_name: str = Field(description="Name of its Pod.")
    pod_uid: str = Field(
        alias="podUID", description="Uid of its Pod, recorded before the Pod may run (the claim)."
    )
    node_name: str | None = Field(None, description="Node that it ran on.")
    created_time: Time | None = Field(None, description="When its Pod was created.")
    scheduled_time: Time | None = Field(None, description="When its Pod was assigned to a node.")
    started_time: Time | None = Field(None, description="When its main container first started.")
    finished_time: Time | None = Field(
        None, description="When its main container ended; otherwise, when its Pod ended."
    )
    stop_time: Time | None = Field(None, description="When the stop of the attempt was recorded.")
    trouble_time: Time | None = Field(
        None, description="When the condition in reason that prevents the start was first seen."
    )
    exit_code: Code | None = Field(
        None,
        description="Exit code of its main container; absent if main never ran or its end is "
        "unknown.",
    )
    signal: Code | None = Field(
        None,
        description="Number of the signal that ended its main container, such as 9 for exit code "
        "137. Absent if the exit code does not denote a signal that the system sends.",
    )
    reason: str | None = Field(
        None,
        description="Reason why it ended or is being stopped, in CamelCase; see docs/reasons.md.",
    )
    message: str | None = Field(
        None, description="Human-readable explanation of reason, in one line."
    )
    outcome: Outcome | None = Field(
        None,
        description="How it ended: Succeeded, Failed (counts for backoffLimit), Disrupted (ended "
        "by the cluster after main may have started), Replaced (ended by the cluster before main "
        "started), Requeued (stopped by Kueue and queued again), Ignored (by podFailurePolicy) or "
        "Stopped (by the controller: cancel, suspend, a deadline, or a start that cannot succeed). "
        "Absent while the attempt is active.",
    )
    final: bool | None = Field(
        None, description="True if podFailurePolicy (FailJob) forbids another attempt."
    )


class Condition(Model):
    """An aspect of the run's state, in the form of metav1.Condition."""

    type: ConditionWord = Field(
        description="Complete, Failed, Finished (Complete or Failed), Suspended, Reconciling, "
        "Stalled, PodRefused or ResultStored."
    )
    status: str = Field(
        description="Status of the condition.",
        json_schema_extra={"enum": ["True", "False", "Unknown"]},
    )
    observed_generation: Generation | None = Field(
        None, description="Generation of the TaskRun for which the condition was set."
    )
    last_transition_time: Time = Field(description="When status last changed.")
    reason: str = Field(description="Reason for the status, in CamelCase.")
    message: str = Field("", description="Human-readable explanation of reason.")


class TaskRunStatus(Model):
    """The observed state of the run. Only the controller writes it."""

    observed_generation: Generation | None = Field(
        None,
        description="Latest generation of the TaskRun that the controller has reconciled; -1 "
        "before the first reconcile.",
    )
    phase: Phase | None = Field(
        None,
        description="Phase of the run. Succeeded, Failed and Cancelled are final.",
    )
    reason: str | None = Field(
        None, description="Reason for the phase, in CamelCase; see docs/reasons.md."
    )
    message: str | None = Field(
        None,
        description="Human-readable explanation of reason: container, cause, exit code, node and "
        "last lines of the log.",
    )
    failure_kind: FailureKind | None = Field(
        None, description="Kind of the failure; absent if there is none."
    )
    exit_code: Code | None = Field(
        None,
        description="Exit code of the main container in the last attempt; absent if main never "
        "ran or its end is unknown.",
    )
    result: str | None = Field(
        None,
        description="Content of resultPath, written by the successful attempt; absent if empty.",
    )
    attempt: Count | None = Field(
        None, description="Number of the current or last attempt. Never decreases."
    )
    pod_name: str | None = Field(None, description="Name of that attempt's Pod.")
    pod_uid: str | None = Field(
        None, alias="podUID", description="Uid of that Pod, the only one that may run the work."
    )
    start_time: Time | None = Field(
        None,
        description="When the controller first reconciled the run, or when the run was last "
        "resumed; absent while it is suspended.",
    )
    completion_time: Time | None = Field(None, description="When the run ended, successful or not.")
    failed: Count | None = Field(
        None, description="Number of failed attempts that count for backoffLimit."
    )
    disrupted: Count | None = Field(
        None, description="Number of attempts that the cluster ended after main may have started."
    )
    replaced: Count | None = Field(
        None, description="Number of attempts that the cluster ended before main started."
    )
    requeued: Count | None = Field(
        None, description="Number of attempts that Kueue stopped and that were queued again."
    )
    attempts: list[Attempt] | None = Field(
        None,
        max_length=MAX_ATTEMPTS,
        description="Records of the last attempts, oldest first.",
        json_schema_extra=keyed_by("podUID"),
    )
    conditions: list[Condition] | None = Field(
        None,
        description="Complete, Failed, Finished, Suspended, Reconciling, Stalled, PodRefused, "
        "ResultStored. To wait for the end: kubectl wait --for=condition=Finished.",
        json_schema_extra=keyed_by("type"),
    )


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

    @property
    def is_terminal(self) -> bool:
        """Whether the run is in a terminal phase."""
        return self.status.phase is not None and self.status.phase.terminal
