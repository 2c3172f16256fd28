"""The spec of a TaskRun: what its user writes."""

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
from taskruns.api.v1alpha1.model import MAX_SECONDS, CoreObject, Duration, Model

_ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}

ExitCode = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


class FailureAction(StrEnum):
    """What a matching rule makes of a failed attempt."""

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
        description="Name of the container that is looked at, which may be an init container. "
        "Default: every container.",
    )
    operator: ExitCodeOperator = Field(
        description="In: the code is one of values. NotIn: it is none of them. "
        "A container that exited with 0 matches neither."
    )
    values: list[ExitCode] = Field(
        min_length=1,
        max_length=255,
        description="Exit codes, each once; for In not 0, which is no failure.",
        json_schema_extra=_SET,
    )


class OnPodCondition(Model):
    """Matches by a condition of the Pod."""

    type: str = Field(
        min_length=1, max_length=316, description="Type of the condition, such as DisruptionTarget."
    )
    status: str | None = Field(
        None,
        description="Status that it must have. Default: True.",
        json_schema_extra={"enum": ["True", "False", "Unknown"]},
    )


class FailureRule(Model):
    """One rule: what to do about attempts that failed in one way."""

    action: FailureAction = Field(
        description="FailJob: the run fails at once. Ignore: the attempt is repeated without "
        "being counted, at most 100 attempts in all. Count: it counts for backoffLimit. "
        "FailIndex belongs to indexed Jobs."
    )
    on_exit_codes: OnExitCodes | None = Field(
        None, description="Matches by exit code. Default: none, then onPodConditions is needed."
    )
    on_pod_conditions: list[OnPodCondition] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="Matches by any of these conditions of the Pod. Default: none, then "
        "onExitCodes is needed.",
        json_schema_extra=_ATOMIC,
    )


class PodFailurePolicy(Model):
    """Rules for failed attempts; the first that matches decides."""

    rules: list[FailureRule] = Field(
        max_length=20,
        description="Rules in their order; an attempt that none matches is judged as usual.",
        json_schema_extra=_ATOMIC,
    )


DEFAULT_RESULT_PATH = "/dev/termination-log"

_MAX_MOUNTS = 256
"""So that CEL can look at every mount within its budget."""

Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]


def _keyed(by: str) -> dict[str, Any]:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [by]}


DEFAULT_BACKOFF_CAP = timedelta(minutes=10)


class Backoff(Model):
    """How long to wait before a retry: duration x factor^n, at most cap, plus up to a tenth."""

    duration: Duration = Field(
        timedelta(seconds=10),
        description="Wait before the first retry, as 30s, 5m or 1h30m. Default: 10s.",
    )
    factor: float = Field(
        2.0, ge=1, le=10, description="What each further wait is multiplied by. Default: 2."
    )
    cap: Duration | None = Field(
        None,
        description="Longest wait, as 30s, 5m or 1h30m; at least duration. Default: 10m, or "
        "duration where that is longer.",
    )

    @property
    def longest(self) -> timedelta:
        """The longest wait before a retry."""
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
    """What becomes of the Pods of finished attempts."""

    strategy: PodGCStrategy = Field(
        PodGCStrategy.ON_POD_COMPLETION,
        description="Which finished Pods are deleted: all, only those of successful attempts, or "
        "none. A kept Pod goes with its TaskRun. Default: OnPodCompletion.",
    )
    delete_delay_duration: Duration | None = Field(
        None,
        description="How long a finished Pod is kept for readers of its log, as 30s, 5m or "
        "1h30m. The annotation taskruns.dev/collected on the TaskRun, set to the Pod's uid, ends "
        "the wait. Default: the site's, normally 30s.",
    )


