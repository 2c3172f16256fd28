"""A whole Airflow whose tasks run on a Docker host, selected by their connection alone.

The daemon's events count created and started containers; the work itself records its signals.
"""

from collections.abc import Mapping

import pytest

from taskruns.api.conditions import Phase
from tests.support.airflow.docker_task import DockerTask
from tests.support.airflow.processes import Airflow
from tests.support.airflow.task import SYNC, Observers, Task
from tests.support.cluster.start_counter import END, UNTIL_CUE

DOCKER = "docker"
RESULT = "echo '{\"answer\": 42}' > /airflow/xcom/return.json"
WORK = f"echo begun; {UNTIL_CUE}; {RESULT}"
STOPPABLE = f"stopped() {{ {END}; exit 143; }}; trap stopped TERM; sleep 600 & wait $!"
SLOW_TO_STOP = f"stopped() {{ {END}; sleep 6; exit 143; }}; trap stopped TERM; sleep 600 & wait $!"
"""Work that needs longer to stop than Airflow waits for a stopped task."""
ANEW = f'[ "$TRY" = 2 ] && exit 0; {STOPPABLE}'
TRY = {"TRY": "{{ ti.try_number }}"}
ONCE = {"create": 1, "start": 1}


@pytest.fixture
def task(
    request: pytest.FixtureRequest,
    mode: str,
    started: dict[str, Task],
    airflow: Airflow,
    observers: Observers,
    docker_host: Mapping[str, str],
) -> DockerTask:
    """Return the task that the test declares."""
    del mode  # requested only for its parametrization
    declared = started[request.node.nodeid]
    return DockerTask(airflow, observers, (declared.dag_id, declared.run_id), docker_host)


def waits(task: DockerTask, mode: str) -> str:
    """Wait until the work has begun and the task waits in its worker or is deferred."""
    uid = task.begins()
    task.reaches("deferred" if mode == "deferred" else "running")
    return uid


@pytest.mark.task(f"echo hello from Docker; {RESULT}", taskruns_conn_id=DOCKER)
def test_a_success_has_its_log_and_result_and_no_container_remains(task: DockerTask) -> None:
    task.succeeds()
    assert "hello from Docker" in task.log().splitlines()
    assert task.xcom() == {"answer": 42}
    assert task.xcom("exit_code") == 0
    assert task.ran() == [ONCE]
    task.containers_go()


@pytest.mark.task(WORK, modes=SYNC, retries=1, taskruns_conn_id=DOCKER)
def test_the_try_after_a_killed_worker_reattaches_to_its_container(task: DockerTask) -> None:
    uid = task.begins()
    task.kill_worker()
    task.reaches("running", try_number=2)
    task.says("Reattaching to TaskRun", try_number=2)
    task.let_end(uid)
    task.succeeds(try_number=2)
    assert task.xcom() == {"answer": 42}
    assert task.ran() == [ONCE]


@pytest.mark.task(WORK, modes=SYNC, retries=1, taskruns_conn_id=DOCKER)
def test_a_stopped_worker_leaves_the_container_to_the_next_try(
    task: DockerTask,
) -> None:
    uid = task.begins()
    task.stop_worker()
    task.says("Reattaching to TaskRun", try_number=2)
    task.let_end(uid)
    task.succeeds(try_number=2)
    assert task.xcom() == {"answer": 42}
    assert task.ran() == [ONCE]


@pytest.mark.parametrize("state", ["failed", "success"])
@pytest.mark.task(SLOW_TO_STOP, retries=1, taskruns_conn_id=DOCKER)
def test_marking_a_task_stops_its_container(task: DockerTask, mode: str, state: str) -> None:
    uid = waits(task, mode)
    task.mark(state)
    assert task.comes_to_its_end(uid)["phase"] == Phase.CANCELLED
    assert task.got_sigterm(uid)
    task.settles(state)
    assert task.ran() == [ONCE]


@pytest.mark.task(STOPPABLE, execution_timeout=20, taskruns_conn_id=DOCKER)
def test_an_execution_timeout_stops_the_container(task: DockerTask) -> None:
    uid = task.begins()
    task.fails()
    assert task.comes_to_its_end(uid)["phase"] in {Phase.CANCELLED, Phase.FAILED}
    assert task.got_sigterm(uid)
    assert task.ran() == [ONCE]


@pytest.mark.task(ANEW, env=TRY, taskruns_conn_id=DOCKER)
def test_a_cleared_task_stops_its_container_and_starts_another(task: DockerTask, mode: str) -> None:
    first = waits(task, mode)
    task.clear()
    task.succeeds(try_number=2)
    assert task.comes_to_its_end(first)["phase"] == Phase.CANCELLED
    assert task.got_sigterm(first)
    assert task.ran() == [ONCE, ONCE]
