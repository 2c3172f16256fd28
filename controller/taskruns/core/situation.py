"""The situations of a run: a closed set of states, each with the data that it guarantees.

`classify` returns the situation of a run. The rules of a situation return the plan for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from taskruns.api import names
from taskruns.api.conditions import Phase, is_terminal
from taskruns.api.v1alpha1 import Attempt, ObjectMeta, TaskRun, TaskRunSpec, TaskRunStatus
from taskruns.api.v1alpha1.status import MAX_COUNT
from taskruns.core.defaults import SiteDefaults
from taskruns.core.facts import PodFacts, counted_from, read_pod
from taskruns.core.plan import Findings
from taskruns.core.unstructured import mapping, moment, number, strings, text

Pods = tuple[PodFacts, ...]


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """The input of every rule besides the situation: time, findings and site defaults."""

    now: datetime
    findings: Findings
    site: SiteDefaults


@dataclass(frozen=True, slots=True)
class Ownerless:
    """The TaskRun does not exist; Pods with its uid may."""

    pods: Pods
    gone: bool
    """Whether a live read has confirmed that the TaskRun does not exist."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The TaskRun cannot be parsed, or its status contradicts itself."""

    run: TaskRun
    """The run's metadata and attempt number, with an otherwise empty spec and status."""
    pods: Pods
    problem: str
    """Cause for which the TaskRun cannot be read, in one line."""
    finished: bool
    """Whether its status has a terminal phase, which is never overwritten."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The run has ended."""

    run: TaskRun
    pods: Pods


@dataclass(frozen=True, slots=True)
class Due:
    """No attempt is open: the next one is created at its due time."""

    run: TaskRun
    pods: Pods
    number: int
    """Number of the attempt that is due."""

    @property
    def candidate(self) -> PodFacts | None:
        """The Pod with the name of the due attempt, left by a crash or a late create, or None."""
        meta = self.run.metadata
        name = names.pod_name(meta.name, meta.uid, self.number)
        return next((pod for pod in self.pods if pod.ref.name == name), None)


@dataclass(frozen=True, slots=True)
class Underway:
    """The claimed Pod of the open attempt exists and has not ended."""

    run: TaskRun
    pods: Pods
    attempt: Attempt
    pod: PodFacts


@dataclass(frozen=True, slots=True)
class Ended:
    """The claimed Pod of the open attempt has ended and its outcome is not recorded yet."""

    run: TaskRun
    pods: Pods
    attempt: Attempt
    pod: PodFacts


@dataclass(frozen=True, slots=True)
class Missing:
    """The claimed Pod of the open attempt is not in the cache."""

    run: TaskRun
    pods: Pods
    attempt: Attempt
    last_seen: PodFacts | None
    """The Pod as it was in the cache before it was removed; None if it never was in the cache."""
    confirmed: bool
    """Whether a live read has confirmed that the Pod does not exist."""


@dataclass(frozen=True, slots=True)
class Deleting:
    """The TaskRun is being deleted, and a finalizer still holds it."""

    run: TaskRun
    pods: Pods
    """All Pods whose label names the run's uid, owned by the run or not."""
    apart: "Unreadable | Finished | Due | Underway | Ended | Missing"
    """The situation that the run would be in without its deletion."""
    deleted_at: datetime | None
    """Time in deletionTimestamp; None if it cannot be parsed."""
    orphaning: bool
    """Whether the deletion keeps the Pods (`--cascade=orphan`)."""


Situation = Ownerless | Deleting | Unreadable | Finished | Due | Underway | Ended | Missing

_WITH_POD = frozenset({Phase.PENDING, Phase.RUNNING, Phase.STOPPING})
"""Phases that require an open attempt."""


def classify(
    run: Mapping[str, Any] | None, pods: Iterable[Mapping[str, Any]], findings: Findings
) -> Situation:
    """Find the situation of a run.

    Pods of the run are those that it owns, and those that it has claimed, even if their
    ownerReference was removed. Other Pods with its label are only released, never acted on.

    Args:
        run: the TaskRun in wire form; None if it is not in the cache.
        pods: all Pods whose label names the run's uid, owned by the run or not.
        findings: results of earlier plans of the same reconcile.
    """
    labelled = tuple(read_pod(pod) for pod in pods)
    labelled = tuple(pod for pod in labelled if pod.ref.uid not in findings.gone)
    if run is None:
        return Ownerless(labelled, gone=findings.run_gone)
    metadata = mapping(run.get("metadata"))
    situation = _recognise_run(run, labelled, findings)
    deleted = metadata.get("deletionTimestamp")
    if not deleted:
        return situation
    orphaning = "orphan" in strings(metadata.get("finalizers"))
    return Deleting(situation.run, labelled, situation, moment(deleted), orphaning)


