"""Functions that build the next status of a run from its current one.

The rules decide; these functions only express a decision in the fields that clients rely on.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from taskruns.api.conditions import ConditionType, FailureKind, Outcome, Phase
from taskruns.api.reasons import Place, Reason
from taskruns.api.v1alpha1 import Attempt, Condition, TaskRun, TaskRunStatus
from taskruns.api.v1alpha1.status import MAX_ATTEMPTS, MAX_COUNT
from taskruns.core.facts import PodFacts
from taskruns.core.message import (
    MAX_ATTEMPT_MESSAGE,
    MAX_MESSAGE,
    address,
    advise,
    describe,
    describe_count,
    one_line,
    was_cut,
    with_output,
)
from taskruns.core.retry import replacements
from taskruns.core.unstructured import mapping, stamp
from taskruns.core.verdict import Verdict, finished_at


def status_patch(run: Mapping[str, Any], desired: TaskRunStatus) -> dict[str, Any]:
    """Return the merge patch (RFC 7386) that changes a run's status into the desired one.

    It contains the resourceVersion on which the decision was made, so that the apiserver rejects a
    decision on a stale object.

    Args:
        run: the TaskRun in wire form.
        desired: the complete new status.
    """
    before, after = mapping(run.get("status")), desired.to_json()
    changed: dict[str, Any] = {key: None for key in before if key not in after}
    changed |= {key: value for key, value in after.items() if before.get(key) != value}
    version = mapping(run.get("metadata")).get("resourceVersion")
    return {"metadata": {"resourceVersion": version}, "status": changed}


def queued(run: TaskRun, reason: Reason, message: str, now: datetime) -> TaskRunStatus:
    """Return the status of a run whose Pod cannot be created yet."""
    return _moved(run, Phase.QUEUED, reason, message, now)


def claimed(run: TaskRun, pod: PodFacts, number: int, now: datetime) -> TaskRunStatus:
    """Record the claim: only this Pod may run the attempt with this number.

    If the run was never queued, startTime is the creation time of its first Pod.
    """
    # attempts[] is keyed by podUID, so another record with this Pod's uid is dropped.
    records = (each for each in run.status.attempts or () if each.pod_uid != pod.ref.uid)
    attempt = Attempt(
        number=number,
        pod_name=pod.ref.name,
        pod_uid=pod.ref.uid,
        created_time=pod.created_at,
    )
    status = _moved(
        run, Phase.PENDING, Reason.WAITING_TO_START, Reason.WAITING_TO_START.meaning, now
    )
    return status.model_copy(
        update={
            "attempt": number,
            "pod_name": pod.ref.name,
            "pod_uid": pod.ref.uid,
            "start_time": run.status.start_time or pod.created_at or now,
            "exit_code": None,
            "attempts": [*records, attempt][-MAX_ATTEMPTS:],
        }
    )


def running(run: TaskRun, pod: PodFacts, now: datetime) -> TaskRunStatus:
    """Return the status of a run whose main container has been running for a while."""
    node = f" on node {pod.node}" if pod.shown_node else ""
    status = _moved(
        run, Phase.RUNNING, Reason.MAIN_RUNNING, f"Container {pod.main.name} is running{node}", now
    )
    attempt = _observed(_last(run), pod).model_copy(update={"reason": None, "trouble_time": None})
    return with_last_attempt(status, attempt)


def pending(
    run: TaskRun, pod: PodFacts, reason: Reason, message: str, now: datetime
) -> TaskRunStatus:
    """Return a status that shows why main has not started, and since when that is known."""
    phase = Phase.QUEUED if reason is Reason.SCHEDULING_GATED else Phase.PENDING
    status = _moved(run, phase, reason, message, now)
    troubled = reason.kind is not None or reason is Reason.START_DELAYED
    attempt = _observed(_last(run), pod).model_copy(
        update={"reason": reason if troubled else None, "trouble_time": now if troubled else None}
    )
    return with_last_attempt(status, attempt)


def overdue(
    run: TaskRun, pod: PodFacts, reason: Reason, message: str, now: datetime
) -> TaskRunStatus:
    """Return a status that shows that the attempt's end is overdue, and why."""
    status = _moved(run, run.status.phase or Phase.PENDING, reason, message, now)
    return with_last_attempt(status, _observed(_last(run), pod))


def stopping(
    run: TaskRun, pod: PodFacts, reason: Reason, cause: str, now: datetime
) -> TaskRunStatus:
    """Record the reason for a stop, before the attempt is stopped."""
    status = _moved(run, Phase.STOPPING, reason, cause, now)
    update = {"reason": reason, "message": one_line(cause, MAX_ATTEMPT_MESSAGE), "stop_time": now}
    return with_last_attempt(status, _observed(_last(run), pod).model_copy(update=update))


