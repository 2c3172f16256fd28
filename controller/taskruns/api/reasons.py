"""The reasons of runs, attempts and conditions, with their meanings and advice.

Messages, docs/reasons.md and clients use this list; reasons are defined nowhere else.
"""

from enum import StrEnum
from typing import Self

from taskruns.api.conditions import FailureKind


class Place(StrEnum):
    """Kind of runtime of a run, which determines the commands and objects that advice names."""

    CLUSTER = "cluster"
    DOCKER = "docker"


class Reason(StrEnum):
    """Reason of a run, an attempt or a condition. `kind` is None if it is no failure."""

    kind: FailureKind | None
    meaning: str
    advice: str
    docker_advice: str
    """Advice on a Docker host; by default the advice for clusters."""
    docker_meaning: str
    """Meaning on a Docker host, which has no Pods and nodes; by default that for clusters."""

    def __new__(
        cls,
        value: str,
        kind: FailureKind | None,
        meaning: str,
        advice: str,
        docker_advice: str = "",
        docker_meaning: str = "",
    ) -> Self:
        """Create a member whose value is its name in the API."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.kind = kind
        member.meaning = meaning
        member.advice = advice
        member.docker_advice = docker_advice or advice
        member.docker_meaning = docker_meaning or meaning
        return member

    def advice_in(self, place: Place) -> str:
        """Return the advice for a kind of runtime."""
        return self.docker_advice if place is Place.DOCKER else self.advice

    @classmethod
    def named(cls, word: str | None) -> "Reason | None":
        """Return the reason with that name, or None if it is unknown."""
        return next((reason for reason in cls if reason == word), None)

    COMPLETED = (
        "Completed",
        None,
        "The main container exited with code 0.",
        "Nothing to do.",
    )
    RESULT_TOO_LARGE = (
        "ResultTooLarge",
        None,
        "The result reached the size limit, was truncated and was not stored.",
        "Write at most 4095 bytes to resultPath, or store the data and return its location.",
    )
    WAITING_TO_START = (
        "WaitingToStart",
        None,
        "The attempt's main container has not started yet.",
        (
            "If it persists, find the cause with kubectl describe pod -n NAMESPACE POD: an image "
            "that cannot be pulled, a missing Secret or volume, no node with enough resources. "
            "scheduleTimeoutSeconds and startupTimeoutSeconds limit the wait."
        ),
        "If it persists, check docker ps and the daemon; startupTimeoutSeconds limits the wait.",
        "The attempt's container has not started yet.",
    )
    START_DELAYED = (
        "StartDelayed",
        None,
        (
            "A container cannot start because of a transient error: the node or the registry is "
            "busy or does not respond. The start is retried."
        ),
        (
            "Wait, or check the registry or node that the message names. startupTimeoutSeconds "
            "limits the wait."
        ),
    )
    MAIN_RUNNING = (
        "MainRunning",
        None,
        "The main container is running.",
        "Nothing to do.",
    )
    MAIN_ENDED = (
        "MainEnded",
        None,
        "The main container ended and other containers of its Pod continue; the Pod is stopped.",
        (
            "To end them with the main container, make them native sidecars (init containers with "
            "restartPolicy Always)."
        ),
    )
    SUSPENDED = (
        "Suspended",
        None,
        "spec.suspend is true; nothing of the run is running.",
        "To resume, set spec.suspend to false.",
    )
    RESUMED = (
        "Resumed",
        None,
        "spec.suspend was set to false; the next attempt starts when it is due.",
        "Nothing to do.",
    )
    SCHEDULING_GATED = (
        "SchedulingGated",
        None,
        "The Pod waits at another controller's scheduling gate, such as Kueue's.",
        "Check the queue or controller that owns the gate.",
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        None,
        "No node of the cluster accepts the Pod; the run waits for one.",
        (
            "Compare requests, node selectors and taints with the cluster's nodes; the message is "
            "the scheduler's. scheduleTimeoutSeconds limits the wait."
        ),
    )
    QUOTA_EXCEEDED = (
        "QuotaExceeded",
        None,
        "The Pod would exceed the namespace's ResourceQuota; the wait uses up no attempt.",
        "Wait, or raise the quota; kubectl describe resourcequota -n NAMESPACE shows its use.",
    )
    SERVICE_ACCOUNT_NOT_FOUND = (
        "ServiceAccountNotFound",
        FailureKind.CONFIGURATION,
        "The Pod's service account does not exist; the run fails if it is missing for a minute.",
        "Create the service account or correct serviceAccountName.",
    )
    WEBHOOK_FAILED = (
        "WebhookFailed",
        FailureKind.CONFIGURATION,
        (
            "An admission webhook of the cluster failed or did not respond; the run fails if this "
            "lasts for a minute."
        ),
        "Repair the webhook that the message names, or contact its owner; then run it again.",
    )
    NON_ZERO_EXIT_CODE = (
        "NonZeroExitCode",
        FailureKind.APPLICATION,
        "The main container exited with a code other than 0.",
        "Read its log while podGC keeps the Pod: kubectl logs -n NAMESPACE POD -c CONTAINER.",
        "Read its log while the container is kept: docker logs POD.",
    )
    KILLED_BY_SIGNAL = (
        "KilledBySignal",
        FailureKind.APPLICATION,
        (
            "A signal that the system sends ended the main container: the exit code is 128 plus "
            "the signal's number, such as 137 for SIGKILL."
        ),
        (
            "For SIGSEGV or SIGABRT, find the crash in its log; for SIGKILL or SIGTERM, find the "
            "process that sent it. A program may also exit with such a code itself."
        ),
    )
    OOM_KILLED = (
        "OOMKilled",
        FailureKind.APPLICATION,
        "The main container used more memory than its limit and the kernel killed it.",
        "Raise resources.limits.memory, or use less memory.",
    )
    CONTAINER_CANNOT_START = (
        "ContainerCannotStart",
        FailureKind.CONFIGURATION,
        "The container runtime could not start the main container's program.",
        "Check image, command, args and mounts; the message contains the runtime's error.",
    )
    IMAGE_PULL_FAILED = (
        "ImagePullFailed",
        FailureKind.CONFIGURATION,
        "An image could not be pulled within a minute, or its name is invalid.",
        "Check the image's name and tag, and imagePullSecrets if its registry requires a login.",
        "Check the image's name and tag; run docker login if its registry requires a login.",
    )
    CONTAINER_CONFIG_ERROR = (
        "ContainerConfigError",
        FailureKind.CONFIGURATION,
        "A container could not be created from its specification within 30 seconds.",
        "Correct the field that the message names, or create the object that it refers to.",
        "Correct the field that the message names.",
    )
    SCHEDULE_TIMEOUT = (
        "ScheduleTimeout",
        FailureKind.TIMEOUT,
        "The Pod was not scheduled within scheduleTimeoutSeconds.",
        "Compare requests, node selectors, taints and quota with the resources of the cluster.",
    )
    STARTUP_TIMEOUT = (
        "StartupTimeout",
        FailureKind.TIMEOUT,
        "The main container did not start within startupTimeoutSeconds.",
        (
            "Correct the last known cause, which the message contains, or raise "
            "startupTimeoutSeconds for slow images."
        ),
    )
    INIT_CONTAINER_FAILED = (
        "InitContainerFailed",
        FailureKind.APPLICATION,
        "An init container failed, so the main container never started.",
        "Read its log while podGC keeps the Pod: kubectl logs -n NAMESPACE POD -c CONTAINER.",
    )
    EVICTED = (
        "Evicted",
        FailureKind.INFRASTRUCTURE,
        "The Pod was evicted: by its node, the Eviction API or its queue.",
        (
            "Run it again, or set disruptionLimit to retry it. If evictions recur, set resource "
            "requests that match its use."
        ),
    )
    PREEMPTED = (
        "Preempted",
        FailureKind.INFRASTRUCTURE,
        "The Pod was preempted in favour of work of higher priority.",
        "Run it again, set disruptionLimit to retry it, or set priorityClassName.",
    )
    NODE_LOST = (
        "NodeLost",
        FailureKind.INFRASTRUCTURE,
        "The Pod's node was shut down, tainted, deleted or lost.",
        "Run it again, or set disruptionLimit to retry it.",
    )
    POD_DELETED = (
        "PodDeleted",
        FailureKind.INFRASTRUCTURE,
        "Another client deleted the Pod.",
        (
            "Run it again, or set disruptionLimit to retry it. To stop a run, set spec.cancel "
            "instead."
        ),
        "Run it again, or set disruptionLimit to retry it. To stop a run, use taskrun cancel.",
        "Another client removed the container.",
    )
    POD_REJECTED = (
        "PodRejected",
        FailureKind.INFRASTRUCTURE,
        "The node rejected the Pod, or ended it without a status of its main container.",
        "Correct the cause that the message contains, or run it again.",
        "",
        "The container ended before its program started.",
    )
    FINAL_STATE_UNKNOWN = (
        "FinalStateUnknown",
        FailureKind.INFRASTRUCTURE,
        (
            "The end of the main container is unknown: its node restarted or lost track of it, or "
            "it was removed by force."
        ),
        "Check whether the work was done before running it again.",
        "",
        "The container was removed before its end was known.",
    )
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        FailureKind.TIMEOUT,
        "The run took longer than activeDeadlineSeconds, queueing and retries included.",
        "Raise activeDeadlineSeconds, or shorten the work.",
    )
    ATTEMPT_DEADLINE_EXCEEDED = (
        "AttemptDeadlineExceeded",
        FailureKind.TIMEOUT,
        "One attempt's main container ran longer than attemptDeadlineSeconds.",
        "Raise attemptDeadlineSeconds, or shorten the work.",
    )
    CANCELLED = (
        "Cancelled",
        FailureKind.CANCELLED,
        "spec.cancel was set.",
        "Create a new TaskRun to run it again.",
    )
    TASK_RUN_DELETED = (
        "TaskRunDeleted",
        FailureKind.CANCELLED,
        "The TaskRun was deleted before the run had ended, and a finalizer keeps the object.",
        "Create a new TaskRun to run it again.",
    )
    INVALID_POD_TEMPLATE = (
        "InvalidPodTemplate",
        FailureKind.CONFIGURATION,
        "A field of the run is invalid, or is not supported by the runtime.",
        "Correct the field that the message names, and create the TaskRun again.",
    )
    ADMISSION_REFUSED = (
        "AdmissionRefused",
        FailureKind.CONFIGURATION,
        "Admission refused the Pod: Pod Security, a policy, or a quota that can never fit.",
        "Change the Pod, or contact the cluster's administrator.",
    )
    POD_NAME_CONFLICT = (
        "PodNameConflict",
        FailureKind.CONFIGURATION,
        "A Pod that this run does not own has the name of this run's Pod.",
        "Delete that Pod, or create the TaskRun with another name.",
    )
    INVALID_TASK_RUN = (
        "InvalidTaskRun",
        FailureKind.CONFIGURATION,
        "The controller cannot parse the TaskRun.",
        "Correct the field that the message names, and create the TaskRun again.",
    )
