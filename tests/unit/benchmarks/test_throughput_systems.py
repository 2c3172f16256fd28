"""Adapters of the compared systems, and the Stage objects of their Pods."""

import json
from typing import Any

import pytest

from benchmarks.throughput import stages
from benchmarks.throughput.system import RUN, Behaviour, Task
from benchmarks.throughput.systems import SYSTEMS
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


def test_a_bare_pod_is_done_at_its_last_end() -> None:
    pods = SYSTEMS["pods"]
    assert not pods.is_done("MODIFIED", _pod(1, "Running"))
    assert not pods.is_done("MODIFIED", _pod(1, "Failed"))
    assert not pods.is_done("DELETED", _pod(1, "Failed"))
    assert pods.is_done("MODIFIED", _pod(3, "Succeeded"))
    assert pods.is_done("DELETED", _pod(1, "Running", Task(Behaviour.HOLD)))


def _job(kind: str, **status: Any) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": "True"}], **status}}


def test_a_job_is_done_when_it_is_complete_or_suspended_without_a_pod() -> None:
    jobs = SYSTEMS["jobs"]
    assert jobs.is_done("MODIFIED", _job("Complete"))
    assert jobs.is_done("MODIFIED", _job("Suspended"))
    assert not jobs.is_done("MODIFIED", _job("Suspended", active=1))
    assert not jobs.is_done("MODIFIED", {"status": {}})


def test_a_task_run_is_done_in_a_terminal_phase() -> None:
    taskruns = SYSTEMS["taskruns"]
    assert taskruns.is_done("MODIFIED", {"status": {"phase": "Cancelled"}})
    assert not taskruns.is_done("MODIFIED", {"status": {"phase": "Running"}})


def test_stages_are_documents_of_their_own() -> None:
    documents = [json.loads(each) for each in stages.configuration().split("---\n")]
    assert {each["kind"] for each in documents} == {"Stage"}
    assert len({each["metadata"]["name"] for each in documents}) == len(documents)
