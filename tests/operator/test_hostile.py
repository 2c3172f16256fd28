"""Objects that nobody should write and that the apiserver takes: they harm nothing but themselves.

They are all made, their statuses forged, before a controller of their own looks at them at once.
Of those made at random, what the apiserver refuses is left out; how much is tried is said in
CONTRIBUTING.md.
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
from tests.support.cluster.watch_recorder import Journal, Seen, TooLate

SETTLED = 180
"""Seconds in which everything must have come to rest on a busy machine; a clock of 60 s runs."""

MOST_REQUESTS = 60
"""About one object; a service account that does not exist is asked for every two seconds."""


@dataclass
class Aftermath:
    """What is there when all has come to rest."""

    controller: ControllerProcess
    good: Object
    runs: list[Object] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """What the apiserver did not take, by name: its sentence."""
    bystanders: list[Object] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def ground(kube: Kube) -> Iterator[str]:
    made = kube.create(NAMESPACES, None, {"metadata": {"generateName": "hostile-"}})
    name: str = made["metadata"]["name"]
    yield name
    for resource in (RUNS, PODS):
        for found in kube.list(resource, name):
            if found["metadata"].get("finalizers"):
                kube.merge(resource, name, found["metadata"]["name"],
                           {"metadata": {"finalizers": None}})  # fmt: skip
    kube.delete(NAMESPACES, None, name)


@pytest.fixture(scope="module")
def aftermath(served: Cluster, kube: Kube, journal: Journal, ground: str) -> Iterator[Aftermath]:
    controller = ControllerProcess(served, "--log-format=json", "--default-delete-delay=0s")
    runs, refused = _make_runs(kube, ground)
    bystanders = [kube.create(PODS, ground, pod(runs[0]["metadata"]["uid"])) for pod in BYSTANDERS]
    good = kube.create(RUNS, ground, task_run("good", ground, shell("echo good")))
    audit = Audit(served)
    with controller.at_work():
        try:
            _await_looks(journal, [good, *runs])
        except TooLate as late:
            _tell_what_is_there(late, controller, kube, ground)
            raise
        asked = Counter(request.name for request in audit.settled(ground, within=60))
        yield Aftermath(controller, good, runs, refused, bystanders, asked)


def _make_runs(kube: Kube, namespace: str) -> tuple[list[Object], dict[str, str]]:
    """Create all of them; return those that are there, and what the others were told."""
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
    del refused[NO_ROOM]  # those that left no room even for the run itself
    for name, status in {**FORGED, **_numbered("told", drawn_statuses())}.items():
        take(name, shell("sleep 1"))
        try:
            kube.merge(RUNS, namespace, name, {"status": status}, subresource="status")
        except Refused as answer:
            refused[name] = answer.sentence
    return made, refused


def _numbered(word: str, drawn: list[Object]) -> dict[str, Object]:
    return {f"{word}-{number}": found for number, found in enumerate(drawn)}


def _last(journal: Journal, run: Object) -> Seen:
    last = journal.last(run["metadata"]["uid"])
    assert last is not None
    return last


def _await_looks(journal: Journal, runs: list[Object]) -> None:
    """Wait until each run has a status that somebody has written after a look at it."""

    for run in runs:
        name = run["metadata"]["name"]
        journal.wait(partial(_look, journal, run), SETTLED, f"{name} has been looked at")


def _tell_what_is_there(
    late: TooLate, controller: ControllerProcess, kube: Kube, namespace: str
) -> None:
    """Set beside what the journal has not seen what the apiserver and the controller say."""
    phases = {
        run["metadata"]["name"]: (status.get("observedGeneration"), status.get("phase"))
        for run in kube.list(RUNS, namespace)
        for status in [run.get("status") or {}]
    }
    late.add_note(f"the apiserver has {phases}\n{controller.log_tail()}")


def _look(journal: Journal, run: Object) -> bool | None:
    return _looked_at(journal, run) or None


def _looked_at(journal: Journal, run: Object) -> bool:
    """Whether it shows; of one that waits for a forged time, or can hold no status, it cannot."""
    last = _last(journal, run)
    status = last.found.get("status") or {}
    ended = status.get("phase") in TERMINAL_PHASES
    silent = last.found["metadata"]["name"] == NO_ROOM or _waits_for_a_forged_time(status)
    return last.gone or silent or ended or status.get("observedGeneration", -1) > 0


def _waits_for_a_forged_time(status: Object) -> bool:
    ends = [attempt.get("finishedTime") or "" for attempt in status.get("attempts") or ()]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return max(status.get("startTime") or "", *ends, "") > now


def test_the_controller_neither_ends_nor_stumbles(aftermath: Aftermath) -> None:
    assert aftermath.controller.pid
    lines = [json.loads(line) for line in aftermath.controller.log.read_text().splitlines()]
    errors = [line for line in lines if line["level"] in ("error", "critical")]
    assert {line.get("taskrun") for line in errors} <= {NO_ROOM}, errors
    assert not [line for line in lines if "changed faster" in line["message"]]


def test_a_good_run_beside_them_succeeds(aftermath: Aftermath, journal: Journal) -> None:
    def ended() -> bool | None:
        phase = (_last(journal, aftermath.good).found.get("status") or {}).get("phase")
        return True if phase == Phase.SUCCEEDED else None

    journal.wait(ended, SETTLED, "the good run has succeeded")


def test_each_has_ended_or_says_what_it_waits_for(aftermath: Aftermath, journal: Journal) -> None:
    def silent() -> dict[str, Object]:
        found = {run["metadata"]["name"]: _last(journal, run).found for run in aftermath.runs}
        statuses = {name: run.get("status") or {} for name, run in found.items()}
        return {name: status for name, status in statuses.items() if not _speaks(name, status)}

    try:
        journal.wait(lambda: None if silent() else True, SETTLED, "each says something")
    except TooLate as late:
        late.add_note(str(silent()))
        raise


def _speaks(name: str, status: Object) -> bool:
    """Whether a status is an end, or a phase with its reason and a sentence for a person."""
    if name == NO_ROOM or _waits_for_a_forged_time(status):
        return True
    told = status.get("reason") and (status.get("message") or "").strip()
    return status.get("phase") in TERMINAL_PHASES or bool(status.get("phase") and told)


def test_each_that_has_a_name_was_tried(aftermath: Aftermath) -> None:
    """What a new rule of the CRD refuses is no attack any more: write it so that it is taken."""
    named = {**SPECS, **FORGED}.keys()
    assert {name: told for name, told in aftermath.refused.items() if name in named} == {}
    assert 2 * len(aftermath.refused) < len(aftermath.runs), "most of those at random are taken"


def test_nothing_is_asked_about_one_without_end(aftermath: Aftermath) -> None:
    assert {name: n for name, n in aftermath.asked.items() if n > MOST_REQUESTS} == {}


def test_pods_of_others_stay_as_they_are(aftermath: Aftermath, journal: Journal) -> None:
    for pod in aftermath.bystanders:
        last = _last(journal, pod)
        assert not last.gone
        assert last.found["metadata"]["resourceVersion"] == pod["metadata"]["resourceVersion"]


def test_a_run_too_large_for_a_status_is_told_of_in_the_log(aftermath: Aftermath) -> None:
    told = [json.loads(line) for line in aftermath.controller.log.read_text().splitlines()]
    messages = [line["message"] for line in told if line.get("taskrun") == NO_ROOM]
    assert any("too large" in message for message in messages), messages
