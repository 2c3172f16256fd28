"""The verdict on an attempt: the consequence of its end for the run (design.md, Verdict)."""

from dataclasses import dataclass, replace
from datetime import datetime

from taskruns.api.conditions import Outcome
from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import Attempt, TaskRun
from taskruns.api.v1alpha1.spec import (
    ExitCodeOperator,
    FailureAction,
    OnExitCodes,
    OnPodCondition,
    PodFailurePolicy,
)
from taskruns.core.facts import Container, Ending, PodFacts

_EVICTED_DUE_TO = "WorkloadEvictedDueTo"

_REASONS = {
    "Preempted": Reason.PREEMPTED,
    "StoppedByKueue": Reason.PREEMPTED,
    "NodeFailures": Reason.NODE_LOST,
}


def reason_of(target: str) -> Reason:
    """Return the reason for an attempt whose Pod has a TerminationTarget condition.

    Args:
        target: reason of that condition.
    """
    return _REASONS.get(target.removeprefix(_EVICTED_DUE_TO), Reason.EVICTED)


def is_deactivated(target: str) -> bool:
    """Return whether Kueue or a person deactivated the Workload, so that no retry may follow.

    Kueue deactivates a Workload that exceeds its maximum execution time or its requeue limit, or
    that an admission check rejects. A new Pod would get a new, active Workload.

    Args:
        target: reason of the TerminationTarget condition.
    """
    return target.removeprefix(_EVICTED_DUE_TO).startswith(("Deactivated", "InactiveWorkload"))


def match(
    policy: PodFailurePolicy | None, pod: PodFacts, *, by_code: bool = True
) -> tuple[int, FailureAction] | None:
    """Return number (from 1) and action of the first matching podFailurePolicy rule, or None.

    Args:
        policy: the run's rules.
        pod: the Pod that ended.
        by_code: whether rules on exit codes apply.
    """
    for number, rule in enumerate(policy.rules if policy is not None else (), start=1):
        conditions = rule.on_pod_conditions or ()
        if by_code and rule.on_exit_codes is not None and _matches_codes(rule.on_exit_codes, pod):
            return number, rule.action
        if any(_matches_condition(condition, pod) for condition in conditions):
            return number, rule.action
    return None


def _matches_codes(on_exit_codes: OnExitCodes, pod: PodFacts) -> bool:
    codes = (
        container.ending.exit_code
        for container in pod.containers
        if container.ending is not None and on_exit_codes.container_name in (None, container.name)
    )
    inside = on_exit_codes.operator is ExitCodeOperator.IN
    return any(code != 0 and (code in on_exit_codes.values) is inside for code in codes)


def _matches_condition(condition: OnPodCondition, pod: PodFacts) -> bool:
    return pod.conditions.get(condition.type) == (condition.status or "True")


_DISRUPTIONS = {
    # Reasons of the DisruptionTarget condition, and values of a Pod's status.reason, because old
    # kubelets and lost nodes set no condition.
    "EvictionByEvictionAPI": Reason.EVICTED,
    "TerminationByKubelet": Reason.EVICTED,
    "Evicted": Reason.EVICTED,
    "PreemptionByScheduler": Reason.PREEMPTED,
    "Preempting": Reason.PREEMPTED,
    "DeletionByTaintManager": Reason.NODE_LOST,
    "DeletionByPodGC": Reason.NODE_LOST,
    "Shutdown": Reason.NODE_LOST,
    "NodeShutdown": Reason.NODE_LOST,
    "NodeLost": Reason.NODE_LOST,
    "Terminated": Reason.NODE_LOST,
}

_WITHOUT_KUBELET = frozenset({"DeletionByPodGC", "NodeLost"})
"""Reasons of Pods that were ended without their kubelet."""

_OUTCOME_OF_STOP = {
    Reason.CANCELLED: Outcome.STOPPED,
    Reason.DEADLINE_EXCEEDED: Outcome.STOPPED,
    Reason.ATTEMPT_DEADLINE_EXCEEDED: Outcome.FAILED,
    Reason.SUSPENDED: Outcome.STOPPED,
    Reason.SCHEDULE_TIMEOUT: Outcome.STOPPED,
    Reason.STARTUP_TIMEOUT: Outcome.STOPPED,
    Reason.IMAGE_PULL_FAILED: Outcome.STOPPED,
    Reason.CONTAINER_CONFIG_ERROR: Outcome.STOPPED,
}
"""Outcome of an attempt that taskruns stopped, by the reason of the stop."""

