"""Rules for an attempt that has ended: record its outcome, and retry or end the run."""

from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import Attempt, TaskRun
from taskruns.core import deadlines, status
from taskruns.core.facts import PodFacts
from taskruns.core.plan import ConfirmPodGone, Plan, PodRef
from taskruns.core.retry import explain_end, next_due
from taskruns.core.situation import DecisionContext, Ended, Missing
from taskruns.core.verdict import Verdict, finished_at, is_partly_reported, judge, judge_gone


def await_exit_code(situation: Ended, context: DecisionContext) -> Plan | None:
    """Pod ended without main's exit code: wait for the exit code, up to 30 seconds."""
    if not is_partly_reported(situation.pod):
        return None
    since = situation.attempt.finished_time
    if since is None:
        noted = situation.attempt.model_copy(update={"finished_time": context.now})
        return Plan(status=status.with_last_attempt(situation.run.status, noted))
    until = deadlines.later(since, deadlines.EXIT_CODE_PATIENCE)
    return Plan(wake_at=until) if since <= context.now < until else None


def record_end(situation: Ended, context: DecisionContext) -> Plan | None:
    """Pod ended: record its outcome."""
    verdict = _recorded_verdict(situation) or judge(
        situation.pod, _in_full(situation), situation.run.spec.pod_failure_policy
    )
    return _record(situation.run, situation.pod, verdict, context)


def confirm_missing(situation: Missing, context: DecisionContext) -> Plan | None:
    """Claimed Pod not in the cache: read it live."""
    if situation.confirmed:
        return None
    ref = PodRef(
        situation.run.metadata.namespace, situation.attempt.pod_name, situation.attempt.pod_uid
    )
    return Plan(actions=(ConfirmPodGone(ref),))


def record_missing(situation: Missing, context: DecisionContext) -> Plan | None:
    """Claimed Pod confirmed deleted: record the outcome from its last known state."""
    verdict = _recorded_verdict(situation)
    verdict = verdict or judge_gone(
        situation.last_seen, _in_full(situation), situation.run.spec.pod_failure_policy
    )
    return _record(situation.run, situation.last_seen, verdict, context)


def _in_full(situation: Ended | Missing) -> Attempt:
    """Return the attempt with the full message of its stop, which its record holds truncated."""
    attempt, message = situation.attempt, situation.run.status.message or ""
    if not attempt.message or not message.startswith(attempt.message):
        return attempt
    return attempt.model_copy(update={"message": message})


def _recorded_verdict(situation: Ended | Missing) -> Verdict | None:
    """Return the verdict recorded when main ended before other containers, or None."""
    attempt = situation.attempt
    if attempt.outcome is None:
        return None
    reason = Reason.named(attempt.reason) or Reason.FINAL_STATE_UNKNOWN
    cause = attempt.message or reason.meaning.rstrip(".")
    return Verdict(attempt.outcome, reason, cause, final=bool(attempt.final))


def _record(run: TaskRun, pod: PodFacts | None, verdict: Verdict, context: DecisionContext) -> Plan:
    if verdict.reason is Reason.SUSPENDED:
        return Plan(status=status.suspended(run, pod, verdict, context.now))
    due = next_due(run, verdict, finished_at(pod, context.now))
    if due is None:
        verdict = explain_end(verdict)
        return Plan(status=status.concluded(run, pod, verdict, context.now, context.site.place))
    return Plan(status=status.retrying(run, pod, verdict, due, context.now))


ENDED_RULES = (await_exit_code, record_end)
MISSING_RULES = (confirm_missing, record_missing)