def stopping_remaining(
    run: TaskRun, pod: PodFacts, verdict: Verdict, now: datetime
) -> TaskRunStatus:
    """Record main's own, final verdict and that the remaining containers are to be stopped."""
    status = stopping(run, pod, Reason.MAIN_ENDED, verdict.cause, now)
    remaining = ", ".join(pod.remaining)
    message = f"{verdict.cause}; stopping the remaining containers: {remaining}"
    update = {"message": one_line(message, MAX_MESSAGE)}
    attempt = _judged(_last(status_of(run, status)), pod, verdict, now)
    return with_last_attempt(status.model_copy(update=update), attempt)


def status_of(run: TaskRun, status: TaskRunStatus) -> TaskRun:
    """Return a copy of the run with another status."""
    return run.model_copy(update={"status": status})


def suspended(
    run: TaskRun, pod: PodFacts | None, verdict: Verdict | None, now: datetime
) -> TaskRunStatus:
    """Record that the run is suspended and nothing of it runs.

    startTime is removed, and set again on resume, as in Job.

    Args:
        run: the run.
        pod: the Pod of the attempt that was stopped, if there was one and it was cached.
        verdict: the verdict on the attempt that was stopped for the suspension, or None.
        now: the time, in UTC.
    """
    reason = Reason.SUSPENDED
    status = _moved(run, Phase.SUSPENDED, reason, reason.meaning, now)
    if verdict is not None:
        status = _recorded(run, status, pod, verdict, now)
    suspension = condition(run, ConditionType.SUSPENDED, "True", reason, reason.meaning, now)
    return status.model_copy(update={"start_time": None, "conditions": [suspension]})


def resumed(run: TaskRun, phase: Phase, now: datetime) -> TaskRunStatus:
    """Record that a suspended run is resumed, with a new startTime."""
    reason = Reason.RESUMED
    status = _moved(run, phase, reason, reason.meaning, now)
    suspension = condition(run, ConditionType.SUSPENDED, "False", reason, reason.meaning, now)
    kept = [each for each in status.conditions or () if each.type != suspension.type]
    conditions = [*kept, suspension]
    return status.model_copy(update={"start_time": now, "conditions": conditions})


def retrying(
    run: TaskRun, pod: PodFacts | None, verdict: Verdict, due: datetime, now: datetime
) -> TaskRunStatus:
    """Record an attempt's outcome and when the next attempt is due."""
    sentences = (
        describe(pod, verdict),
        describe_count(run, verdict),
        f"The next attempt is due at {stamp(due)}",
    )
    message = with_output(". ".join(filter(None, sentences)), verdict)
    status = _moved(run, Phase.BACKING_OFF, verdict.reason, message, now)
    return _recorded(run, status, pod, verdict, now)


def concluded(
    run: TaskRun, pod: PodFacts | None, verdict: Verdict, now: datetime, place: Place
) -> TaskRunStatus:
    """Record the last attempt's outcome and the end of the run."""
    if verdict.outcome == Outcome.SUCCEEDED:
        ended = _succeeded(run, pod, verdict, now)
    else:
        advice = address(advise(verdict.reason, verdict.cause, place), run, pod)
        sentences = (describe(pod, verdict), describe_count(run, verdict), advice)
        cause = ". ".join(filter(None, sentences))
        ended = failed(run, verdict.reason, with_output(cause.rstrip("."), verdict), now)
    return _recorded(run, ended, pod, verdict, now)


def failed(run: TaskRun, reason: Reason, message: str, now: datetime) -> TaskRunStatus:
    """Record the end of a run without success.

    A cancelled run has phase Cancelled, and condition Failed with a reason of kind Cancelled.
    """
    phase = Phase.CANCELLED if reason.kind == FailureKind.CANCELLED else Phase.FAILED
    message = one_line(message, MAX_MESSAGE)
    status = _moved(run, phase, reason, message, now)
    conditions = [
        condition(run, kind, "True", reason, reason.meaning, now)
        for kind in (ConditionType.FAILED, ConditionType.FINISHED, ConditionType.STALLED)
    ]
    conditions += (each for each in kept_conditions(run) if each.status == "False")
    return status.model_copy(
        update={
            "failure_kind": reason.kind,
            "start_time": run.status.start_time or now,
            "completion_time": now,
            "conditions": conditions,
        }
    )


def _succeeded(
    run: TaskRun, pod: PodFacts | None, verdict: Verdict, now: datetime
) -> TaskRunStatus:
    sentences = (describe(pod, verdict), describe_count(run, verdict))
    message = ". ".join(filter(None, sentences))
    status = _moved(run, Phase.SUCCEEDED, verdict.reason, message, now)
    conditions = [
        condition(run, kind, "True", verdict.reason, verdict.reason.meaning, now)
        for kind in (ConditionType.COMPLETE, ConditionType.FINISHED)
    ]
    conditions += (each for each in kept_conditions(run) if each.status == "False")
    text = pod.main.ending.message if pod is not None and pod.main.ending is not None else ""
    limit = pod.message_limit if pod is not None else 0
    if text and was_cut(text, limit):
        cut = Reason.RESULT_TOO_LARGE
        explanation = (
            f"The result has {limit} bytes or more; at most {limit - 1} are kept. {cut.advice}"
        )
        stored = condition(run, ConditionType.RESULT_STORED, "False", cut, explanation, now)
        conditions.append(stored)
        text = ""
        message = f"{message}. Its result exceeded the size limit and was not stored"
    return status.model_copy(
        update={
            "message": message,
            "result": text or None,
            "completion_time": now,
            "conditions": conditions,
        }
    )


