"""Pods that Kueue takes out of its queue: the reason, and whether the run is queued again.

Kueue sets the condition TerminationTarget on a Pod and then deletes it. The condition's reason is
`WorkloadEvictedDueTo<reason of the Workload's eviction>`, `WorkloadDeleted`, `NoMatchingWorkload`
or `NotAdmitted`; before Kueue 0.7 it is `StoppedByKueue`. Its message is that of the eviction.
Source: Kueue's `pkg/controller/jobs/pod` and `pkg/controller/jobframework`.
"""

from taskruns.api.reasons import Reason

_EVICTED_DUE_TO = "WorkloadEvictedDueTo"

_REASONS = {
    "Preempted": Reason.PREEMPTED,
    "StoppedByKueue": Reason.PREEMPTED,
    "NodeFailures": Reason.NODE_LOST,
}


def reason_of(target: str) -> Reason:
    """Return the reason of an attempt whose Pod has this reason of TerminationTarget."""
    return _REASONS.get(target.removeprefix(_EVICTED_DUE_TO), Reason.EVICTED)


def is_deactivated(target: str) -> bool:
    """Return whether Kueue, or a person, deactivated the Workload: it is not to run again.

    Kueue does that past the Workload's maximum execution time, past its limit of requeues, and when
    an admission check rejects it. A new Pod would get a new, active Workload.
    """
    return target.removeprefix(_EVICTED_DUE_TO).startswith(("Deactivated", "InactiveWorkload"))
