"""Stages of a run's life at which an outage begins, and the expected end of each run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import pod_spec, shell
from tests.support.cluster import invariants
from tests.support.cluster.client import Object
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import END, START, StartCounter, until

GATE = "example.test/not-yet"
NODE_LABEL = "example.test/chosen"

BY_THE_CLOCK = ("backing-off", "finished", "expiring")
"""Stages that continue by the clock, and must not do so before the outage."""

_PATIENT = 180
"""Grace period of tasks that end when a test says so, in seconds."""

_BUSY = 240
"""Limit for all runs to reach their stages on a busy machine, in seconds."""

_SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
_RETRIED = Ending(
    Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.FAILED, Outcome.SUCCEEDED)
)
_FAILED = Ending(Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 3, attempts=(Outcome.FAILED,))
_CANCELLED = Ending(Phase.CANCELLED, Reason.CANCELLED, 9, attempts=(Outcome.STOPPED,))


@dataclass(frozen=True, slots=True)
class LifecyclePoint:
    """A group of runs that are at one stage when the outage begins."""

    runs: int
    spec: Object
    reach: Callable[[Run], object]
    """Function that brings a run to its stage and waits until it is there."""
    ending: Ending | None = _SUCCEEDED
    """Expected end of the run; None if the TaskRun is deleted before its end."""
    starts: int = 1
    ends: int = 1
    expires: bool = False

    def check(self, run: Run, start_counter: StartCounter, seconds: float) -> None:
        """Wait for the expected end of a run, and count its real starts and ends.

        Raises:
            AssertionError: something was lost or done twice.
        """
        if self.ending is not None:
            run.ended(seconds)
            self.ending.check(run)
        run.pods_gone(seconds)
        if self.expires:
            run.gone(seconds)
        assert (start_counter.starts(run.uid), start_counter.ends(run.uid)) == (
            self.starts,
            self.ends,
        )
        invariants.check(run)


def lifecycle_points(
    during: str, after: str, later: int, share: float
) -> dict[str, LifecyclePoint]:
    """Return a hundred runs, or a share of them, by the name of their stage.

    Args:
        during: word that releases the tasks which end during the outage.
        after: word that releases the tasks which end after it.
        later: seconds after which the stages in BY_THE_CLOCK continue.
        share: fraction of each group that is made, rounded up.
    """
    points = _points_until_released(during, after) | _points_by_the_clock(later)
    return {name: replace(each, runs=ceil(each.runs * share)) for name, each in points.items()}


def _points_until_released(during: str, after: str) -> dict[str, LifecyclePoint]:
    on_term = "trap '{}' TERM; while :; do sleep 600 & wait; done"
    patient = pod_spec(terminationGracePeriodSeconds=_PATIENT)
    gone_on_term = on_term.format(f"{until(during)}; {END}; exit 0")
    late_on_term = on_term.format(f"{until(after)}; {END}; exit 9")
    gated = pod_spec(schedulingGates=[{"name": GATE}])
    nowhere = {"nodeSelector": {NODE_LABEL: "true"}}
    return {
        "queued": LifecyclePoint(12, shell(f"{START}; {until(during)}; {END}"), _seen),
        "gated": LifecyclePoint(8, shell(f"{START}; {END}", **gated), _queued),
        "pending": LifecyclePoint(8, shell(f"{START}; {END}", **nowhere), _pending),
        "running": LifecyclePoint(16, shell(f"{START}; {until(after)}; {END}"), _running),
        "ended-well-unseen": LifecyclePoint(8, shell(f"{START}; {until(during)}; {END}"), _running),
        "ended-badly-unseen": LifecyclePoint(
            8, shell(f"{START}; {until(during)}; {END}; exit 3"), _running, _FAILED
        ),
        "stopping": LifecyclePoint(
            8, shell(f"{START}; {late_on_term}", **patient), _stop, _CANCELLED
        ),
        "being-deleted": LifecyclePoint(
            8, shell(f"{START}; {gone_on_term}", **patient), _delete, None
        ),
    }


def _points_by_the_clock(later: int) -> dict[str, LifecyclePoint]:
    once_more = f'{START}; [ "$TASKRUN_ATTEMPT" -ge 2 ] || exit 1; {END}'
    kept = {"podGC": {"deleteDelayDuration": f"{later}s"}}
    backoff = {"duration": f"{later}s", "factor": 1}
    return {
        "backing-off": LifecyclePoint(
            8,
            shell(once_more, backoffLimit=1, backoff=backoff),
            _backing_off,
            _RETRIED,
            starts=2,
        ),
        "finished": LifecyclePoint(8, shell(f"{START}; {END}", **kept), _ended),
        "expiring": LifecyclePoint(
            8, shell(f"{START}; {END}", ttlSecondsAfterFinished=later), _ended, expires=True
        ),
    }


def _seen(run: Run) -> None:
    """Wait until the run was reconciled: it either waits for quota or was given room."""
    run.looked_at(_BUSY)


def _queued(run: Run) -> None:
    run.reaches(Phase.QUEUED, _BUSY)


def _pending(run: Run) -> None:
    run.reaches(Phase.PENDING, _BUSY)


def _running(run: Run) -> None:
    run.reaches(Phase.RUNNING, _BUSY)


def _stop(run: Run) -> None:
    run.main_started(seconds=_BUSY)
    run.cancel()
    run.reaches(Phase.STOPPING, _BUSY)


def _delete(run: Run) -> None:
    run.main_started(seconds=_BUSY)
    run.delete()
    run.gone()


def _backing_off(run: Run) -> None:
    run.reaches(Phase.BACKING_OFF, _BUSY)


def _ended(run: Run) -> None:
    run.ended(_BUSY)
