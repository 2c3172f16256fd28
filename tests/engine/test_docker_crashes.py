"""Clients on a Docker host that die by SIGKILL at each step of a run; the next one continues."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.engine.docker_runtime import DockerRuntime
from tests.engine.runtime import Object, Task, summarize
from tests.engine.work import Work, exits
from tests.support.faults import crashing_client

STEPS = (
    "create",
    "claim",
    "gate",
    "container",
    "volumes",
    "start",
    "outcome",
    "finalizer",
    "delete",
    "remove",
)
POINTS = [f"{moment}:{step}" for step in STEPS for moment in ("before", "after")]
RAN = Work("touch /scratch/it; echo $TASKRUN_NAME >> /starts/ran; sleep 0.5", exits(0).script)
SECONDS = 120

CLIENTS = multiprocessing.get_context("forkserver")
CLIENTS.set_forkserver_preload(["tests.support.faults.crashing_client"])


@pytest.fixture
def host(docker_address: str, tmp_path: Path) -> Iterator[DockerRuntime]:
    runtime = DockerRuntime(docker_address, tmp_path / "state")
    yield runtime
    runtime.close()


def died(clients: dict[str, ForkServerProcess]) -> dict[str, int | None]:
    """Run the clients until they have died; return their exit codes, None for a running client."""
    for client in clients.values():
        client.start()
    for client in clients.values():
        client.join(SECONDS)
    codes = {point: client.exitcode for point, client in clients.items()}
    for client in clients.values():
        client.kill()
        client.join()
    return codes


def manifest(host: DockerRuntime, point: str, start_counter: Path) -> Object:
    name = point.replace(":", "-")
    return host.manifest(
        RAN,
        name,
        volumes=[
            {"name": "starts", "hostPath": {"path": str(start_counter)}},
            {"name": "scratch", "emptyDir": {}},
        ],
        volumeMounts=[
            {"name": "starts", "mountPath": "/starts"},
            {"name": "scratch", "mountPath": "/scratch"},
        ],
    )


def test_work_runs_once_when_a_client_dies_at_any_step(
    host: DockerRuntime, docker_address: str, tmp_path: Path
) -> None:
    start_counter = tmp_path / "starts"
    start_counter.mkdir()
    tasks = {
        point: Task(host.create_run(manifest(host, point, start_counter)), host) for point in POINTS
    }
    state = str(tmp_path / "state")
    clients = {
        point: CLIENTS.Process(
            target=crashing_client.run, args=(["--crash", point, docker_address, state, task.name],)
        )
        for point, task in tasks.items()
    }
    assert died(clients) == dict.fromkeys(POINTS, -SIGKILL)
    host.resume()
    ends = {point: summarize(task.ended()) for point, task in tasks.items()}
    assert ends == dict.fromkeys(POINTS, ("Succeeded", "Completed", 0, ["Succeeded"]))
    for task in tasks.values():
        task.pods_gone()
    ran = sorted((start_counter / "ran").read_text().split())
    assert ran == sorted(task.name for task in tasks.values())