_NOT_STARTED = frozenset(
    {
        Reason.SCHEDULE_TIMEOUT,
        Reason.STARTUP_TIMEOUT,
        Reason.IMAGE_PULL_FAILED,
        Reason.CONTAINER_CONFIG_ERROR,
    }
)
"""Reasons of stops that imply that main had not started."""

_CANNOT_START = frozenset({"StartError", "ContainerCannotRun", "RunContainerError"})
"""Termination reasons of a container whose program could not be started."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The consequence of an attempt's end for the run."""

    outcome: Outcome
    reason: Reason
    cause: str
    """Cause of the end as a sentence for users, without a full stop."""
    output: str = ""
    """Termination message of the container: written by the task, or the end of its log."""
    final: bool = False
    """Whether podFailurePolicy or the run's queue forbids another attempt."""


def judge(pod: PodFacts, attempt: Attempt, policy: PodFailurePolicy | None) -> Verdict:
    """Return the verdict on an attempt whose Pod or main container has ended."""
    ending = pod.main.ending
    stopped = _was_stopped(ending, attempt)
    if _succeeded(pod) and not stopped:
        return Verdict(Outcome.SUCCEEDED, Reason.COMPLETED, f"Container {pod.main.name} completed")
    if stopped:
        return _judge_stopped(attempt, pod)
    return _follow(policy, pod, _judge_failed(pod, attempt))


def _follow(policy: PodFailurePolicy | None, pod: PodFacts, verdict: Verdict) -> Verdict:
    """Apply the run's podFailurePolicy to the verdict on a failure or disruption.

    If the queue stopped the Pod, its exit code is only the response to SIGTERM. Rules on exit codes
    do not apply then, as with a Job that Kueue suspends. No rule applies to a deactivated Workload:
    the run fails.
    """
    if verdict.final:
        return verdict
    requeued = verdict.outcome == Outcome.REQUEUED
    matched = match(policy, pod, by_code=not requeued)
    if matched is None:
        return verdict
    number, action = matched
    outcome = Outcome.IGNORED if action is FailureAction.IGNORE else Outcome.FAILED
    cause = f"{verdict.cause} ({action} by rule {number} of podFailurePolicy)"
    final = action is FailureAction.FAIL_JOB
    return replace(verdict, outcome=outcome, cause=cause, final=final)


def _judge_failed(pod: PodFacts, attempt: Attempt) -> Verdict:
    ending = pod.main.ending
    if pod.reason == "DeadlineExceeded" and attempt.stop_time is None:
        reason = Reason.ATTEMPT_DEADLINE_EXCEEDED
        return Verdict(
            Outcome.FAILED, reason, "The Pod ran past the activeDeadlineSeconds of its template"
        )
    if pod.queue_stop.reason and pod.queued:
        return _judge_requeued(pod, started=_may_have_started(pod, attempt))
    disruption = disruption_of(pod)
    if not _may_have_started(pod, attempt):
        return _judge_unstarted(pod, disruption)
    if disruption is not None:
        cause = _disruption_cause(pod, disruption)
        if (
            disruption is not Reason.FINAL_STATE_UNKNOWN
        ):  # its meaning already states that the exit code is unknown
            cause += _end_of(pod.main)
        return Verdict(Outcome.DISRUPTED, disruption, cause, ending.message if ending else "")
    if ending is None:
        cause = f"The Pod ended without reporting the exit code of container {pod.main.name}"
        return Verdict(Outcome.DISRUPTED, Reason.FINAL_STATE_UNKNOWN, cause)
    return _judge_failure(pod.main, ending)


def _judge_requeued(pod: PodFacts, *, started: bool) -> Verdict:
    """Return the verdict on an attempt that Kueue ended.

    The run is queued again, unless Kueue deactivated its Workload: then it fails.
    """
    target, reason = pod.queue_stop.reason, reason_of(pod.queue_stop.reason)
    end = _end_of(pod.main) if started else ", before its main container started"
    cause = _disruption_cause(pod, reason) + end
    output = pod.main.ending.message if started and pod.main.ending is not None else ""
    if is_deactivated(target):
        outcome = Outcome.DISRUPTED if started else Outcome.REPLACED
        cause += "; the workload was deactivated, so it is not queued again"
        return Verdict(outcome, reason, cause, output, final=True)
    return Verdict(Outcome.REQUEUED, reason, f"{cause}; the run is queued again", output)


def _may_have_started(pod: PodFacts, attempt: Attempt) -> bool:
    """Return whether main may have started; only a report of the kubelet excludes it.

    The Pods of a lost node are ended on behalf of the kubelet, which may have started them without
    a report.
    """
    started = pod.main.has_run or attempt.started_time is not None
    return started or (bool(pod.node) and _ended_without_kubelet(pod))