def _recorded(
    run: TaskRun, status: TaskRunStatus, pod: PodFacts | None, verdict: Verdict, now: datetime
) -> TaskRunStatus:
    attempt = _judged(_last(run), pod, verdict, now)
    failed_count = _counted(run.status.failed, verdict.outcome == Outcome.FAILED)
    disrupted_count = _counted(run.status.disrupted, verdict.outcome == Outcome.DISRUPTED)
    replaced_count = _counted(replacements(run.status), verdict.outcome == Outcome.REPLACED)
    requeued_count = _counted(run.status.requeued, verdict.outcome == Outcome.REQUEUED)
    status = status.model_copy(
        update={
            "exit_code": attempt.exit_code,
            "failed": failed_count,
            "disrupted": disrupted_count,
            "replaced": replaced_count or None,
            "requeued": requeued_count or None,
        }
    )
    return with_last_attempt(status, attempt)


def _counted(before: int | None, more: int) -> int:
    return min((before or 0) + more, MAX_COUNT)


def _judged(attempt: Attempt, pod: PodFacts | None, verdict: Verdict, now: datetime) -> Attempt:
    if attempt.outcome is not None:
        return attempt
    updated = attempt if pod is None else _observed(attempt, pod)
    ending = pod.main.exited if pod is not None else None
    return updated.model_copy(
        update={
            "finished_time": finished_at(pod, now),
            "exit_code": ending.exit_code if ending is not None else None,
            "signal": ending.signal if ending is not None else None,
            "reason": verdict.reason,
            "trouble_time": None,
            "message": one_line(with_output(verdict.cause, verdict), MAX_ATTEMPT_MESSAGE),
            "outcome": verdict.outcome,
            "final": verdict.final or None,
        }
    )


def _observed(attempt: Attempt, pod: PodFacts) -> Attempt:
    return attempt.model_copy(
        update={
            "node_name": pod.node or attempt.node_name,
            "scheduled_time": pod.scheduled_at or attempt.scheduled_time,
            "started_time": pod.main.started_at or attempt.started_time,
        }
    )


def _last(run: TaskRun) -> Attempt:
    return (run.status.attempts or [])[-1]


def with_last_attempt(status: TaskRunStatus, attempt: Attempt) -> TaskRunStatus:
    """Return a status whose last attempt record is replaced."""
    return status.model_copy(update={"attempts": [*(status.attempts or ())[:-1], attempt]})


def _moved(
    run: TaskRun, phase: Phase, reason: Reason, message: str, now: datetime
) -> TaskRunStatus:
    reconciling = condition(run, ConditionType.RECONCILING, "True", reason, reason.meaning, now)
    return run.status.model_copy(
        update={
            "observed_generation": run.metadata.generation,
            "phase": phase,
            "reason": reason,
            "message": one_line(message, MAX_MESSAGE),
            "start_time": run.status.start_time or (now if phase == Phase.QUEUED else None),
            "failure_kind": reason.kind if phase == Phase.BACKING_OFF else None,
            "conditions": [reconciling, *kept_conditions(run)],
        }
    )


def condition(
    run: TaskRun, kind: ConditionType, value: str, reason: Reason, message: str, now: datetime
) -> Condition:
    """Build a condition; its transition time stays while its status stays (metav1.Condition)."""
    before = {each.type: each for each in run.status.conditions or ()}.get(kind)
    since = before.last_transition_time if before is not None and before.status == value else now
    return Condition(
        type=kind,
        status=value,
        observed_generation=run.metadata.generation,
        last_transition_time=since,
        reason=reason,
        message=message,
    )


def kept_conditions(run: TaskRun) -> list[Condition]:
    """Return the conditions that every new status keeps: Suspended only."""
    conditions = run.status.conditions or ()
    return [each for each in conditions if each.type == ConditionType.SUSPENDED]


def refused_since(run: TaskRun) -> datetime | None:
    """Return when Pod creation was first rejected for a transient reason, or None."""
    conditions = {each.type: each for each in run.status.conditions or ()}
    refused = conditions.get(ConditionType.POD_REFUSED)
    return None if refused is None else refused.last_transition_time


def with_refusal(
    status: TaskRunStatus, run: TaskRun, reason: Reason, now: datetime
) -> TaskRunStatus:
    """Add condition PodRefused to a status, keeping the time of the first rejection."""
    refused = condition(run, ConditionType.POD_REFUSED, "True", reason, reason.meaning, now)
    return status.model_copy(update={"conditions": [*(status.conditions or ()), refused]})
