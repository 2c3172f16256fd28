"""How a task fails, by cause: a class each, for `except`, for callbacks and for retry policies."""

from collections.abc import Collection
from dataclasses import dataclass

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)

from taskruns.api.conditions import FailureKind
from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import TaskRun


class TaskRunFailed(AirflowException):
    """A TaskRun did not succeed; Airflow's `retries` decide what follows."""

    exit_code: int | None = None
    """Of the main container; None where it never ran."""
    reason: str = ""
    """A word of taskruns' list of reasons."""


class TaskRunApplicationFailed(TaskRunFailed):
    """The task's own program failed."""


class TaskRunOOMKilled(TaskRunApplicationFailed):
    """The task used more memory than its limit."""


class TaskRunDisrupted(TaskRunFailed):
    """The cluster ended the task: eviction, preemption, a lost node, a deleted Pod."""


class TaskRunNotStarted(TaskRunFailed):
    """The task's container did not start: its image, its configuration, or no room in time."""


class TaskRunTimedOut(TaskRunFailed):
    """The task ran into one of its deadlines."""


class TaskRunMisconfigured(TaskRunFailed):
    """What the task asks for cannot be run as it is."""


class TaskRunCancelled(TaskRunFailed, AirflowFailException):
    """Somebody cancelled or deleted the TaskRun; that is not retried."""


class TaskRunFailedForGood(TaskRunFailed, AirflowFailException):
    """The exit code is one of `fail_on_exit_code`; that is not retried."""


class TaskRunResultInvalid(TaskRunFailed):
    """The task succeeded, but what it left as its result cannot be an XCom."""


class TaskRunClusterRefused(TaskRunFailed):
    """The cluster refused a request, or was out of reach for too long; the run goes on."""


_BY_REASON: dict[str, type[TaskRunFailed]] = {
    Reason.OOM_KILLED: TaskRunOOMKilled,
    Reason.IMAGE_PULL_FAILED: TaskRunNotStarted,
    Reason.CONTAINER_CONFIG_ERROR: TaskRunNotStarted,
    Reason.CONTAINER_CANNOT_START: TaskRunNotStarted,
    Reason.SCHEDULE_TIMEOUT: TaskRunNotStarted,
    Reason.STARTUP_TIMEOUT: TaskRunNotStarted,
}
_BY_KIND: dict[FailureKind | None, type[TaskRunFailed]] = {
    FailureKind.APPLICATION: TaskRunApplicationFailed,
    FailureKind.INFRASTRUCTURE: TaskRunDisrupted,
    FailureKind.CONFIGURATION: TaskRunMisconfigured,
    FailureKind.TIMEOUT: TaskRunTimedOut,
    FailureKind.CANCELLED: TaskRunCancelled,
}


@dataclass(frozen=True, slots=True)
class ExitCodes:
    """Exit codes that mean something of their own."""

    skip: Collection[int] = ()
    fail: Collection[int] = ()


def failure_of(run: TaskRun, codes: ExitCodes) -> AirflowException:
    """Return the exception that tells how a run ended that did not succeed."""
    status = run.status
    by_exit_code = status.exit_code if status.failure_kind is FailureKind.APPLICATION else None
    if by_exit_code is not None and by_exit_code in codes.skip:
        return AirflowSkipException(f"{_told(run)} (skip_on_exit_code)")
    kind = _BY_REASON.get(status.reason or "") or _BY_KIND.get(status.failure_kind, TaskRunFailed)
    if by_exit_code is not None and by_exit_code in codes.fail:
        kind = TaskRunFailedForGood
    failure = kind(_told(run))
    failure.exit_code, failure.reason = status.exit_code, status.reason or ""
    return failure


def _told(run: TaskRun) -> str:
    name = f"TaskRun {run.metadata.namespace}/{run.metadata.name}"
    reason = run.status.reason or "no reason given"
    return f"{name} {run.status.phase}, {reason}: {run.status.message or 'no message'}"
