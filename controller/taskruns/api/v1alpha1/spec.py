"""The spec of a TaskRun, written by its user."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from taskruns.api.v1alpha1.corev1 import (
    EnvFromSource,
    EnvVar,
    LocalObjectReference,
    PodTemplate,
    Toleration,
    VolumeMount,
)
from taskruns.api.v1alpha1.model import MAX_SECONDS, CoreObject, Duration, Model, keyed_by

_ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}

ExitCode = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


class FailureAction(StrEnum):
    """Action of a failure policy rule on a failed attempt that it matches."""

    FAIL_JOB = "FailJob"
    IGNORE = "Ignore"
    COUNT = "Count"


class ExitCodeOperator(StrEnum):
    """How an exit code is compared with a rule's values."""

    IN = "In"
    NOT_IN = "NotIn"


class OnExitCodes(Model):
    """Matches by the exit code of a container."""

    container_name: str | None = Field(
        None,
        max_length=63,
        description="Name of the container, which may be an init container. Default: every "
        "container.",
    )
    operator: ExitCodeOperator = Field(
        description="In: the exit code is in values. NotIn: it is not. Exit code 0 matches neither."
    )
    values: list[ExitCode] = Field(
        min_length=1,
        max_length=255,
        description="Exit codes without duplicates. With In, 0 is refused: it is no failure.",
        json_schema_extra=_SET,
    )


class OnPodCondition(Model):
    """Matches by a condition of the Pod."""

    type: str = Field(
        min_length=1, max_length=316, description="Type of the condition, such as DisruptionTarget."
    )
    status: str | None = Field(
        None,
        description="Required status of the condition. Default: True.",
        json_schema_extra={"enum": ["True", "False", "Unknown"]},
    )


class FailureRule(Model):
    """A failure policy rule: one way to fail, and the action for it."""

    action: FailureAction = Field(
        description="FailJob: the run fails at once. Ignore: the attempt is repeated and not "
        "counted, up to 100 attempts in all. Count: the attempt counts for backoffLimit. FailIndex "
        "is refused: it is for indexed Jobs."
    )
    on_exit_codes: OnExitCodes | None = Field(
        None, description="Matches by exit code. Default: none; onPodConditions is then required."
    )
    on_pod_conditions: list[OnPodCondition] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="Matches if the Pod has any of these conditions. Default: none; onExitCodes is "
        "then required.",
        json_schema_extra=_ATOMIC,
    )


class PodFailurePolicy(Model):
    """Failure policy rules for failed attempts; the first that matches decides."""

    rules: list[FailureRule] = Field(
        max_length=20,
        description="Failure policy rules, in order of evaluation. An attempt that no rule matches "
        "is judged as without a policy.",
        json_schema_extra=_ATOMIC,
    )


DEFAULT_RESULT_PATH = "/dev/termination-log"

_MAX_MOUNTS = 256
"""Maximum number of mounts; keeps the CEL rule on them within the cost budget."""

Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]


DEFAULT_BACKOFF_CAP = timedelta(minutes=10)


class Backoff(Model):
    """Wait before a retry: duration x factor^n, at most cap, plus a jitter of up to 10%."""

    duration: Duration = Field(
        timedelta(seconds=10),
        description="Wait before the first retry, such as 30s, 5m or 1h30m. Default: 10s.",
    )
    factor: float = Field(
        2.0, ge=1, le=10, description="Factor by which each retry multiplies the wait. Default: 2."
    )
    cap: Duration | None = Field(
        None,
        description="Longest wait, such as 30s, 5m or 1h30m; at least duration. Default: 10m, or "
        "duration if that is longer.",
    )

    @property
    def longest(self) -> timedelta:
        """Longest wait before a retry, without jitter."""
        return max(self.duration, DEFAULT_BACKOFF_CAP) if self.cap is None else self.cap


class PodGCStrategy(StrEnum):
    """Which finished Pods are deleted (the names are Argo's)."""

    ON_POD_COMPLETION = "OnPodCompletion"
    ON_POD_SUCCESS = "OnPodSuccess"
    NEVER = "Never"


class PodReplacementPolicy(StrEnum):
    """When an attempt that the cluster is ending may be replaced (the names are Job's)."""

    FAILED = "Failed"
    TERMINATING_OR_FAILED = "TerminatingOrFailed"


