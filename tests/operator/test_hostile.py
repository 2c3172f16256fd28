"""Malicious objects that the apiserver accepts: they affect no other object.

All of them are created, with forged statuses, before a controller of their own starts and sees all
at once. Random objects that the apiserver refuses are left out. CONTRIBUTING.md describes how to
set the number of random objects.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import pytest

from taskruns.api.conditions import TERMINAL_PHASES, Phase
from tests.cluster import Cluster
from tests.support.builders.hostile_objects import (
    BYSTANDERS,
    FORGED,
    NO_ROOM,
    SPECS,
    drawn_specs,
    drawn_statuses,
    filling,
)
from tests.support.builders.manifests import shell, task_run
from tests.support.cluster.audit import Audit
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Kube, Object, Refused
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.watch_recorder import Observation, WaitTimeout, WatchRecorder

pytestmark = pytest.mark.guarantee(
    "Hostile content that the apiserver accepts affects only its own run, which ends or reports "
    "what it waits for"
)

SETTLED = 180
"""Limit for everything to come to rest on a busy machine, in seconds; one clock takes 60 s."""

MOST_REQUESTS = 60
"""Upper bound of requests per object; a missing service account is retried every two seconds."""


@dataclass
class FinalState:
    """The objects and requests after all has come to rest."""

    controller: ControllerProcess
    good: Object
    runs: list[Object] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Message of the apiserver for each refused object, by name."""
    bystanders: list[Object] = field(default_factory=list)
    request_counts: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def hostile_namespace(kube: Kube) -> Iterator[str]:
    made = kube.create(NAMESPACES, None, {"metadata": {"generateName": "hostile-"}})
    name: str = made["metadata"]["name"]
    yield name
    for resource in (RUNS, PODS):
        for obj in kube.list(resource, name):
            if obj["metadata"].get("finalizers"):
                kube.merge(resource, name, obj["metadata"]["name"],
                           {"metadata": {"finalizers": None}})  # fmt: skip
    kube.delete(NAMESPACES, None, name)


@pytest.fixture(scope="module")
def final_state(
    served: Cluster, kube: Kube, watch_recorder: WatchRecorder, hostile_namespace: str
) -> Iterator[FinalState]:
    controller = ControllerProcess(served, "--log-format=json", "--default-delete-delay=0s")
    runs, refused = _make_runs(kube, hostile_namespace)
    bystanders = [
        kube.create(PODS, hostile_namespace, pod(runs[0]["metadata"]["uid"])) for pod in BYSTANDERS
    ]
    good = kube.create(
        RUNS, hostile_namespace, task_run("good", hostile_namespace, shell("echo good"))
    )
    audit = Audit(served)
    with controller.at_work():
        try:
            _await_reconciles(watch_recorder, [good, *runs])
        except WaitTimeout as late:
            _add_diagnostics(late, controller, kube, hostile_namespace)
            raise
        requests_by_name = Counter(
            request.name for request in audit.settled(hostile_namespace, within=60)
        )
        yield FinalState(controller, good, runs, refused, bystanders, requests_by_name)


def _make_runs(kube: Kube, namespace: str) -> tuple[list[Object], dict[str, str]]:
    """Create all runs; return the accepted ones, and the messages about the refused ones."""
    made: list[Object] = []
    refused: dict[str, str] = {}

    def take(name: str, spec: Object) -> bool:
        try:
            made.append(kube.create(RUNS, namespace, task_run(name, namespace, spec)))
        except Refused as answer:
            refused[name] = answer.sentence
            return False
        return True

    for name, spec in {**SPECS, **_numbered("drawn", drawn_specs())}.items():
        take(name, spec)
    assert any(take(NO_ROOM, spec) for spec in filling())
    del refused[NO_ROOM]  # the larger ones, for which even the run itself has no room
    for name, status in {**FORGED, **_numbered("told", drawn_statuses())}.items():
        take(name, shell("sleep 1"))
        try:
            kube.merge(RUNS, namespace, name, {"status": status}, subresource="status")
        except Refused as answer:
            refused[name] = answer.sentence
    return made, refused


def _numbered(word: str, drawn: list[Object]) -> dict[str, Object]:
    return {f"{word}-{number}": spec for number, spec in enumerate(drawn)}


def _last(watch_recorder: WatchRecorder, run: Object) -> Observation:
    last = watch_recorder.last(run["metadata"]["uid"])
    assert last is not None
    return last


def _await_reconciles(watch_recorder: WatchRecorder, runs: list[Object]) -> None:
    """Wait until each run was reconciled, as far as its status can show that."""

    for run in runs:
        name = run["metadata"]["name"]
        watch_recorder.wait(
            partial(_reconciled_or_none, watch_recorder, run), SETTLED, f"{name} is reconciled"
        )


