"""The status that a run gets: each function makes the next status from the one before it.

Nothing here chooses; it writes down what was chosen, in the one form that clients rely on.
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


def status_patch(run: Mapping[str, Any], wanted: TaskRunStatus) -> dict[str, Any]:
    """Return the merge patch (RFC 7386) that turns a run's status into the wanted one.

    It carries the resourceVersion that the decision rests on, so that a stale one is refused.
    """
    before, after = mapping(run.get("status")), wanted.to_json()
    changed: dict[str, Any] = {key: None for key in before if key not in after}
    changed |= {key: value for key, value in after.items() if before.get(key) != value}
    version = mapping(run.get("metadata")).get("resourceVersion")
    return {"metadata": {"resourceVersion": version}, "status": changed}


def queued(run: TaskRun, reason: Reason, message: str, now: datetime) -> TaskRunStatus:
    """No Pod could be created yet."""
    return _moved(run, Phase.QUEUED, reason, message, now)


def claimed(run: TaskRun, pod: PodFacts, number: int, now: datetime) -> TaskRunStatus:
    """Record that this Pod, and no other, may run the attempt of that number.

    A run that never waited was first looked at when its first Pod was created.
    """
    # A forged record may name this very Pod, and no two may name one.
    others = (found for found in run.status.attempts or () if found.pod_uid != pod.ref.uid)
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
            "attempts": [*others, attempt][-MAX_ATTEMPTS:],
        }
    )


def running(run: TaskRun, pod: PodFacts, now: datetime) -> TaskRunStatus:
    """Main has been running for a while."""
    node = f" on node {pod.node}" if pod.shown_node else ""
    status = _moved(
        run, Phase.RUNNING, Reason.MAIN_RUNNING, f"Container {pod.main.name} is running{node}", now
    )
    attempt = _seen(_last(run), pod).model_copy(update={"reason": None, "trouble_time": None})
    return with_last_attempt(status, attempt)


def pending(
    run: TaskRun, pod: PodFacts, reason: Reason, message: str, now: datetime
) -> TaskRunStatus:
    """Show what keeps the attempt's main container from starting, and since when."""
    phase = Phase.QUEUED if reason is Reason.SCHEDULING_GATED else Phase.PENDING
    status = _moved(run, phase, reason, message, now)
    troubled = reason.kind is not None or reason is Reason.START_DELAYED
    attempt = _seen(_last(run), pod).model_copy(
        update={"reason": reason if troubled else None, "trouble_time": now if troubled else None}
    )
    return with_last_attempt(status, attempt)


def overdue(
    run: TaskRun, pod: PodFacts, reason: Reason, message: str, now: datetime
) -> TaskRunStatus:
    """Show that the attempt's end is waited for, and why it does not come."""
    status = _moved(run, run.status.phase or Phase.PENDING, reason, message, now)
    return with_last_attempt(status, _seen(_last(run), pod))


def stopping(
    run: TaskRun, pod: PodFacts, reason: Reason, cause: str, now: datetime
) -> TaskRunStatus:
    """Record why the attempt is about to be stopped, before it is."""
    status = _moved(run, Phase.STOPPING, reason, cause, now)
    update = {"reason": reason, "message": one_line(cause, MAX_ATTEMPT_MESSAGE), "stop_time": now}
    return with_last_attempt(status, _seen(_last(run), pod).model_copy(update=update))


def stopping_leftovers(
    run: TaskRun, pod: PodFacts, verdict: Verdict, now: datetime
) -> TaskRunStatus:
    """Record main's own, final verdict while other containers still have to be stopped."""
    status = stopping(run, pod, Reason.MAIN_ENDED, verdict.cause, now)
    others = ", ".join(pod.leftovers)
    said = f"{verdict.cause}; stopping the containers that went on: {others}"
    update = {"message": one_line(said, MAX_MESSAGE)}
    attempt = _judged(_last(status_of(run, status)), pod, verdict, now)
    return with_last_attempt(status.model_copy(update=update), attempt)


def status_of(run: TaskRun, status: TaskRunStatus) -> TaskRun:
    """Return the run as it will be with another status."""
    return run.model_copy(update={"status": status})


