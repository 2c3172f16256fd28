"""Runs while the Docker daemon stops and starts again."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster import image
from tests.cluster.docker_engine import START_LIMIT, DockerEngine
from tests.cluster.progress import Progress
from tests.conftest import CLUSTER_NAME
from tests.engine.docker_runtime import DockerRuntime
from tests.engine.runtime import Task, summarize
from tests.engine.work import Work, exits
from tests.support.command_line import SECONDS, CommandLine

COUNT = "i=0; until [ -e /shared/go ]; do i=$((i+1)); echo $i; sleep 0.1; done; echo end; exit 5"
LONG = Work(COUNT, exits(5).script)


@pytest.fixture(scope="module")
def engine(docker_address: str) -> Iterator[DockerEngine]:
    """A separate daemon for this module, in addition to the shared one."""
    del docker_address  # skips without --with-cluster
    engine = DockerEngine.for_containers(f"{CLUSTER_NAME}-away")
    progress = Progress(print)
    with engine.running(progress):
        engine.load(image.BUSYBOX_IMAGE, image.busybox(progress), progress)
        yield engine


@pytest.fixture
def host(engine: DockerEngine, tmp_path: Path) -> Iterator[DockerRuntime]:
    runtime = DockerRuntime(engine.address, tmp_path / "state")
    runtime.resume()
    yield runtime
    runtime.close()


def start(engine: DockerEngine, *, live_restore: bool) -> None:
    daemon = engine._dockerd()
    config = engine.run / "dockerd.json"
    text = '{"live-restore": true}\n' if live_restore else "{}\n"
    engine.supervisor.start(replace(daemon, files={config: text}))
    engine.supervisor.wait_ready(daemon, engine.answers, START_LIMIT)


def stop(engine: DockerEngine) -> None:
    engine.supervisor.stop("dockerd", grace=30)


def start_long_run(host: DockerRuntime, shared: Path) -> Task:
    shared.mkdir()
    task = host.start(
        LONG,
        volumes=[{"name": "shared", "hostPath": {"path": str(shared)}}],
        volumeMounts=[{"name": "shared", "mountPath": "/shared"}],
        template={"spec": {"terminationGracePeriodSeconds": 1}},
        podGC={"strategy": "Never"},
    )
    task.main_runs()
    return task


def log_of(engine: DockerEngine, task: Task) -> str:
    """Return the log as the docker command shows it.

    Output that is written while no daemon runs may be missing.
    """
    return engine.docker("logs", task.status["podName"]).stdout


def read_line(client: "subprocess.Popen[str]") -> str:
    assert client.stdout is not None
    return client.stdout.readline()


def test_a_task_continues_without_its_daemon_under_live_restore(
    engine: DockerEngine, host: DockerRuntime, tmp_path: Path
) -> None:
    stop(engine)
    start(engine, live_restore=True)
    task = start_long_run(host, tmp_path / "shared")
    state = {"DOCKER_HOST": engine.address, "TASKRUNS_STATE_DIR": str(tmp_path / "state")}
    taskrun = CommandLine(os.environ | state)
    before = len(log_of(engine, task).split()) + 50
    with taskrun.start("follow", task.name) as run, taskrun.start("logs", "-f", task.name) as logs:
        clients = [(run, 5, read_line(run)), (logs, 0, read_line(logs))]
        stop(engine)
        start(engine, live_restore=True)
        host.wait(
            "it has written since", lambda: len(log_of(engine, task).split()) > before or None
        )
        stop(engine)
        (tmp_path / "shared" / "go").touch()
        start(engine, live_restore=True)
        assert summarize(task.ended()) == ("Failed", "NonZeroExitCode", 5, ["Failed"])
        whole = log_of(engine, task)
        for client, code, first in clients:
            assert client.stdout is not None
            assert first + client.stdout.read() == whole
            assert client.wait(SECONDS) == code


def test_a_task_killed_with_its_daemon_ends_as_the_daemon_reports(
    engine: DockerEngine, host: DockerRuntime, tmp_path: Path
) -> None:
    stop(engine)
    start(engine, live_restore=False)
    task = start_long_run(host, tmp_path / "shared")
    stop(engine)
    start(engine, live_restore=False)
    status = task.ended()
    assert summarize(status) == ("Failed", "KilledBySignal", 137, ["Failed"])