def _add_diagnostics(
    late: WaitTimeout, controller: ControllerProcess, kube: Kube, namespace: str
) -> None:
    """Add the phases in the apiserver and the controller's log to the failure."""
    phases = {
        run["metadata"]["name"]: (status.get("observedGeneration"), status.get("phase"))
        for run in kube.list(RUNS, namespace)
        for status in [run.get("status") or {}]
    }
    late.add_note(f"the apiserver has {phases}\n{controller.log_tail()}")


def _reconciled_or_none(watch_recorder: WatchRecorder, run: Object) -> bool | None:
    return _is_reconciled(watch_recorder, run) or None


def _is_reconciled(watch_recorder: WatchRecorder, run: Object) -> bool:
    """Return whether a run was reconciled, as far as its status can show that.

    A run that waits for a forged time, or has no room for a status, never shows it, and counts as
    reconciled.
    """
    last = _last(watch_recorder, run)
    status = last.found.get("status") or {}
    ended = status.get("phase") in TERMINAL_PHASES
    silent = last.found["metadata"]["name"] == NO_ROOM or _waits_for_a_forged_time(status)
    return last.gone or silent or ended or status.get("observedGeneration", -1) > 0


def _waits_for_a_forged_time(status: Object) -> bool:
    ends = [attempt.get("finishedTime") or "" for attempt in status.get("attempts") or ()]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return max(status.get("startTime") or "", *ends, "") > now


def test_the_controller_keeps_running_without_errors(final_state: FinalState) -> None:
    assert final_state.controller.pid
    lines = [json.loads(line) for line in final_state.controller.log.read_text().splitlines()]
    errors = [line for line in lines if line["level"] in ("error", "critical")]
    assert {line.get("taskrun") for line in errors} <= {NO_ROOM}, errors
    assert not [line for line in lines if "changed faster" in line["message"]]


def test_a_valid_run_beside_hostile_runs_succeeds(
    final_state: FinalState, watch_recorder: WatchRecorder
) -> None:
    def ended() -> bool | None:
        phase = (_last(watch_recorder, final_state.good).found.get("status") or {}).get("phase")
        return True if phase == Phase.SUCCEEDED else None

    watch_recorder.wait(ended, SETTLED, "the good run has succeeded")


def test_each_run_has_ended_or_reports_a_reason(
    final_state: FinalState, watch_recorder: WatchRecorder
) -> None:
    def silent() -> dict[str, Object]:
        objects = {
            run["metadata"]["name"]: _last(watch_recorder, run).found for run in final_state.runs
        }
        statuses = {name: run.get("status") or {} for name, run in objects.items()}
        return {
            name: status for name, status in statuses.items() if not _is_explained(name, status)
        }

    try:
        watch_recorder.wait(lambda: None if silent() else True, SETTLED, "each reports a reason")
    except WaitTimeout as late:
        late.add_note(str(silent()))
        raise


def _is_explained(name: str, status: Object) -> bool:
    """Return whether a status is terminal, or has a phase with a reason and a message."""
    if name == NO_ROOM or _waits_for_a_forged_time(status):
        return True
    explained = status.get("reason") and (status.get("message") or "").strip()
    return status.get("phase") in TERMINAL_PHASES or bool(status.get("phase") and explained)


def test_each_named_spec_was_accepted(final_state: FinalState) -> None:
    """A spec that a new rule of the CRD refuses tests nothing; change it so that it is accepted."""
    named = {**SPECS, **FORGED}.keys()
    assert {name: message for name, message in final_state.refused.items() if name in named} == {}
    assert 2 * len(final_state.refused) < len(final_state.runs), "most random objects are accepted"


def test_the_requests_about_each_run_are_bounded(final_state: FinalState) -> None:
    assert {name: n for name, n in final_state.request_counts.items() if n > MOST_REQUESTS} == {}


def test_pods_of_other_owners_are_unchanged(
    final_state: FinalState, watch_recorder: WatchRecorder
) -> None:
    for pod in final_state.bystanders:
        last = _last(watch_recorder, pod)
        assert not last.gone
        assert last.found["metadata"]["resourceVersion"] == pod["metadata"]["resourceVersion"]


def test_a_run_too_large_for_a_status_is_logged(final_state: FinalState) -> None:
    entries = [json.loads(line) for line in final_state.controller.log.read_text().splitlines()]
    messages = [line["message"] for line in entries if line.get("taskrun") == NO_ROOM]
    assert any("too large" in message for message in messages), messages
