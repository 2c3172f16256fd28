"""Adapters of the compared systems, and the Stage objects of their Pods."""

import json
from typing import Any

import pytest

from benchmarks.throughput import stages, turn
from benchmarks.throughput.load import Run
from benchmarks.throughput.system import RUN, Behaviour, End, Task
from benchmarks.throughput.systems import SYSTEMS
from taskruns.api.conditions import TERMINAL_PHASES, Phase
from tests.cluster.cluster import SIMULATED

FAILING = Task(Behaviour.FAIL_TWICE)


def _pod(number: int, phase: str, task: Task = FAILING, **metadata: Any) -> dict[str, Any]:
    pod = SYSTEMS["pods"].create("run-1", task)
    labels = {**pod["metadata"]["labels"], stages.ATTEMPT: str(number)}
    named = {**pod["metadata"], "name": f"run-1-{number}", "labels": labels, **metadata}
    return {**pod, "metadata": named, "status": {"phase": phase}}


@pytest.mark.parametrize("name", SYSTEMS)
def test_pods_of_every_system_name_their_run_and_select_the_simulated_node(name: str) -> None:
    created = json.dumps(SYSTEMS[name].create("run-1", Task()))
    assert f'"{RUN}": "run-1"' in created
    assert f'"nodeSelector": {{"{SIMULATED[0]}": "{SIMULATED[1]}"}}' in created


@pytest.mark.parametrize("name", SYSTEMS)
def test_pods_on_the_kubelet_select_no_node(name: str) -> None:
    created = json.dumps(SYSTEMS[name].create("run-1", Task(simulated=False)))
    assert SIMULATED[0] not in created


def test_an_ended_bare_pod_is_deleted_and_then_retried() -> None:
    pods = SYSTEMS["pods"]
    delete = pods.react("MODIFIED", _pod(1, "Failed"))
    assert delete
    assert (delete.method, delete.path) == ("DELETE", "pods/run-1-1")
    create = pods.react("DELETED", _pod(1, "Failed"))
    assert create
    assert create.body
    assert create.body["metadata"]["labels"][stages.ATTEMPT] == "2"
    assert not pods.react("MODIFIED", _pod(1, "Failed", deletionTimestamp="now"))
    assert not pods.react("DELETED", _pod(3, "Succeeded"))


def test_a_bare_pod_ends_with_its_last_attempt() -> None:
    end = SYSTEMS["pods"].end
    assert end("MODIFIED", _pod(1, "Running")) is None
    assert end("MODIFIED", _pod(1, "Failed")) is None
    assert end("DELETED", _pod(1, "Failed")) is None
    assert end("MODIFIED", _pod(3, "Succeeded")) is End.SUCCEEDED
    assert end("MODIFIED", _pod(1, "Failed", Task())) is End.FAILED
    held = _pod(1, "Running", Task(Behaviour.HOLD), deletionTimestamp="now")
    assert end("DELETED", held) is End.CANCELLED


def _job(kind: str, **status: Any) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": "True"}], **status}}


def test_a_job_ends_by_its_conditions() -> None:
    end = SYSTEMS["jobs"].end
    assert end("MODIFIED", _job("Complete")) is End.SUCCEEDED
    assert end("MODIFIED", _job("Failed")) is End.FAILED
    assert end("MODIFIED", _job("Suspended")) is End.CANCELLED
    assert end("MODIFIED", _job("Suspended", active=1)) is None
    assert end("MODIFIED", {"status": {}}) is None


@pytest.mark.parametrize("phase", sorted(TERMINAL_PHASES))
def test_a_task_run_ends_in_a_terminal_phase(phase: Phase) -> None:
    end = SYSTEMS["taskruns"].end("MODIFIED", {"status": {"phase": str(phase)}})
    assert end
    assert end.value == phase.lower()


def test_a_task_run_that_runs_has_no_end() -> None:
    assert SYSTEMS["taskruns"].end("MODIFIED", {"status": {"phase": "Running"}}) is None


def test_runs_that_did_not_do_their_work_have_no_figures() -> None:
    runs = [Run("a", 0.0, end=End.SUCCEEDED), Run("b", 0.0, end=End.FAILED)]
    turn._require_ends(runs[:1], End.SUCCEEDED)
    with pytest.raises(RuntimeError, match=r"not all of 2 runs have succeeded: 1 End\.FAILED"):
        turn._require_ends(runs, End.SUCCEEDED)


def test_stages_are_documents_of_their_own() -> None:
    documents = [json.loads(each) for each in stages.configuration().split("---\n")]
    assert {each["kind"] for each in documents} == {"Stage"}
    assert len({each["metadata"]["name"] for each in documents}) == len(documents)