class TaskRunSpec(Model):
    """What to run and how. Fixed at creation, but for suspend, cancel, ttlSecondsAfterFinished."""

    image: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="Image of the main container. Required unless template.spec.containers "
        "brings a main container. Default: that container's.",
    )
    command: list[str] | None = Field(
        None,
        description="Program to run instead of the image's entrypoint, one item an argument. Not "
        "run in a shell: for one, write [sh, -c]. Default: the image's.",
        json_schema_extra=_ATOMIC,
    )
    args: list[str] | None = Field(
        None,
        description="Arguments of the program. Default: the image's.",
        json_schema_extra=_ATOMIC,
    )
    working_dir: str | None = Field(
        None,
        max_length=4096,
        description="Directory to run in. Default: the image's.",
    )
    env: list[EnvVar] | None = Field(
        None,
        description="Environment variables of the main container (core/v1 EnvVar), each name "
        "once; merged with the template's by name. Default: only TASKRUN_NAME, "
        "TASKRUN_NAMESPACE, TASKRUN_UID and TASKRUN_ATTEMPT, which are always there.",
        json_schema_extra=_keyed("name"),
    )
    env_from: list[EnvFromSource] | None = Field(
        None,
        description="ConfigMaps and Secrets whose keys become environment variables "
        "(core/v1 EnvFromSource). Default: the template's.",
        json_schema_extra=_ATOMIC,
    )
    resources: CoreObject | None = Field(
        None,
        description="CPU, memory and other resources of the main container "
        "(core/v1 ResourceRequirements), such as {limits: {memory: 512Mi}}. "
        "Default: the template's, or the namespace's.",
    )
    volume_mounts: list[VolumeMount] | None = Field(
        None,
        max_length=_MAX_MOUNTS,
        description="Where volumes appear in the main container (core/v1 VolumeMount); merged "
        "with the template's by mountPath. Default: the template's.",
        json_schema_extra=_keyed("mountPath"),
    )
    image_pull_policy: str | None = Field(
        None,
        description="When the image is pulled. Default: Always for the tag latest or none, "
        "otherwise IfNotPresent.",
        json_schema_extra={"enum": ["Always", "IfNotPresent", "Never"]},
    )
    security_context: CoreObject | None = Field(
        None,
        description="Security settings of the main container (core/v1 SecurityContext); those "
        "of the whole Pod go to template.spec.securityContext. Default: the template's; the "
        "Pod's seccomp profile is RuntimeDefault unless set.",
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
        description="Service account that the Pod runs as; naming one also mounts its token. "
        "Default: the namespace's default, without a token.",
    )
    image_pull_secrets: list[LocalObjectReference] | None = Field(
        None,
        description="Secrets to pull images with (core/v1 LocalObjectReference); merged with the "
        "template's by name. Default: the service account's.",
        json_schema_extra=_keyed("name"),
    )
    node_selector: dict[str, str] | None = Field(
        None,
        description="Labels that a node must have; merged with the template's by key. "
        "Default: the template's.",
    )
    tolerations: list[Toleration] | None = Field(
        None,
        description="Taints that the Pod tolerates (core/v1 Toleration); united with the "
        "template's. Default: the template's.",
        json_schema_extra=_ATOMIC,
    )
    affinity: CoreObject | None = Field(
        None,
        description="Rules for choosing a node (core/v1 Affinity), instead of the template's. "
        "Default: the template's.",
    )
    priority_class_name: str | None = Field(
        None,
        max_length=253,
        description="PriorityClass of the Pod. Default: the template's, or the cluster's.",
    )
    template: PodTemplate | None = Field(
        None,
        description="Everything else of a Pod: a core/v1 PodTemplateSpec. The fields above are "
        "merged into it: into its only container, or the one that its annotation "
        "kubectl.kubernetes.io/default-container names, or the one called main. A field that "
        "Kubernetes does not know fails the run at once with reason InvalidPodTemplate. "
        "Default: empty.",
    )
    result_path: str | None = Field(
        None,
        max_length=1024,
        description="File in the main container whose content becomes status.result when it "
        "exits with 0: at most 4095 bytes, written in place (not renamed over or removed). "
        f"An absolute path. Default: {DEFAULT_RESULT_PATH}.",
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
        description="How long to wait before another attempt: duration x factor^n, at most cap, "
        "plus up to a tenth so that runs do not retry in step. Also before an attempt that takes "
        "the place of one that never started. Default: 10s, doubled up to 10m.",
    )
    pod_failure_policy: PodFailurePolicy | None = Field(
        None,
        description="What failures mean, by exit code or by condition of the Pod: a Job's "
        "podFailurePolicy, asked before anything is called a disruption. Default: none.",
    )
    disruption_limit: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="How many attempts are repeated that the cluster ended (eviction, preemption, "
        "lost node, deleted Pod) once main may have started; before that an attempt is replaced "
        "up to 3 times anyway. Default: 0.",
    )
    pod_replacement_policy: PodReplacementPolicy | None = Field(
        None,
        description="Failed: an attempt is replaced once its Pod has ended, which on a lost node "
        "is when the cluster gives the node up. TerminatingOrFailed: as soon as its Pod is being "
        "deleted, so that the work may run twice at a time. Default: Failed.",
    )
    active_deadline_seconds: Seconds | None = Field(
        None,
        description="Seconds from status.startTime after which the run is stopped and fails "
        "with DeadlineExceeded, waiting and retries included. Default: no limit.",
    )
    attempt_deadline_seconds: Seconds | None = Field(
        None,
        description="Seconds that one attempt's main container may run; at most "
        "activeDeadlineSeconds. Past it the attempt is stopped and fails with "
        "AttemptDeadlineExceeded, retried within backoffLimit. Default: no limit.",
    )
    schedule_timeout_seconds: Seconds | None = Field(
        None,
        description="Seconds from when an attempt is due until its Pod has a node, waiting for "
        "quota and for the scheduling gates of others included. Past it the run fails with "
        "ScheduleTimeout. Default: no limit.",
    )
    startup_timeout_seconds: Seconds | None = Field(
        None,
        description="Seconds from when its Pod has a node until main has started. Past it the "
        "run fails with StartupTimeout. Default: the site's, normally 600.",
    )
    suspend: bool | None = Field(
        None,
        description="While true nothing runs: a running attempt is stopped with its Pod's grace "
        "period and not counted, and activeDeadlineSeconds starts anew on resume. May be changed "
        "at any time. Default: false.",
    )
    cancel: bool | None = Field(
        None,
        description="Set to true to stop the run with its Pod's grace period and end it as "
        "Cancelled. May be set at any time and cannot be taken back. Default: false.",
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
