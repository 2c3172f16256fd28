"""How a task fails, by cause: a class each, for `except`, for callbacks and for retry policies."""

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
    """A TaskRun did not succeed; Airflow's `retries` decide what follows.

    Args:
        told: What happened, for people.
        exit_code: Of the main container; None where it never ran.
        reason: A word of taskruns' list of reasons; empty where there is none.
        log_tail: The last lines of the log, or what the task wrote as its last words: ten lines
            and 1024 characters at most.
    """

    def __init__(
        self,
        *told: object,
        exit_code: int | None = None,
        reason: str = "",
        log_tail: Sequence[str] = (),
    ) -> None:
        super().__init__(*told)
        self.exit_code = exit_code
        self.reason = reason
        self.log_tail = list(log_tail)

    @override
    def serialize(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return what Airflow makes the exception again from, in another of its processes."""
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
    """The task's container did not start: its image, what it refers to, or no room in time."""


class TaskRunTimedOut(TaskRunFailed):
    """The task ran into one of its deadlines."""


class TaskRunMisconfigured(TaskRunFailed, AirflowFailException):
    """What the task asks for cannot be run as it is; that is not retried."""


class TaskRunCancelled(TaskRunFailed, AirflowFailException):
    """Somebody cancelled or deleted the TaskRun; that is not retried."""


class TaskRunFailedForGood(TaskRunFailed, AirflowFailException):
    """The exit code is one of `fail_on_exit_code`; that is not retried."""


class TaskRunResultInvalid(TaskRunFailed, AirflowFailException):
    """The task succeeded, but its result cannot be an XCom. Not retried: the work is done."""


class TaskRunClusterRefused(TaskRunFailed):
    """The cluster refused a request, or was out of reach for too long; the run goes on."""


_BY_REASON: dict[str, type[TaskRunFailed]] = {
    Reason.OOM_KILLED: TaskRunOOMKilled,
    Reason.IMAGE_PULL_FAILED: TaskRunNotStarted,
    Reason.CONTAINER_CONFIG_ERROR: TaskRunNotStarted,
    Reason.CONTAINER_CANNOT_START: TaskRunNotStarted,
    Reason.SCHEDULE_TIMEOUT: TaskRunNotStarted,
    Reason.STARTUP_TIMEOUT: TaskRunNotStarted,
    # Not what the task asks for, but what it has found: it may be mended before a retry.
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
    """Exit codes that mean something of their own."""

    skip: Collection[int] = ()
    fail: Collection[int] = ()


def failure_of(run: TaskRun, codes: ExitCodes) -> AirflowException:
    """Return the exception that tells how a run ended that did not succeed."""
    status = run.status
    by_exit_code = status.exit_code if status.failure_kind is FailureKind.APPLICATION else None
    if by_exit_code is not None and by_exit_code in codes.skip:
        return AirflowSkipException(f"skip_on_exit_code: {_told(run)}")
    kind = _BY_REASON.get(status.reason or "") or _BY_KIND.get(status.failure_kind, TaskRunFailed)
    if by_exit_code is not None and by_exit_code in codes.fail:
        kind = TaskRunFailedForGood
    _, log_tail = split_output(status.message or "")
    return kind(
        _told(run), exit_code=status.exit_code, reason=status.reason or "", log_tail=log_tail
    )


def _told(run: TaskRun) -> str:
    """Say what happened as a block: the cause, and under it the last lines, each on its own."""
    name = f"TaskRun {run.metadata.namespace}/{run.metadata.name}"
    reason = run.status.reason or "no reason given"
    cause, lines = split_output(run.status.message or "no message")
    block = [f"{name} {run.status.phase}, {reason}: {cause}"]
    if lines:
        block += ["Last output:", *(f"  {line}" for line in lines)]
    return "\n".join(block)
