"""The words in which a TaskRun tells how it is: phases, failure kinds, outcomes, conditions.

Why it is so is told by a reason: `reasons`.
"""

from enum import StrEnum


class Phase(StrEnum):
    """Where a run stands, for printing and for a quick look; conditions are for machines."""

    SUSPENDED = "Suspended"
    QUEUED = "Queued"
    PENDING = "Pending"
    RUNNING = "Running"
    BACKING_OFF = "BackingOff"
    STOPPING = "Stopping"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the run has ended: nothing of it runs, and its status never changes again."""
        return self in TERMINAL_PHASES


TERMINAL_PHASES = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})


class FailureKind(StrEnum):
    """Whose failure it was: what a client should do about it follows from this."""

    APPLICATION = "Application"
    INFRASTRUCTURE = "Infrastructure"
    CONFIGURATION = "Configuration"
    TIMEOUT = "Timeout"
    CANCELLED = "Cancelled"


class Outcome(StrEnum):
    """How one attempt ended, and which budget it was charged to."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """Charged to `backoffLimit`."""
    DISRUPTED = "Disrupted"
    """The cluster ended it after its main container may have started."""
    REPLACED = "Replaced"
    """The cluster ended it before its main container started: no work is repeated."""
    REQUEUED = "Requeued"
    """Its queue (Kueue) took it out; charged to nothing, and queued again."""
    IGNORED = "Ignored"
    """A podFailurePolicy rule says that it does not count."""
    STOPPED = "Stopped"
    """taskruns stopped it: cancel, suspend, a deadline, or a start that cannot come."""


class ConditionType(StrEnum):
    """The types in `status.conditions`."""

    COMPLETE = "Complete"
    """True when the run succeeded (as on a Job)."""
    FAILED = "Failed"
    """True when the run failed or was cancelled (as on a Job)."""
    FINISHED = "Finished"
    """True on either end, for one `kubectl wait --for=condition=Finished`."""
    SUSPENDED = "Suspended"
    """True while suspended, False after a resume (as on a Job)."""
    RECONCILING = "Reconciling"
    """True while the run is on its way (kstatus)."""
    STALLED = "Stalled"
    """True when the run failed, so that kstatus and Helm stop waiting for it."""
    POD_REFUSED = "PodRefused"
    """True while no Pod is let in for want of what somebody may provide soon; since when."""
    RESULT_STORED = "ResultStored"
    """False, with reason ResultTooLarge, when a result was cut and so was not stored."""
