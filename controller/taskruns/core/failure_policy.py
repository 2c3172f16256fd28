"""What a run's podFailurePolicy says of a failed attempt (DESIGN.md 6.5; source: batch/v1)."""

from taskruns.api.v1alpha1.failure_policy import (
    ExitCodeOperator,
    FailureAction,
    OnExitCodes,
    OnPodCondition,
    PodFailurePolicy,
)
from taskruns.core.facts import PodFacts


def match(
    policy: PodFailurePolicy | None, pod: PodFacts, *, by_code: bool = True
) -> tuple[int, FailureAction] | None:
    """Return the number, from 1, and the action of the first rule that matches, or None.

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


def _matches_codes(wanted: OnExitCodes, pod: PodFacts) -> bool:
    codes = (
        container.ending.exit_code
        for container in pod.containers
        if container.ending is not None and wanted.container_name in (None, container.name)
    )
    inside = wanted.operator is ExitCodeOperator.IN
    return any(code != 0 and (code in wanted.values) is inside for code in codes)


def _matches_condition(wanted: OnPodCondition, pod: PodFacts) -> bool:
    return pod.conditions.get(wanted.type) == (wanted.status or "True")