def is_partly_reported(pod: PodFacts) -> bool:
    """Return whether the kubelet has reported the Pod's end, but not yet main's.

    It sends the two in separate reports after a time without connection, such as an outage.
    """
    return bool(pod.node) and pod.main.running and not _ended_without_kubelet(pod)


def _ended_without_kubelet(pod: PodFacts) -> bool:
    return pod.main.ending is None and bool({pod.reason, pod.disruption} & _WITHOUT_KUBELET)


def judge_gone(
    last_seen: PodFacts | None, attempt: Attempt, policy: PodFailurePolicy | None
) -> Verdict:
    """Return the verdict on an attempt whose Pod no longer exists.

    Args:
        last_seen: the Pod as last cached; None if it never was in the cache.
        attempt: the record of the attempt.
        policy: the run's podFailurePolicy.
    """
    if last_seen is not None and (last_seen.main.ending is not None or last_seen.ended):
        return judge(last_seen, attempt, policy)
    if attempt.stop_time is not None and attempt.reason in _OUTCOME_OF_STOP:
        return _judge_stopped(attempt, None)
    if last_seen is not None and last_seen.queue_stop.reason and last_seen.queued:
        requeued = _judge_requeued(last_seen, started=_may_have_started(last_seen, attempt))
        return _follow(policy, last_seen, requeued)
    if last_seen is not None and not last_seen.node:
        cause = "The Pod was removed before it had a node"
        return Verdict(Outcome.REPLACED, Reason.POD_DELETED, cause)
    cause = "The Pod no longer exists and its outcome was never reported"
    return Verdict(Outcome.DISRUPTED, Reason.FINAL_STATE_UNKNOWN, cause)


def _judge_stopped(attempt: Attempt, pod: PodFacts | None) -> Verdict:
    """Return the verdict that follows from the reason recorded before the stop."""
    reason = Reason.named(attempt.reason)
    if reason not in _OUTCOME_OF_STOP:  # for the type checker: both callers exclude it
        reason = Reason.CANCELLED
    cause = attempt.message or reason.meaning.rstrip(".")
    if pod is None or reason in _NOT_STARTED:
        after = ""
    elif _may_have_started(pod, attempt):
        after = _end_of(pod.main)
    else:
        after = "; its main container had not started"
    output = pod.main.exited.message if pod is not None and pod.main.exited is not None else ""
    return Verdict(_OUTCOME_OF_STOP[reason], reason, cause + after, output)


def _end_of(main: Container) -> str:
    """Return a clause on how main ended, for an attempt with another cause of its end."""
    if main.ending is None or main.ending.unobserved:
        return f"; the exit code of container {main.name} is unknown"
    return f"; container {main.name} {main.ending.exit_text}"


def _succeeded(pod: PodFacts) -> bool:
    if pod.main.ending is None:
        return pod.phase == "Succeeded"
    return pod.main.ending.exit_code == 0


def _was_stopped(ending: Ending | None, attempt: Attempt) -> bool:
    """Return whether our stop was recorded before main ended.

    Both times have a resolution of one second. Within the same second the stop counts as earlier,
    because a task that handles SIGTERM and exits with 0 at once has not done its work.
    """
    if attempt.stop_time is None or attempt.reason not in _OUTCOME_OF_STOP:
        return False
    return ending is None or ending.finished_at is None or ending.finished_at >= attempt.stop_time


def disruption_of(pod: PodFacts) -> Reason | None:
    """Return the external cause of the Pod's termination (eviction, deletion, ...), or None."""
    if pod.queue_stop.reason:
        return reason_of(pod.queue_stop.reason)
    for word in (pod.reason, pod.disruption):
        if word in _DISRUPTIONS:
            return _DISRUPTIONS[word]
    if pod.disruption:
        return Reason.EVICTED
    if pod.deleting:
        return Reason.POD_DELETED
    endings = (each.ending for each in (pod.main, pod.failed_init) if each is not None)
    if any(ending is not None and ending.unobserved for ending in endings):
        return Reason.FINAL_STATE_UNKNOWN
    return None


def _disruption_cause(pod: PodFacts, reason: Reason) -> str:
    where = f" (node {pod.node})" if pod.shown_node else ""
    message = pod.queue_stop.message or pod.message or pod.disruption_message
    suffix = f": {message}" if message else ""
    return reason.meaning.rstrip(".") + where + suffix


