"""Why a run or an attempt is as it is: one list of reasons.

Each reason carries what it means and what to do next. Messages, the reference documentation and
clients all read it here; no reason is spelled out anywhere else.
"""

from enum import StrEnum
from typing import Self

from taskruns.api.conditions import FailureKind


class Place(StrEnum):
    """Kind of runtime that a run is on; its users know different commands and objects."""

    CLUSTER = "cluster"
    DOCKER = "docker"


class Reason(StrEnum):
    """Why a run or an attempt is as it is. `kind` is None where the reason is no failure."""

    kind: FailureKind | None
    meaning: str
    advice: str
    docker_advice: str
    """The advice on a Docker host; the same where it fits both."""

    def __new__(
        cls,
        value: str,
        kind: FailureKind | None,
        meaning: str,
        advice: str,
        docker_advice: str = "",
    ) -> Self:
        """Make a member that is its own value and carries its documentation."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.kind = kind
        member.meaning = meaning
        member.advice = advice
        member.docker_advice = docker_advice or advice
        return member

    def advice_in(self, place: Place) -> str:
        """Return what to do next, in words of that place."""
        return self.docker_advice if place is Place.DOCKER else self.advice

    @classmethod
    # It takes the place of str.find, which nobody asks of a reason.
    def named(cls, word: str | None) -> "Reason | None":
        """Return the reason of that name; None when it is none of ours."""
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
        "The result reached the limit of its size and was cut, so it was not stored.",
        "Write at most 4095 bytes to resultPath, or store the result and return where it is.",
    )
    WAITING_TO_START = (
        "WaitingToStart",
        None,
        "The attempt's main container has not started yet.",
        (
            "If it stays, kubectl describe pod -n NAMESPACE POD says why: an image that cannot be "
            "pulled, a missing Secret or volume, no room on a node. scheduleTimeoutSeconds and "
            "startupTimeoutSeconds limit the wait."
        ),
        "If it stays, look at docker ps and at the daemon; startupTimeoutSeconds limits the wait.",
    )
    START_DELAYED = (
        "StartDelayed",
        None,
        (
            "A container cannot start now, and the error says nothing against the run: the node "
            "or the registry is busy or does not answer. It is tried again."
        ),
        (
            "Wait, or look at the registry or node that the message names. startupTimeoutSeconds "
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
        "The main container ended and other containers of its Pod went on; the Pod is stopped.",
        (
            "To have them ended with main, make them native sidecars "
            "(init containers with restartPolicy Always)."
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
        "Somebody else's scheduling gate, such as Kueue's, keeps the Pod waiting.",
        "Look at the queue that the gate belongs to.",
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        None,
        "No node of the cluster can take the Pod now; it is waited for.",
        (
            "The message has the scheduler's sentence: compare requests, node selectors and "
            "taints with what the cluster has. scheduleTimeoutSeconds says how long it is waited "
            "for."
        ),
    )
    QUOTA_EXCEEDED = (
        "QuotaExceeded",
        None,
        "The namespace's ResourceQuota has no room for the Pod; waiting uses up no attempt.",
        "Wait, or raise the quota: kubectl describe resourcequota -n NAMESPACE.",
    )
    SERVICE_ACCOUNT_NOT_FOUND = (
        "ServiceAccountNotFound",
        FailureKind.CONFIGURATION,
        "The Pod's service account does not exist. It is waited for a minute, then the run fails.",
        "Create the service account or correct serviceAccountName.",
    )
    WEBHOOK_FAILED = (
        "WebhookFailed",
        FailureKind.CONFIGURATION,
        (
            "An admission webhook of the cluster did not answer for the Pod. It is asked again for "
            "a minute, then the run fails."
        ),
        "Mend the webhook that the message names, or ask whoever runs it, and run it again.",
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
            "Look for a crash in its log (SIGSEGV, SIGABRT), or for the process that sent the "
            "signal (SIGKILL, SIGTERM). A program may also exit with such a code itself."
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
        "Check image, command, args and mounts: the message has the runtime's sentence.",
    )
    IMAGE_PULL_FAILED = (
        "ImagePullFailed",
        FailureKind.CONFIGURATION,
        "An image could not be pulled for a minute, or its name is not valid.",
        "Check the image's name and tag, and imagePullSecrets if its registry wants a login.",
        "Check the image's name and tag, and docker login if its registry wants one.",
    )
    CONTAINER_CONFIG_ERROR = (
        "ContainerConfigError",
        FailureKind.CONFIGURATION,
        "A container could not be made from its specification for half a minute.",
        "Correct the field that the message is about, or create the object that it refers to.",
        "Correct the field that the message is about.",
    )
    SCHEDULE_TIMEOUT = (
        "ScheduleTimeout",
        FailureKind.TIMEOUT,
        "No node was found for the Pod within scheduleTimeoutSeconds.",
        "Compare requests, node selectors, taints and quota with what the cluster has.",
    )
    STARTUP_TIMEOUT = (
        "StartupTimeout",
        FailureKind.TIMEOUT,
        "The main container did not start within startupTimeoutSeconds.",
        "The message has the last known cause; raise startupTimeoutSeconds for slow images.",
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
            "Run it again, or let disruptionLimit have it repeated; if that goes on, set resource "
            "requests that match its use."
        ),
    )
    PREEMPTED = (
        "Preempted",
        FailureKind.INFRASTRUCTURE,
        "The Pod was preempted to make room for work of higher priority.",
        "Run it again, let disruptionLimit have it repeated, or give it a priorityClassName.",
    )
    NODE_LOST = (
        "NodeLost",
        FailureKind.INFRASTRUCTURE,
        "The Pod's node was shut down, tainted, deleted or lost.",
        "Run it again, or let disruptionLimit have it repeated.",
    )
    POD_DELETED = (
        "PodDeleted",
        FailureKind.INFRASTRUCTURE,
        "Somebody deleted the Pod.",
        (
            "Run it again, or let disruptionLimit have it repeated; to stop a run, set spec.cancel "
            "instead."
        ),
        "Run it again, or let disruptionLimit have it repeated; to stop a run: taskrun cancel.",
    )
    POD_REJECTED = (
        "PodRejected",
        FailureKind.INFRASTRUCTURE,
        "The node refused the Pod, or ended it without saying how its main container ended.",
        "Look at the message; run it again.",
    )
    FINAL_STATE_UNKNOWN = (
        "FinalStateUnknown",
        FailureKind.INFRASTRUCTURE,
        (
            "Nobody saw how the main container ended: its machine was restarted or lost track of "
            "it, or it was removed by force."
        ),
        "Check whether the work was done before running it again.",
    )
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        FailureKind.TIMEOUT,
        "The run took longer than activeDeadlineSeconds, queueing and retries included.",
        "Raise activeDeadlineSeconds or make the work shorter.",
    )
    ATTEMPT_DEADLINE_EXCEEDED = (
        "AttemptDeadlineExceeded",
        FailureKind.TIMEOUT,
        "One attempt's main container ran longer than attemptDeadlineSeconds.",
        "Raise attemptDeadlineSeconds or make the work shorter.",
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
        "The TaskRun was deleted before the run had ended, and a finalizer still holds the object.",
        "Create a new TaskRun to run it again.",
    )
    INVALID_POD_TEMPLATE = (
        "InvalidPodTemplate",
        FailureKind.CONFIGURATION,
        "A field of the run is not valid, or cannot be honoured where it is to run.",
        "Correct what the message names and create the TaskRun again.",
    )
    ADMISSION_REFUSED = (
        "AdmissionRefused",
        FailureKind.CONFIGURATION,
        "Admission refused the Pod: Pod Security, a policy, or a quota that can never fit.",
        "Change the Pod or ask the cluster's administrator.",
    )
    POD_NAME_CONFLICT = (
        "PodNameConflict",
        FailureKind.CONFIGURATION,
        "A Pod that is not this run's has the name of this run's Pod.",
        "Remove that Pod, or create the TaskRun under another name.",
    )
    INVALID_TASK_RUN = (
        "InvalidTaskRun",
        FailureKind.CONFIGURATION,
        "The controller cannot understand the TaskRun.",
        "Correct what the message names and create the TaskRun again.",
    )
