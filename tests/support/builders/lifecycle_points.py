"""Stages of a run's life at which an outage may find it, and what must become of it there."""

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
from tests.support.cluster.start_counter import END, START, Ledger, until

GATE = "example.test/not-yet"
NODE_LABEL = "example.test/chosen"

BY_THE_CLOCK = ("backing-off", "finished", "expiring")
"""Stages that go on by themselves, and must not before the outage."""

_PATIENT = 180
"""The grace period of tasks that end when a test says so."""

_BUSY = 240
"""Seconds in which so many runs must have reached their stages, on a busy machine."""

_SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
_RETRIED = Ending(
    Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.FAILED, Outcome.SUCCEEDED)
)
_FAILED = Ending(Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 3, attempts=(Outcome.FAILED,))
_CANCELLED = Ending(Phase.CANCELLED, Reason.CANCELLED, 9, attempts=(Outcome.STOPPED,))


@dataclass(frozen=True, slots=True)
class Standing:
    """A number of runs that are to be at one stage when the outage comes."""

    runs: int
    spec: Object
    stand: Callable[[Run], object]
    """Brings a run to its stage, and waits until it is there."""
    ending: Ending | None = _SUCCEEDED
    """None: the TaskRun is deleted before it can end."""
    starts: int = 1
    ends: int = 1
    expires: bool = False

    def check(self, run: Run, ledger: Ledger, seconds: float) -> None:
        """Wait for what must become of a run, and count what really ran.

        Raises:
            AssertionError: something was lost, or done twice.
        """
        if self.ending is not None:
            run.ended(seconds)
            self.ending.check(run)
        run.pods_gone(seconds)
        if self.expires:
            run.gone(seconds)
        assert (ledger.starts(run.uid), ledger.ends(run.uid)) == (self.starts, self.ends)
        invariants.check(run)


def standings(during: str, after: str, later: int, share: float) -> dict[str, Standing]:
    """A hundred runs by the name of their stage, or a share of them.

    `during` and `after` are the words that tasks wait for; what is BY_THE_CLOCK goes on in
    `later` seconds.
    """
    on_term = "trap '{}' TERM; while :; do sleep 0.5; done"
    patient = pod_spec(terminationGracePeriodSeconds=_PATIENT)
    gone_on_term = on_term.format(f"{until(during)}; {END}; exit 0")
    late_on_term = on_term.format(f"{until(after)}; {END}; exit 9")
    once_more = f'{START}; [ "$TASKRUN_ATTEMPT" -ge 2 ] || exit 1; {END}'
    gated = pod_spec(schedulingGates=[{"name": GATE}])
    nowhere = {"nodeSelector": {NODE_LABEL: "true"}}
    kept = {"podGC": {"deleteDelayDuration": f"{later}s"}}
    backoff = {"duration": f"{later}s", "factor": 1}
    found = {
        "queued": Standing(12, shell(f"{START}; {until(during)}; {END}"), _seen),
        "gated": Standing(8, shell(f"{START}; {END}", **gated), _queued),
        "pending": Standing(8, shell(f"{START}; {END}", **nowhere), _pending),
        "running": Standing(16, shell(f"{START}; {until(after)}; {END}"), _running),
        "ended-well-unseen": Standing(8, shell(f"{START}; {until(during)}; {END}"), _running),
        "ended-badly-unseen": Standing(
            8, shell(f"{START}; {until(during)}; {END}; exit 3"), _running, _FAILED
        ),
        "stopping": Standing(8, shell(f"{START}; {late_on_term}", **patient), _stop, _CANCELLED),
        "being-deleted": Standing(8, shell(f"{START}; {gone_on_term}", **patient), _delete, None),
        "backing-off": Standing(
            8,
            shell(once_more, backoffLimit=1, backoff=backoff),
            _backing_off,
            _RETRIED,
            starts=2,
        ),
        "finished": Standing(8, shell(f"{START}; {END}", **kept), _ended),
        "expiring": Standing(
            8, shell(f"{START}; {END}", ttlSecondsAfterFinished=later), _ended, expires=True
        ),
    }
    return {name: replace(each, runs=ceil(each.runs * share)) for name, each in found.items()}


def _seen(run: Run) -> None:
    """It waits for room, or it was among those that there was room for."""
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