def _recognise_run(
    run: Mapping[str, Any], pods: Pods, findings: Findings
) -> Unreadable | Finished | Due | Underway | Ended | Missing:
    uid = text(mapping(run.get("metadata")).get("uid"))
    parsed = _parse(run)
    if isinstance(parsed, str):
        owned = tuple(pod for pod in pods if pod.owner_uid == uid)
        return Unreadable(_identity_only(run), owned, parsed, is_terminal(run))
    claimed = {
        (attempt.pod_name, attempt.pod_uid)
        for attempt in parsed.status.attempts or ()
        if _names_its_pod(attempt, parsed)
    }
    ours = tuple(
        pod for pod in pods if pod.owner_uid == uid or (pod.ref.name, pod.ref.uid) in claimed
    )
    return _classify_attempt(parsed, ours, findings)


def _classify_attempt(
    run: TaskRun, pods: Pods, findings: Findings
) -> Unreadable | Finished | Due | Underway | Ended | Missing:
    status = run.status
    if run.is_terminal:
        return Finished(run, pods)
    attempt = _open_attempt(run)
    has_next_number = (status.attempt or 0) < MAX_COUNT
    if attempt is None and status.phase not in _WITH_POD and has_next_number:
        return Due(run, pods, number=(status.attempt or 0) + 1)
    if attempt is None:
        problem = (
            f"status.phase is {status.phase}, but status.attempts has no attempt {status.attempt}"
        )
        return Unreadable(_identity_only(run.to_json()), pods, problem, finished=False)
    for pod in pods:
        if pod.ref.uid == attempt.pod_uid:
            kind = Ended if pod.ended else Underway
            return kind(run, pods, attempt, counted_from(pod, attempt.started_time))
    gone = findings.gone
    last_seen = gone.get(attempt.pod_uid)
    return Missing(
        run,
        pods,
        attempt,
        last_seen=None
        if last_seen is None
        else counted_from(read_pod(last_seen), attempt.started_time),
        confirmed=attempt.pod_uid in gone,
    )


def _open_attempt(run: TaskRun) -> Attempt | None:
    """Return the attempt that status names as current and that is not finished, or None.

    In phase Stopping the attempt counts as open although its outcome may be recorded already.
    """
    status = run.status
    attempt = status.attempts[-1] if status.attempts else None
    if attempt is None or (attempt.number, attempt.pod_uid) != (status.attempt, status.pod_uid):
        return None
    if not _names_its_pod(attempt, run):
        return None
    return attempt if attempt.outcome is None or status.phase is Phase.STOPPING else None


def _names_its_pod(attempt: Attempt, run: TaskRun) -> bool:
    """Return whether a record names its attempt's Pod; another client may have altered it."""
    meta = run.metadata
    return attempt.pod_name == names.pod_name(meta.name, meta.uid, attempt.number)


def _parse(run: Mapping[str, Any]) -> TaskRun | str:
    """Parse a TaskRun; on failure return the first error, in one line."""
    try:
        return TaskRun.model_validate(run)
    except (ValidationError, RecursionError, OverflowError) as error:
        if not isinstance(error, ValidationError):
            return str(error)
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _identity_only(run: Mapping[str, Any]) -> TaskRun:
    """Return an unreadable run reduced to its metadata, so that a status can be written for it.

    The attempt number is kept if it is valid, because it must never decrease.
    """
    metadata, attempt = (
        mapping(run.get("metadata")),
        number(mapping(run.get("status")).get("attempt")),
    )
    counted = attempt is not None and 0 <= attempt <= MAX_COUNT
    parts = {
        key: text(metadata.get(key)) for key in ("name", "namespace", "uid", "resourceVersion")
    }
    meta = ObjectMeta(
        name=parts["name"],
        namespace=parts["namespace"],
        uid=parts["uid"],
        resource_version=parts["resourceVersion"],
        generation=number(metadata.get("generation")) or 1,
    )
    status = TaskRunStatus(attempt=attempt if counted else None)
    return TaskRun(metadata=meta, spec=TaskRunSpec(), status=status)
