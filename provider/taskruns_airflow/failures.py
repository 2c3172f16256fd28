"""Exceptions of failed tasks, one class per cause, for callbacks and retry policies."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)
from typing_extensions import override

from taskruns.api.conditions import FailureKind
from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import TaskRun
from taskruns.api.v1alpha1.status import split_output


class TaskRunFailed(AirflowException):
    """A TaskRun did not succeed; Airflow's `retries` apply.

    Args:
        message: The message.
        exit_code: Exit code of the main container; None if it never ran.
        reason: The run's reason, one of taskruns' list; empty if there is none.
        log_tail: Last lines of the log or of the termination message; at most ten lines and 1024
            characters.
    """

    def __init__(
        self,
        *message: object,
        exit_code: int | None = None,
        reason: str = "",
        log_tail: Sequence[str] = (),
    ) -> None:
        super().__init__(*message)
        self.exit_code = exit_code
        self.reason = reason
        self.log_tail = list(log_tail)

    @override
    def serialize(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return the parts from which Airflow rebuilds the exception in another process."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        known = {"exit_code": self.exit_code, "reason": self.reason, "log_tail": self.log_tail}
        return path, self.args, known


class TaskRunApplicationFailed(TaskRunFailed):
    """The task's own program failed."""


class TaskRunOOMKilled(TaskRunApplicationFailed):
    """The task used more memory than its limit."""


class TaskRunDisrupted(TaskRunFailed):
    """The cluster ended the task: eviction, preemption, a lost node, a deleted Pod."""


class TaskRunNotStarted(TaskRunFailed):
    """The task's container did not start: image, missing objects, or no node in time."""


class TaskRunTimedOut(TaskRunFailed):
    """The task exceeded one of its deadlines."""


class TaskRunMisconfigured(TaskRunFailed, AirflowFailException):
    """The TaskRun is invalid. Not retried."""


class TaskRunCancelled(TaskRunFailed, AirflowFailException):
    """The TaskRun was cancelled or deleted. Not retried."""


class TaskRunFailedForGood(TaskRunFailed, AirflowFailException):
    """The exit code is one of `fail_on_exit_code`. Not retried."""


class TaskRunResultInvalid(TaskRunFailed, AirflowFailException):
    """The task succeeded, but its result cannot be an XCom. Not retried: the work is done."""


class TaskRunClusterRefused(TaskRunFailed):
    """The cluster refused a request or was unreachable for too long; the run continues."""


_BY_REASON: dict[str, type[TaskRunFailed]] = {
    Reason.OOM_KILLED: TaskRunOOMKilled,
    Reason.IMAGE_PULL_FAILED: TaskRunNotStarted,
    Reason.CONTAINER_CONFIG_ERROR: TaskRunNotStarted,
    Reason.CONTAINER_CANNOT_START: TaskRunNotStarted,
    Reason.SCHEDULE_TIMEOUT: TaskRunNotStarted,
    Reason.STARTUP_TIMEOUT: TaskRunNotStarted,
    # Faults of the cluster, not of the task: they may be repaired before a retry.
    Reason.SERVICE_ACCOUNT_NOT_FOUND: TaskRunNotStarted,
    Reason.WEBHOOK_FAILED: TaskRunNotStarted,
    Reason.POD_NAME_CONFLICT: TaskRunNotStarted,
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
    """Exit codes with which a task is skipped, or fails without a retry."""

    skip: Collection[int] = ()
    fail: Collection[int] = ()


def failure_of(run: TaskRun, codes: ExitCodes) -> AirflowException:
    """Return the exception for a run that has ended without success."""
    status = run.status
    by_exit_code = status.exit_code if status.failure_kind is FailureKind.APPLICATION else None
    if by_exit_code is not None and by_exit_code in codes.skip:
        return AirflowSkipException(f"skip_on_exit_code: {_message(run)}")
    kind = _BY_REASON.get(status.reason or "") or _BY_KIND.get(status.failure_kind, TaskRunFailed)
    if by_exit_code is not None and by_exit_code in codes.fail:
        kind = TaskRunFailedForGood
    _, log_tail = split_output(status.message or "")
    return kind(
        _message(run), exit_code=status.exit_code, reason=status.reason or "", log_tail=log_tail
    )


def _message(run: TaskRun) -> str:
    """Return the message of a failed run: the cause, then the last lines of its output."""
    name = f"TaskRun {run.metadata.namespace}/{run.metadata.name}"
    reason = run.status.reason or "no reason given"
    cause, lines = split_output(run.status.message or "no message")
    block = [f"{name} {run.status.phase}, {reason}: {cause}"]
    if lines:
        block += ["Last output:", *(f"  {line}" for line in lines)]
    return "\n".join(block)