def suspended(
    run: TaskRun, pod: PodFacts | None, verdict: Verdict | None, now: datetime
) -> TaskRunStatus:
    """Record that nothing runs while suspended; `verdict` is that of an attempt stopped for it.

    startTime goes, and comes anew on resume, as a Job's does.
    """
    reason = Reason.SUSPENDED
    status = _moved(run, Phase.SUSPENDED, reason, reason.meaning, now)
    if verdict is not None:
        status = _recorded(run, status, pod, verdict, now)
    said = condition(run, ConditionType.SUSPENDED, "True", reason, reason.meaning, now)
    return status.model_copy(update={"start_time": None, "conditions": [said]})


def resumed(run: TaskRun, phase: Phase, now: datetime) -> TaskRunStatus:
    """Record that a suspended run goes on; its clock starts anew."""
    reason = Reason.RESUMED
    status = _moved(run, phase, reason, reason.meaning, now)
    said = condition(run, ConditionType.SUSPENDED, "False", reason, reason.meaning, now)
    others = [found for found in status.conditions or () if found.type != said.type]
    conditions = [*others, said]
    return status.model_copy(update={"start_time": now, "conditions": conditions})


def retrying(
    run: TaskRun, pod: PodFacts | None, verdict: Verdict, due: datetime, now: datetime
) -> TaskRunStatus:
    """Record an attempt's outcome, and that there will be another attempt."""
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
    """Record the last attempt's outcome and, with it, the run's end."""
    if verdict.outcome == Outcome.SUCCEEDED:
        ended = _succeeded(run, pod, verdict, now)
    else:
        advice = address(advise(verdict.reason, verdict.cause, place), run, pod)
        sentences = (describe(pod, verdict), describe_count(run, verdict), advice)
        cause = ". ".join(filter(None, sentences))
        ended = failed(run, verdict.reason, with_output(cause.rstrip("."), verdict), now)
    return _recorded(run, ended, pod, verdict, now)


def failed(run: TaskRun, reason: Reason, message: str, now: datetime) -> TaskRunStatus:
    """End a run that did not succeed; a cancelled one is Failed to machines, reason Cancelled."""
    phase = Phase.CANCELLED if reason.kind == FailureKind.CANCELLED else Phase.FAILED
    message = one_line(message, MAX_MESSAGE)
    status = _moved(run, phase, reason, message, now)
    conditions = [
        condition(run, kind, "True", reason, reason.meaning, now)
        for kind in (ConditionType.FAILED, ConditionType.FINISHED, ConditionType.STALLED)
    ]
    conditions += (found for found in kept_conditions(run) if found.status == "False")
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
    conditions += (found for found in kept_conditions(run) if found.status == "False")
    text = pod.main.ending.message if pod is not None and pod.main.ending is not None else ""
    limit = pod.message_limit if pod is not None else 0
    if text and was_cut(text, limit):
        cut = Reason.RESULT_TOO_LARGE
        said = f"The result has {limit} bytes or more; at most {limit - 1} are kept. {cut.advice}"
        stored = condition(run, ConditionType.RESULT_STORED, "False", cut, said, now)
        conditions.append(stored)
        text = ""
        message = f"{message}. Its result was too large and is lost"
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
    seen = attempt if pod is None else _seen(attempt, pod)
    ending = pod.main.exited if pod is not None else None
    return seen.model_copy(
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


def _seen(attempt: Attempt, pod: PodFacts) -> Attempt:
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
    """Put another record in the place of the last."""
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
    """Make a condition that keeps its transition time while its value stays (metav1.Condition)."""
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
    """Return the conditions that stay while others come and go: that it was suspended once."""
    found = run.status.conditions or ()
    return [each for each in found if each.type == ConditionType.SUSPENDED]


def refused_since(run: TaskRun) -> datetime | None:
    """Since when no Pod is let in for want of what may be provided soon; None while none is."""
    found = {each.type: each for each in run.status.conditions or ()}
    refused = found.get(ConditionType.POD_REFUSED)
    return None if refused is None else refused.last_transition_time


def with_refusal(
    status: TaskRunStatus, run: TaskRun, reason: Reason, now: datetime
) -> TaskRunStatus:
    """Note in a status that no Pod is let in, and since when that is."""
    refused = condition(run, ConditionType.POD_REFUSED, "True", reason, reason.meaning, now)
    return status.model_copy(update={"conditions": [*(status.conditions or ()), refused]})
