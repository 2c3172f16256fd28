"""The attempt is over: record its outcome, and whether there will be another."""

from datetime import datetime

from taskruns.api.conditions import Outcome, Reason
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core import schedule, status
from taskruns.core.facts import PodFacts
from taskruns.core.plan import ConfirmPodGone, Plan, PodRef
from taskruns.core.situation import Ended, Look, Vanished
from taskruns.core.verdict import Verdict, finished_at, judge, judge_gone

MAX_REPLACEMENTS = 3
"""How often an attempt that the cluster ended before main started is replaced unasked."""


def record_end(situation: Ended, look: Look) -> Plan | None:
    """Pod ended: judge it, record the outcome."""
    verdict = _recorded_verdict(situation) or judge(situation.pod, situation.attempt)
    return _record(situation.run, situation.pod, verdict, look)


def confirm_vanished(situation: Vanished, look: Look) -> Plan | None:
    """Claimed Pod not seen: read it live."""
    if situation.confirmed:
        return None
    ref = PodRef(
        situation.run.metadata.namespace, situation.attempt.pod_name, situation.attempt.pod_uid
    )
    return Plan(actions=(ConfirmPodGone(ref),))


def record_vanished(situation: Vanished, look: Look) -> Plan | None:
    """Claimed Pod proved gone: judge by what was last seen."""
    verdict = _recorded_verdict(situation)
    verdict = verdict or judge_gone(situation.last_seen, situation.attempt)
    return _record(situation.run, situation.last_seen, verdict, look)


def _recorded_verdict(situation: Ended | Vanished) -> Verdict | None:
    """Return the verdict that was final before the Pod had ended (main ended, others went on)."""
    attempt = situation.attempt
    if attempt.outcome is None:
        return None
    reason = Reason.named(attempt.reason) or Reason.FINAL_STATE_UNKNOWN
    return Verdict(attempt.outcome, reason, attempt.message or reason.meaning.rstrip("."))


def _record(run: TaskRun, pod: PodFacts | None, verdict: Verdict, look: Look) -> Plan:
    due = _retry_at(run, verdict, finished_at(pod, look.now))
    if due is None:
        return Plan(status=status.concluded(run, pod, verdict, look.now))
    return Plan(status=status.retrying(run, pod, verdict, due, look.now))


def _retry_at(run: TaskRun, verdict: Verdict, end: datetime) -> datetime | None:
    """When the attempt after one that ended at `end` is due; None when there is none."""
    attempts = run.status.attempts or []
    replaced = sum(attempt.outcome == Outcome.REPLACED for attempt in attempts)
    again = {
        Outcome.FAILED: (run.status.failed or 0) < (run.spec.backoff_limit or 0),
        Outcome.REPLACED: replaced < MAX_REPLACEMENTS,
    }
    return schedule.retry_at(run, end) if again.get(verdict.outcome) else None


ENDED_RULES = (record_end,)
VANISHED_RULES = (confirm_vanished, record_vanished)