def _judge_unstarted(pod: PodFacts, disruption: Reason | None) -> Verdict:
    if disruption is not None:
        cause = _disruption_cause(pod, disruption) + ", before its main container started"
        return Verdict(Outcome.REPLACED, disruption, cause)
    if pod.failed_init is not None and pod.failed_init.ending is not None:
        name, ending = pod.failed_init.name, pod.failed_init.ending
        cause = f"Init container {name} {ending.exit_text}"
        return Verdict(Outcome.FAILED, Reason.INIT_CONTAINER_FAILED, cause, ending.message)
    ending_of_main = pod.main.ending
    if ending_of_main is not None and ending_of_main.reason in _CANNOT_START:
        where = f" on node {pod.node}" if pod.shown_node else ""
        cause = f"Container {pod.main.name} could not be started{where}: {ending_of_main.message}"
        return Verdict(Outcome.FAILED, Reason.CONTAINER_CANNOT_START, cause)
    if ending_of_main is not None:
        return _judge_failure(pod.main, ending_of_main)
    details = ": ".join(word for word in (pod.reason, pod.message) if word)
    cause = "The Pod ended before its main container started" + (f": {details}" if details else "")
    return Verdict(Outcome.REPLACED, Reason.POD_REJECTED, cause)


def _judge_failure(main: Container, ending: Ending) -> Verdict:
    if ending.reason == "OOMKilled":
        cause = f"Container {main.name} used more memory than its limit and was killed"
        return Verdict(Outcome.FAILED, Reason.OOM_KILLED, cause, ending.message)
    if ending.signal is not None:
        cause = f"Container {main.name} {ending.exit_text}"
        return Verdict(Outcome.FAILED, Reason.KILLED_BY_SIGNAL, cause, ending.message)
    cause = f"Container {main.name} {ending.exit_text}"
    return Verdict(Outcome.FAILED, Reason.NON_ZERO_EXIT_CODE, cause, ending.message)


def finished_at(pod: PodFacts | None, now: datetime) -> datetime:
    """Return when main ended according to the kubelet, or else `now`."""
    if pod is None or pod.main.ending is None:
        return now
    return pod.main.ending.finished_at or now


def judge_deleted(
    pod: PodFacts | None, attempt: Attempt, run: TaskRun, deleted_at: datetime | None
) -> Verdict:
    """Return the verdict on an attempt that ended while its TaskRun was being deleted.

    An end with a cause of its own keeps that cause: exit code 0, a recorded stop, an eviction, an
    end before the deletion. Any other end is attributed to the deletion.

    Args:
        pod: the Pod as last cached; None if it never was in the cache.
        attempt: the record of the attempt.
        run: the TaskRun.
        deleted_at: deletion time of the TaskRun; None if it cannot be parsed.
    """
    policy = run.spec.pod_failure_policy
    if attempt.outcome is not None:
        reason = Reason.named(attempt.reason) or Reason.FINAL_STATE_UNKNOWN
        cause = attempt.message or reason.meaning.rstrip(".")
        return Verdict(attempt.outcome, reason, cause, final=bool(attempt.final))
    if attempt.stop_time is not None and attempt.reason != Reason.SUSPENDED:
        return judge_gone(pod, attempt, policy)
    unstopped = attempt.model_copy(update={"stop_time": None, "reason": None, "message": None})
    if pod is None or not _has_ended(pod):
        return _deleted(pod, attempt)
    if _ended_before(pod, deleted_at):
        pod = replace(pod, deleting=False)
    verdict = judge(pod, unstopped, policy=None)
    if verdict.reason is Reason.POD_DELETED:
        return _deleted(pod, attempt, verdict.output)
    return judge(pod, unstopped, policy)


def _has_ended(pod: PodFacts) -> bool:
    return pod.ended or pod.main.ending is not None


def _ended_before(pod: PodFacts, deleted_at: datetime | None) -> bool:
    """Return whether main exited before the deletion, at a resolution of one second."""
    exited = pod.main.exited
    if exited is None or exited.finished_at is None or deleted_at is None:
        return False
    return exited.finished_at < deleted_at


def _deleted(pod: PodFacts | None, attempt: Attempt, output: str = "") -> Verdict:
    cause = "The TaskRun was deleted"
    if pod is not None and pod.main.exited is not None:
        cause += f"; container {pod.main.name} exited with code {pod.main.exited.exit_code}"
    elif attempt.started_time is not None or (pod is not None and pod.main.has_run):
        cause += "; the exit code of its main container is unknown"
    elif pod is not None:
        cause += " before its main container started"
    return Verdict(Outcome.STOPPED, Reason.TASK_RUN_DELETED, cause, output)
