"""Runs that together pass every step of a run's life, for tests that interrupt each step."""

from dataclasses import dataclass

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import SOON, pod_spec, shell
from tests.support.cluster import invariants
from tests.support.cluster.client import Object
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import END, START, StartCounter


@dataclass(frozen=True, slots=True)
class InterruptedRun:
    """A run that passes a step, and its expected end regardless of interruptions."""

    spec: Object
    ending: Ending
    starts: int
    ends: int

    def check(self, run: Run, start_counter: StartCounter) -> None:
        """Wait for the run's end and the removal of its Pods; count its real starts and ends.

        Raises:
            AssertionError: something was lost or done twice.
        """
        self.ending.check(run)
        run.pods_gone()
        if self is EXPIRING:
            run.gone()
        assert (start_counter.starts(run.uid), start_counter.ends(run.uid)) == (
            self.starts,
            self.ends,
        )
        invariants.check(run)


RETRIED = InterruptedRun(
    shell(f'{START}; [ "$TASKRUN_ATTEMPT" -ge 2 ] || exit 1; {END}', backoffLimit=1, **SOON),
    Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.FAILED, Outcome.SUCCEEDED)),
    starts=2,
    ends=1,
)
LONG = InterruptedRun(
    shell(f"{START}; sleep 10; {END}", backoffLimit=1),
    Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,)),
    starts=1,
    ends=1,
)
STOPPED = InterruptedRun(
    shell(
        f"{START}; trap '{END}; exit 9' TERM; while :; do sleep 600 & wait; done",
        attemptDeadlineSeconds=2,
        **pod_spec(terminationGracePeriodSeconds=5),
    ),
    Ending(Phase.FAILED, Reason.ATTEMPT_DEADLINE_EXCEEDED, 9, attempts=(Outcome.FAILED,)),
    starts=1,
    ends=1,
)
EXPIRING = InterruptedRun(
    shell(f"{START}; {END}", ttlSecondsAfterFinished=0),
    Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,)),
    starts=1,
    ends=1,
)
LIVES = {
    "create": RETRIED,
    "claim": RETRIED,
    "gate": RETRIED,
    "running": LONG,
    "stopping": STOPPED,
    "stop": STOPPED,
    "outcome": RETRIED,
    "finalizer": RETRIED,
    "delete": RETRIED,
    "ttl": EXPIRING,
}
"""A run that passes the step, by the step's name (see tests.support.faults.crashing)."""
