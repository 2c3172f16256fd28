"""The conditions of a status, in the form of metav1.Condition."""

from datetime import datetime

from taskruns.api.conditions import ConditionType
from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import Condition, TaskRun, TaskRunStatus


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
