"""Invariants that every run of every scenario must keep, checked on its whole history.

They are the promise of design.md, Promise, as far as it is visible from outside: never two Pods of
one run that may work at the same time, no released Pod that was not claimed, and no change after
the end.
"""

from collections.abc import Sequence
from typing import Any

from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES
from tests.support.cluster.client import Object
from tests.support.cluster.run import Run
from tests.support.cluster.watch_recorder import Observation

_LEGAL_AFTER: dict[str | None, set[str]] = {
    None: {"Suspended", "Queued", "Pending", "Stopping", "Succeeded", "Failed", "Cancelled"},
    "Suspended": {"Queued", "BackingOff", "Cancelled"},
    # A claimed Pod that a foreign gate holds is Queued too, and continues from there.
    "Queued": {"Suspended", "Pending", "Running", "Stopping", "BackingOff"} | TERMINAL_PHASES,
    "Pending": {"Running", "Stopping", "BackingOff", "Queued", "Succeeded", "Failed", "Cancelled"},
    "Running": {"Stopping", "BackingOff", "Succeeded", "Failed", "Cancelled"},
    "Stopping": {"Suspended", "BackingOff", "Succeeded", "Failed", "Cancelled"},
    "BackingOff": {"Suspended", "Pending", "Queued", "Failed", "Cancelled"},
}


def _reachable() -> dict[str | None, set[str]]:
    """Return the phases that may follow each phase when versions in between are missing."""
    reached = {phase: set(after) for phase, after in _LEGAL_AFTER.items()}
    for _ in reached:
        for after in reached.values():
            after |= {later for phase in after for later in reached.get(phase, ())}
    return reached


_LEGAL_LATER = _reachable()


def check(run: Run) -> None:
    """Check one run's history against every invariant.

    Raises:
        AssertionError: an invariant does not hold; the message names the run and the violation.
    """
    _an_end_is_final(run)
    _phases_follow_each_other(run)
    _attempts_only_grow(run)
    _one_pod_at_a_time(run)
    _only_claimed_pods_are_released(run)


def was_released(pod: Sequence[Observation]) -> bool:
    """Return whether a Pod was ever without our gate, so that it could be scheduled."""
    return any(not _gated(version.found) for version in pod)


def _statuses(run: Run) -> list[Object]:
    return [version.found.get("status") or {} for version in run.history()]


def _an_end_is_final(run: Run) -> None:
    """Check that only observedGeneration, which follows later changes of spec, changes."""
    ended = [
        {key: value for key, value in status.items() if key != "observedGeneration"}
        for status in _statuses(run)
        if status.get("phase") in TERMINAL_PHASES
    ]
    for status in ended:
        assert status == ended[0], f"{run.name} changed after its end: {ended[0]} to {status}"


def _phases_follow_each_other(run: Run) -> None:
    before: str | None = None
    for version in run.history():
        phase = (version.found.get("status") or {}).get("phase")
        if phase in (None, before):
            continue
        legal = _LEGAL_LATER if version.listed else _LEGAL_AFTER
        assert phase in legal.get(before, set()), f"{run.name} went from {before} to {phase}"
        before = phase


def _attempts_only_grow(run: Run) -> None:
    attempts = [status.get("attempt") or 0 for status in _statuses(run)]
    assert attempts == sorted(attempts), f"{run.name} counted its attempts backwards: {attempts}"


def _one_pod_at_a_time(run: Run) -> None:
    events = sorted(
        ((entry.at, entry) for history in run.pods() for entry in history), key=lambda pair: pair[0]
    )
    live: dict[str, str] = {}
    for _, entry in events:
        uid = entry.found["metadata"]["uid"]
        if entry.gone or not _may_work(entry.found):
            live.pop(uid, None)
        else:
            live[uid] = entry.found["metadata"]["name"]
        assert len(live) <= 1, f"{run.name} had more than one Pod at work: {sorted(live.values())}"


def _only_claimed_pods_are_released(run: Run) -> None:
    records = [record for status in _statuses(run) for record in status.get("attempts") or ()]
    claimed = {record["podUID"] for record in records}
    for history in run.pods():
        if _is_ours(history[0].found, run) and was_released(history):
            uid = history[0].found["metadata"]["uid"]
            assert uid in claimed, f"a Pod of {run.name} was released and never claimed: {uid}"


def _is_ours(pod: Object, run: Run) -> bool:
    owners: list[dict[str, Any]] = pod["metadata"].get("ownerReferences") or []
    return any(owner["uid"] == run.uid for owner in owners)


def _may_work(pod: Object) -> bool:
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    unbound = not pod["spec"].get("nodeName")
    leaving = unbound and pod["metadata"].get("deletionTimestamp")
    return not (_gated(pod) or ended or leaving)


def _gated(pod: Object) -> bool:
    gates = pod["spec"].get("schedulingGates") or []
    return any(gate["name"] == names.GATE_CLAIM for gate in gates)
