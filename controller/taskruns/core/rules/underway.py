"""The claimed Pod is there and has not ended: let it run, show it, or stop it."""

from datetime import datetime

from taskruns.api.conditions import Phase, Reason
from taskruns.core import schedule, status
from taskruns.core.plan import DeletePod, Plan, ReleaseGate, StopPod
from taskruns.core.situation import Look, Underway
from taskruns.core.verdict import judge


def carry_out_stop(situation: Underway, look: Look) -> Plan | None:
    """Stopping recorded: stop the Pod, or delete one without a node."""
    if situation.run.status.phase != Phase.STOPPING:
        return None
    pod = situation.pod
    if not pod.node and not pod.deleting:
        return Plan(actions=(DeletePod(pod.ref),))
    if pod.node and not pod.told_to_stop:
        return Plan(actions=(StopPod(pod.ref),))
    return Plan()


def stop_leftovers(situation: Underway, look: Look) -> Plan | None:
    """Main ended, others go on: record main's verdict and Stopping."""
    pod = situation.pod
    if pod.main.ending is None:
        return None
    if not pod.leftovers:
        return Plan()
    verdict = judge(pod, situation.attempt)
    return Plan(status=status.stopping_leftovers(situation.run, pod, verdict, look.now))


def stop(situation: Underway, look: Look) -> Plan | None:
    """Cancelled or past a deadline: record Stopping."""
    run, pod = situation.run, situation.pod
    if run.spec.cancel:
        return Plan(status=status.stopping(run, pod, Reason.CANCELLED, look.now))
    if _is_over(schedule.deadline_at(run), look):
        return Plan(status=status.stopping(run, pod, Reason.DEADLINE_EXCEEDED, look.now))
    if _is_over(schedule.attempt_deadline_at(run, pod.main.started_at), look):
        reason = Reason.ATTEMPT_DEADLINE_EXCEEDED
        return Plan(status=status.stopping(run, pod, reason, look.now))
    return None


def release_gate(situation: Underway, look: Look) -> Plan | None:
    """Claimed and still gated: release the gate."""
    return Plan(actions=(ReleaseGate(situation.pod.ref),)) if situation.pod.gated else None


def show_running(situation: Underway, look: Look) -> Plan | None:
    """Main has run for a while: Running."""
    shown_at = _running_shown_at(situation)
    if shown_at is None or look.now < shown_at:
        return None
    return Plan(status=status.running(situation.run, situation.pod, look.now))


def wait(situation: Underway, look: Look) -> Plan | None:
    """Otherwise: wait."""
    run, main = situation.run, situation.pod.main
    return Plan(
        wake_at=schedule.earliest(
            schedule.deadline_at(run),
            schedule.attempt_deadline_at(run, main.started_at),
            _running_shown_at(situation),
        )
    )


def _running_shown_at(situation: Underway) -> datetime | None:
    main = situation.pod.main
    shown = situation.run.status.phase == Phase.RUNNING
    if shown or not main.running or main.started_at is None:
        return None
    return schedule.later(main.started_at, schedule.RUNNING_SHOWN_AFTER)


def _is_over(deadline: datetime | None, look: Look) -> bool:
    return deadline is not None and look.now >= deadline


RULES = (carry_out_stop, stop_leftovers, stop, release_gate, show_running, wait)
