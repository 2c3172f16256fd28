"""The `TaskRun` resource, version v1alpha1: every field with its meaning, unit, default and bound.

The CRD is generated from these models (`taskruns.api.crd`). A field that is absent stays absent
in the cluster: defaults are applied where they are used, and each description names its own.
Parts that belong to core/v1 (a volume, a security context) stay plain mappings: the apiserver
knows them better, and newer fields of Kubernetes pass through.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from taskruns.api.conditions import ConditionType, FailureKind, Outcome, Phase
from taskruns.api.durations import DURATION_PATTERN, format_duration, parse_duration

DEFAULT_RESULT_PATH = "/dev/termination-log"
MAX_SECONDS = 2**31 - 1
"""The bound of Kubernetes' own int32 fields, about 68 years."""


class Model(BaseModel):
    """A part of a TaskRun: immutable, camelCase on the wire, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )

    def to_json(self) -> dict[str, Any]:
        """Return the wire form, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _read_duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Duration = Annotated[
    timedelta,
    BeforeValidator(_read_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "maxLength": 32}),
]
"""A length of time in Go's notation, such as `30s` or `1h30m`."""

Time = Annotated[
    AwareDatetime,
    PlainSerializer(_format_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment in UTC, to the second, as Kubernetes writes it."""

CoreObject = dict[str, Any]
"""An object of core/v1 that is passed through as it is."""


class Backoff(Model):
    """How long to wait before a retry: duration x factor^n, at most cap, plus up to a tenth."""

    duration: Duration = Field(timedelta(seconds=10), description="First delay. Default: 10s.")
    factor: float = Field(
        2.0, ge=1, le=10, description="What each further delay is multiplied by. Default: 2."
    )
    cap: Duration = Field(timedelta(minutes=10), description="Longest delay. Default: 10m.")


class PodGCStrategy(StrEnum):
    """Which finished Pods are deleted (the names are Argo's)."""

    ON_POD_COMPLETION = "OnPodCompletion"
    ON_POD_SUCCESS = "OnPodSuccess"
    NEVER = "Never"


class PodGC(Model):
    """What becomes of the Pods of finished attempts."""

    strategy: PodGCStrategy = Field(
        PodGCStrategy.ON_POD_COMPLETION,
        description="Which finished Pods are deleted: OnPodCompletion, OnPodSuccess (a failed "
        "attempt keeps its Pod) or Never. A kept Pod goes with its TaskRun. "
        "Default: OnPodCompletion.",
    )
    delete_delay_duration: Duration | None = Field(
        None,
        description="How long a finished Pod is kept for readers of its log. The annotation "
        "taskruns.dev/collected, set to the Pod's uid, ends the wait. "
        "Default: the site's, normally 30s.",
    )


class TaskRunSpec(Model):
    """One containerised task, run to completion."""

    image: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="Image of the main container. Required unless template brings a main "
        "container.",
    )
    command: list[str] | None = Field(
        None,
        description="Program to run, instead of the image's entrypoint. Not run in a shell. "
        "Default: the image's.",
    )
    args: list[str] | None = Field(
        None, description="Arguments of the program. Default: the image's."
    )
    working_dir: str | None = Field(
        None, description="Directory to run in. Default: the image's."
    )
    env: list[CoreObject] | None = Field(
        None,
        description="Environment variables of the main container (core/v1 EnvVar). "
        "Merged with the template's by name.",
    )
    env_from: list[CoreObject] | None = Field(
        None,
        description="ConfigMaps and Secrets whose keys become environment variables "
        "(core/v1 EnvFromSource).",
    )
    resources: CoreObject | None = Field(
        None,
        description="CPU, memory and other resources of the main container "
        "(core/v1 ResourceRequirements), such as {limits: {memory: 512Mi}}.",
    )
    volume_mounts: list[CoreObject] | None = Field(
        None,
        description="Where volumes appear in the main container (core/v1 VolumeMount). "
        "Merged with the template's by mountPath.",
    )
    image_pull_policy: str | None = Field(
        None,
        description="When the image is pulled: Always, IfNotPresent or Never. Default: Always "
        "for the tag latest or none, otherwise IfNotPresent.",
    )
    security_context: CoreObject | None = Field(
        None,
        description="Security settings of the main container (core/v1 SecurityContext). Those "
        "of the whole Pod go to template.spec.securityContext.",
    )
    volumes: list[CoreObject] | None = Field(
        None, description="Volumes of the Pod (core/v1 Volume). Merged by name."
    )
    service_account_name: str | None = Field(
        None,
        description="Service account that the Pod runs as. Default: the namespace's default.",
    )
    image_pull_secrets: list[CoreObject] | None = Field(
        None,
        description="Secrets to pull images with (core/v1 LocalObjectReference). Merged by name.",
    )
    node_selector: dict[str, str] | None = Field(
        None, description="Labels that a node must have. Merged by key."
    )
    tolerations: list[CoreObject] | None = Field(
        None, description="Taints that the Pod tolerates (core/v1 Toleration). United."
    )
    affinity: CoreObject | None = Field(
        None, description="Rules for choosing a node (core/v1 Affinity). Replaces the template's."
    )
    priority_class_name: str | None = Field(
        None, description="PriorityClass of the Pod. Default: the cluster's."
    )
    template: CoreObject | None = Field(
        None,
        description="Everything else of a Pod: a core/v1 PodTemplateSpec. The fields above are "
        "merged into it: into the only container, or the one that the annotation "
        "kubectl.kubernetes.io/default-container names, or the one called main. A field that "
        "Kubernetes does not know fails the run at once with reason InvalidPodTemplate.",
    )
    result_path: str | None = Field(
        None,
        description="File in the main container whose content becomes status.result when it "
        "exits with 0: at most 4095 bytes, written in place (not renamed over or removed). "
        "Default: /dev/termination-log.",
    )
    backoff_limit: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="How many failures of the application are retried, each in a new Pod. "
        "Default: 0, no retry.",
    )
    backoff: Backoff | None = Field(
        None,
        description="How long to wait before a retry: duration x factor^n, at most cap, plus up "
        "to a tenth so that runs do not retry in step. Default: 10s, doubled up to 10m.",
    )
    active_deadline_seconds: int | None = Field(
        None,
        ge=1,
        le=MAX_SECONDS,
        description="Seconds from status.startTime after which the run is stopped and fails "
        "with DeadlineExceeded, waiting and retries included. Default: no limit.",
    )
    attempt_deadline_seconds: int | None = Field(
        None,
        ge=1,
        le=MAX_SECONDS,
        description="Seconds that one attempt's main container may run. Past it the attempt is "
        "stopped and fails with AttemptDeadlineExceeded, retried within backoffLimit. "
        "Default: no limit.",
    )
    cancel: bool | None = Field(
        None,
        description="Set to true to stop the run with its Pod's grace period and end it as "
        "Cancelled. Cannot be taken back. Default: false.",
    )
    # pydantic's generator would write podGc.
    pod_gc: PodGC | None = Field(
        None,
        alias="podGC",
        description="What becomes of the Pods of finished attempts. Default: deleted 30s after "
        "their outcome is recorded.",
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        ge=-1,
        le=MAX_SECONDS,
        description="Seconds after the end at which the TaskRun is deleted; 0: at once, -1: "
        "never. May be changed at any time. Default: the site's, normally 604800 (7 days).",
    )


class Attempt(Model):
    """The record of one attempt: one Pod."""

    number: int = Field(ge=1, description="Number of the attempt, from 1.")
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
    exit_code: int | None = Field(None, description="Exit code of its main container.")
    signal: int | None = Field(None, description="Signal that ended its main container.")
    reason: str | None = Field(None, description="Why it ended, or is being stopped.")
    message: str | None = Field(None, description="The same for a person, in one line.")
    outcome: Outcome | None = Field(
        None,
        description="How it ended: Succeeded, Failed (counts for backoffLimit), Disrupted, "
        "Replaced (ended by the cluster before main started) or Stopped. Absent while it goes on.",
    )


class Condition(Model):
    """An aspect of the run's state, in the form of metav1.Condition."""

    type: ConditionType = Field(
        description="Complete, Failed, Finished (either), Reconciling, Stalled or ResultStored."
    )
    status: str = Field(description="True, False or Unknown.")
    observed_generation: int | None = Field(
        None, description="Generation of the TaskRun that this was said of."
    )
    last_transition_time: Time = Field(description="When status last changed.")
    reason: str = Field(description="Why, in one CamelCase word.")
    message: str = Field("", description="Why, for a person.")


class TaskRunStatus(Model):
    """What the controller knows of the run. Only the controller writes it."""

    observed_generation: int | None = Field(
        None, description="Generation of the TaskRun that this status is about."
    )
    phase: Phase | None = Field(
        None,
        description="Queued, Pending, Running, BackingOff, Stopping, or the end: Succeeded, "
        "Failed, Cancelled.",
    )
    reason: str | None = Field(
        None, description="Why, in one CamelCase word of the documented list."
    )
    message: str | None = Field(
        None, description="Why, for a person: container, cause, exit code, node, last log lines."
    )
    failure_kind: FailureKind | None = Field(
        None,
        description="Whose failure: Application, Infrastructure, Configuration, Timeout or "
        "Cancelled.",
    )
    exit_code: int | None = Field(
        None, description="Exit code of the main container; absent where it never ran."
    )
    result: str | None = Field(
        None, description="What the successful attempt wrote to resultPath."
    )
    attempt: int | None = Field(
        None, description="Number of the current or last attempt. It only grows."
    )
    pod_name: str | None = Field(None, description="Pod of that attempt.")
    pod_uid: str | None = Field(
        None, alias="podUID", description="Its uid: only this Pod may run the work."
    )
    start_time: Time | None = Field(
        None, description="When the controller first looked at the run."
    )
    completion_time: Time | None = Field(None, description="When the run ended, either way.")
    failed: int | None = Field(
        None, description="Failed attempts so far, as counted for backoffLimit."
    )
    disrupted: int | None = Field(
        None, description="Attempts so far that the cluster ended after main may have started."
    )
    attempts: list[Attempt] | None = Field(
        None, description="The last 20 attempts, oldest first."
    )
    conditions: list[Condition] | None = Field(
        None, description="Complete, Failed, Finished, Reconciling, Stalled, ResultStored."
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
    """A TaskRun as it is in the cluster."""

    metadata: ObjectMeta
    spec: TaskRunSpec
    status: TaskRunStatus = TaskRunStatus()
