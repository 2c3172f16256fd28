"""The status of a TaskRun, which only the controller writes, and the TaskRun as a whole."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, WithJsonSchema

from taskruns.api.conditions import ConditionType, FailureKind, Outcome, Phase
from taskruns.api.v1alpha1.model import Model, Time
from taskruns.api.v1alpha1.spec import TaskRunSpec

_OUTPUT = ". Last output: "
"""Stands between what we say and what the task has said."""
_BETWEEN = " | "


def join_output(cause: str, lines: Iterable[str]) -> str:
    """Join a cause and the last lines of output into one line."""
    output = _BETWEEN.join(line.strip() for line in lines if line.strip())
    return f"{cause}{_OUTPUT}{output}" if output else cause


def split_output(message: str) -> tuple[str, list[str]]:
    """Return the cause that a message tells, and the last lines of output that it ends with.

    A line that itself holds what stands between two of them comes back as several.
    """
    cause, _, output = message.partition(_OUTPUT)
    return cause, output.split(_BETWEEN) if output else []


MAX_ATTEMPTS = 20
"""How many records of attempts a status holds."""

MAX_COUNT = 2**31 - 1

Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Code = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Generation = Annotated[int, Field(ge=-1)]
ConditionWord = Annotated[
    ConditionType | str,
    Field(union_mode="left_to_right"),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 316}),
]
"""One of ours, or a type that somebody else, or a newer controller, has added."""


def _keyed(by: str) -> dict[str, Any]:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [by]}


class Attempt(Model):
    """The record of one attempt: one Pod."""

    number: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        description="Number of the attempt, from 1."
    )
    pod_name: str = Field(description="Name of its Pod.")
    pod_uid: str = Field(alias="podUID", description="Uid of its Pod: the claim.")
    node_name: str | None = Field(None, description="Node that it ran on.")
    created_time: Time | None = Field(None, description="When its Pod was created.")
    scheduled_time: Time | None = Field(None, description="When its Pod was given a node.")
    started_time: Time | None = Field(None, description="When its main container started.")
    finished_time: Time | None = Field(
        None, description="When its main container, or else its Pod, ended."
    )
    stop_time: Time | None = Field(None, description="When it was decided to stop it.")
    trouble_time: Time | None = Field(
        None, description="When it was first seen unable to start, for the cause in reason."
    )
    exit_code: Code | None = Field(
        None, description="Exit code of its main container; absent where it never ran."
    )
    signal: Code | None = Field(
        None,
        description="Number of the signal that ended its main container, such as 9 for exit code "
        "137. Absent for codes above 128 that programs use themselves.",
    )
    reason: str | None = Field(
        None, description="Why it ended, or is being stopped: a word of the list of reasons."
    )
    message: str | None = Field(None, description="The same for a person, in one line.")
    outcome: Outcome | None = Field(
        None,
        description="How it ended: Succeeded, Failed (counts for backoffLimit), Disrupted (by the "
        "cluster, after main may have started), Replaced (by the cluster, before main started), "
        "Requeued (taken out by its queue, Kueue, and queued again), "
        "Ignored (by podFailurePolicy) or Stopped (by taskruns: cancel, suspend, a deadline, or a "
        "start that cannot come). Absent while it goes on.",
    )
    final: bool | None = Field(
        None, description="True where podFailurePolicy (FailJob) forbids another attempt."
    )


class Condition(Model):
    """An aspect of the run's state, in the form of metav1.Condition."""

    type: ConditionWord = Field(
        description="Complete, Failed, Finished (either of them), Suspended, Reconciling, "
        "Stalled or ResultStored."
    )
    status: str = Field(
        description="Whether it is so.", json_schema_extra={"enum": ["True", "False", "Unknown"]}
    )
    observed_generation: Generation | None = Field(
        None, description="Generation of the TaskRun that this was said of."
    )
    last_transition_time: Time = Field(description="When status last changed.")
    reason: str = Field(description="Why: a word of the list of reasons.")
    message: str = Field("", description="Why, for a person.")


class TaskRunStatus(Model):
    """What the controller knows of the run. Only the controller writes it."""

    observed_generation: Generation | None = Field(
        None,
        description="Generation of the TaskRun that this status is about; -1 before the "
        "controller has seen it.",
    )
    phase: Phase | None = Field(
        None,
        description="Where the run stands; Succeeded, Failed and Cancelled are final.",
    )
    reason: str | None = Field(None, description="Why: a word of the list of reasons.")
    message: str | None = Field(
        None, description="Why, for a person: container, cause, exit code, node, last log lines."
    )
    failure_kind: FailureKind | None = Field(
        None, description="Whose failure it was; absent where there is none."
    )
    exit_code: Code | None = Field(
        None,
        description="Exit code of the main container in the last attempt; absent where it never "
        "ran.",
    )
    result: str | None = Field(
        None, description="What the successful attempt wrote to resultPath; absent when nothing."
    )
    attempt: Count | None = Field(
        None, description="Number of the current or last attempt. It only grows."
    )
    pod_name: str | None = Field(None, description="Name of that attempt's Pod.")
    pod_uid: str | None = Field(
        None, alias="podUID", description="Its uid: only this Pod may run the work."
    )
    start_time: Time | None = Field(
        None,
        description="When the controller first looked at the run, or when it was last resumed; "
        "absent while it is suspended.",
    )
    completion_time: Time | None = Field(None, description="When the run ended, either way.")
    failed: Count | None = Field(
        None, description="Failed attempts so far, as counted for backoffLimit."
    )
    disrupted: Count | None = Field(
        None, description="Attempts so far that the cluster ended after main may have started."
    )
    replaced: Count | None = Field(
        None, description="Attempts so far that the cluster ended before main started."
    )
    requeued: Count | None = Field(
        None, description="Attempts so far that a queue (Kueue) took out and that were requeued."
    )
    attempts: list[Attempt] | None = Field(
        None,
        max_length=MAX_ATTEMPTS,
        description="The last attempts, oldest first.",
        json_schema_extra=_keyed("podUID"),
    )
    conditions: list[Condition] | None = Field(
        None,
        description="Complete, Failed, Finished, Suspended, Reconciling, Stalled, PodRefused, "
        "ResultStored; wait for the end with kubectl wait --for=condition=Finished.",
        json_schema_extra=_keyed("type"),
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