class PodGC(Model):
    """Deletion of the Pods of finished attempts."""

    strategy: PodGCStrategy = Field(
        PodGCStrategy.ON_POD_COMPLETION,
        description="Which finished Pods are deleted. OnPodCompletion: all. OnPodSuccess: those of "
        "successful attempts. Never: none. Kept Pods are deleted with the TaskRun. "
        "Default: OnPodCompletion.",
    )
    delete_delay_duration: Duration | None = Field(
        None,
        description="How long a finished Pod is kept so that its log can be read, such as 30s, 5m "
        "or 1h30m. The Pod is deleted earlier if the TaskRun's annotation taskruns.dev/collected "
        "contains its uid. Default: the site default, normally 30s.",
    )


class TaskRunSpec(Model):
    """The desired run. Immutable except for suspend, cancel and ttlSecondsAfterFinished."""

    image: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="Image of the main container. Required unless template.spec.containers "
        "has a main container. Default: the image of that container.",
    )
    command: list[str] | None = Field(
        None,
        description="Entrypoint of the main container, one argument per item. Not executed within "
        "a shell; for a shell, write [sh, -c]. Default: the image's ENTRYPOINT.",
        json_schema_extra=_ATOMIC,
    )
    args: list[str] | None = Field(
        None,
        description="Arguments to the entrypoint. Default: the image's CMD.",
        json_schema_extra=_ATOMIC,
    )
    working_dir: str | None = Field(
        None,
        max_length=4096,
        description="Working directory of the main container. Default: the image's.",
    )
    env: list[EnvVar] | None = Field(
        None,
        description="Environment variables of the main container (core/v1 EnvVar), with unique "
        "names; merged with the template's by name. TASKRUN_NAME, TASKRUN_NAMESPACE, TASKRUN_UID "
        "and TASKRUN_ATTEMPT are always set. Default: the template's.",
        json_schema_extra=keyed_by("name"),
    )
    env_from: list[EnvFromSource] | None = Field(
        None,
        description="ConfigMaps and Secrets whose keys become environment variables "
        "(core/v1 EnvFromSource); replaces the template's. Default: the template's.",
        json_schema_extra=_ATOMIC,
    )
    resources: CoreObject | None = Field(
        None,
        description="Compute resources of the main container "
        "(core/v1 ResourceRequirements), such as {limits: {memory: 512Mi}}. "
        "Default: the template's, or those of the namespace's LimitRange.",
    )
    volume_mounts: list[VolumeMount] | None = Field(
        None,
        max_length=_MAX_MOUNTS,
        description="Volumes to mount into the main container's file system (core/v1 VolumeMount); "
        "merged with the template's by mountPath. Default: the template's.",
        json_schema_extra=keyed_by("mountPath"),
    )
    image_pull_policy: str | None = Field(
        None,
        description="When the image is pulled. Default: Always if the tag is latest or missing, "
        "otherwise IfNotPresent.",
        json_schema_extra={"enum": ["Always", "IfNotPresent", "Never"]},
    )
    security_context: CoreObject | None = Field(
        None,
        description="Security settings of the main container (core/v1 SecurityContext). Settings "
        "of the Pod belong in template.spec.securityContext; its seccomp profile is RuntimeDefault "
        "unless set. Default: the template's.",
    )
    volumes: list[CoreObject] | None = Field(
        None,
        description="Volumes of the Pod (core/v1 Volume); merged with the template's by name. "
        "Default: the template's.",
        json_schema_extra=_ATOMIC,
    )
    service_account_name: str | None = Field(
        None,
        max_length=253,
        description="Service account of the Pod. If set, its token is mounted. Default: the "
        "service account named default, without a token.",
    )
    image_pull_secrets: list[LocalObjectReference] | None = Field(
        None,
        description="Secrets to pull images with (core/v1 LocalObjectReference); merged with the "
        "template's by name. Default: the service account's.",
        json_schema_extra=keyed_by("name"),
    )
    node_selector: dict[str, str] | None = Field(
        None,
        description="Labels that the Pod's node must have; merged with the template's by key. "
        "Default: the template's.",
    )
    tolerations: list[Toleration] | None = Field(
        None,
        description="Tolerations of the Pod (core/v1 Toleration), added to the template's. "
        "Default: the template's.",
        json_schema_extra=_ATOMIC,
    )
    affinity: CoreObject | None = Field(
        None,
        description="Scheduling constraints of the Pod (core/v1 Affinity); replaces the "
        "template's. Default: the template's.",
    )
    priority_class_name: str | None = Field(
        None,
        max_length=253,
        description="PriorityClass of the Pod. Default: the template's, or the cluster default.",
    )
    template: PodTemplate | None = Field(
        None,
        description="Pod template (core/v1 PodTemplateSpec) for all other fields of the Pod. The "
        "fields above are merged into its main container: the only one, the one named by the "
        "annotation kubectl.kubernetes.io/default-container, or the one named main. If a field is "
        "unknown to Kubernetes, the run fails with InvalidPodTemplate. Default: empty.",
    )
    result_path: str | None = Field(
        None,
        max_length=1024,
        description="Absolute path of a file in the main container. Its content becomes "
        "status.result if main exits with 0. At most 4095 bytes are stored; the file must be "
        f"written in place, not renamed over or removed. Default: {DEFAULT_RESULT_PATH}.",
    )
    backoff_limit: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Number of retries after failures of the application, each in a new Pod. "
        "Default: 0, no retry.",
    )
    backoff: Backoff | None = Field(
        None,
        description="Wait before the next attempt: duration x factor^n, at most cap, plus a jitter "
        "of up to 10%. Also applies before the replacement of an attempt that never started. "
        "Default: 10s, doubled up to 10m.",
    )
    pod_failure_policy: PodFailurePolicy | None = Field(
        None,
        description="Actions for failed attempts, by exit code or by condition of the Pod, as in a "
        "Job's podFailurePolicy. Evaluated before an end is classified as a disruption. "
        "Default: none.",
    )
    disruption_limit: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Number of retries after disruptions (eviction, preemption, lost node, deleted "
        "Pod) that end an attempt whose main may have started. Attempts that end before that are "
        "replaced up to 3 times in any case. Default: 0.",
    )
    pod_replacement_policy: PodReplacementPolicy | None = Field(
        None,
        description="When the Pod of a disrupted attempt is replaced. Failed: when it has ended; "
        "on a lost node, when the node is back or deleted. TerminatingOrFailed: as soon as it is "
        "being deleted, so the work may run twice at the same time. Default: Failed.",
    )
    active_deadline_seconds: Seconds | None = Field(
        None,
        description="Duration in seconds from status.startTime, queueing and retries included. "
        "When it is exceeded, the run is stopped and fails with DeadlineExceeded. Default: no "
        "limit.",
    )
    attempt_deadline_seconds: Seconds | None = Field(
        None,
        description="Duration in seconds from the first start of an attempt's main container; at "
        "most activeDeadlineSeconds. When it is exceeded, the attempt is stopped and fails with "
        "AttemptDeadlineExceeded, which counts for backoffLimit. Default: no limit.",
    )
    schedule_timeout_seconds: Seconds | None = Field(
        None,
        description="Duration in seconds from an attempt's due time until its Pod has a node, "
        "waits for quota and for other scheduling gates included. When it is exceeded, the run "
        "fails with ScheduleTimeout. Default: no limit.",
    )
    startup_timeout_seconds: Seconds | None = Field(
        None,
        description="Duration in seconds from the assignment of the Pod to a node until main "
        "starts. When it is exceeded, the run fails with StartupTimeout. Default: the site "
        "default, normally 600.",
    )
    suspend: bool | None = Field(
        None,
        description="If true, nothing of the run is running: a running attempt is stopped with its "
        "Pod's grace period and is not counted. On resumption, activeDeadlineSeconds restarts. "
        "Mutable. Default: false.",
    )
    cancel: bool | None = Field(
        None,
        description="If true, the run is stopped with its Pod's grace period and ends as "
        "Cancelled. Mutable, but cannot be reset. Default: false.",
    )
    # pydantic's generator would write podGc.
    pod_gc: PodGC | None = Field(
        None,
        alias="podGC",
        description="Deletion of the Pods of finished attempts. Default: all Pods, 30s after the "
        "end of their attempt.",
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        ge=-1,
        le=MAX_SECONDS,
        description="Duration in seconds from the end of the run until the TaskRun is deleted. "
        "0: at once. -1: never. Mutable. Default: the site default, normally 604800 (7 days).",
    )
