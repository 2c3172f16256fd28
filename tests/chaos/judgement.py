"""The judgement on a session: work that was lost, repeated or got stuck. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from taskruns.api.conditions import TERMINAL_PHASES, Outcome
from tests.chaos.truth import NEVER, Line, PodTruth, RunTruth, Truth
from tests.support.cluster.client import Object

MOST_RECORDS = 20
"""Number of attempts that a status keeps."""


@dataclass
class Verdicts:
    """What went wrong, one sentence each."""

    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.repeated or self.stuck)


def judge(truth: Truth, present: Iterable[str], pods_left: Iterable[str]) -> Verdicts:
    """Judge all runs.

    Args:
        truth: what happened.
        present: uids of the TaskRuns that exist at the end.
        pods_left: names of Pods that exist although they should be gone.
    """
    verdicts = Verdicts(stuck=[f"Pod {name} is left" for name in pods_left])
    present = set(present)
    for run in truth.runs.values():
        lines = truth.lines.get(run.uid) or []
        verdicts.lost += [f"{run.name}: {text}" for text in _losses(run)]
        verdicts.repeated += [f"{run.name}: {text}" for text in _repetitions(run, lines)]
        if run.last.get("phase") in TERMINAL_PHASES:
            continue
        if run.uid in present:
            verdicts.stuck.append(f"{run.name}: {run.last.get('phase')}, {run.last.get('reason')}")
        else:
            verdicts.lost.append(f"{run.name}: it is gone without an end")
    return verdicts


def _losses(run: RunTruth) -> Iterator[str]:
    """Yield an end that was changed, and an outcome that is not what the kubelet reported."""
    statuses = [_settled(status) for _, status in sorted(run.statuses.items())]
    ended = [status.get("phase") in TERMINAL_PHASES for status in statuses]
    if True in ended:
        first = ended.index(True)
        if any(status != statuses[first] for status in statuses[first:]):
            yield f"its end was changed: {statuses[first:]}"
    pods = {pod.uid: pod for pod in run.pods}
    for record in run.records:
        pod = pods.get(record["podUID"])
        if pod is None:
            yield f"attempt {record['number']} has no Pod"
        elif "outcome" in record and not _is_as_reported(record, pod.exit_code):
            yield f"exit code {pod.exit_code} was reported, and this is recorded: {record}"


def _is_as_reported(record: Mapping[str, Any], code: int | None) -> bool:
    if code is None:
        return True
    succeeded = record["outcome"] == Outcome.SUCCEEDED or "stopTime" in record
    return record.get("exitCode") == code and (code != 0 or succeeded)


def _settled(status: Mapping[str, Any]) -> Object:
    return {key: value for key, value in status.items() if key != "observedGeneration"}


def _repetitions(run: RunTruth, lines: list[Line]) -> Iterator[str]:
    """Yield work that was started too often, or beside other work."""
    started = [pod for pod in run.pods if pod.started]
    number = max(len(started), len({attempt for attempt, _ in lines}))
    limit = 1 + sum(run.spec.get(name) or 0 for name in ("backoffLimit", "disruptionLimit"))
    if number > limit:
        yield f"its work was started {number} times, and at most {limit} are allowed"
    outcomes = {record["podUID"]: record.get("outcome") for record in run.records}
    for pod in started:
        if outcomes.get(pod.uid) == Outcome.REPLACED:
            yield f"Pod {pod.uid} was replaced although its work had started"
    released = sorted((p for p in run.pods if p.released < NEVER), key=lambda pod: pod.released)
    if len(outcomes) < MOST_RECORDS:
        unrecorded = [pod.uid for pod in released if pod.uid not in outcomes]
        yield from (f"Pod {uid} was released and is in no record" for uid in unrecorded)
    yield from _overlaps(released)
    yield from _overlapping_lines(lines)


def _overlaps(released: Iterable[PodTruth]) -> Iterator[str]:
    for before, after in pairwise(released):
        if before.ended > after.released:
            yield f"Pod {after.uid} was released before the end of Pod {before.uid}"


def _overlapping_lines(lines: Iterable[Line]) -> Iterator[str]:
    times: defaultdict[int, list[float]] = defaultdict(list)
    for attempt, seconds in lines:
        times[attempt].append(seconds)
    spans = [(min(seconds), max(seconds)) for _, seconds in sorted(times.items())]
    for (_, end), (start, _) in pairwise(spans):
        if start <= end:
            yield f"a container worked at {start} s beside another one until {end} s"
