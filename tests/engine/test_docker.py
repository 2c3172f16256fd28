"""Scenarios specific to Docker: removed containers, missing daemons, unsupported fields."""

import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from taskruns.engines.docker.connection import NoDaemon
from taskruns.engines.docker.daemon import Daemon
from tests.engine.docker_runtime import DockerRuntime
from tests.engine.runtime import Task, summarize
from tests.engine.work import HELLO, SECOND_TIME_LUCKY, Work, exits, lasts

UNUSED = exits(0).script


def test_a_container_removed_by_a_user_is_not_repeated_by_default(host: DockerRuntime) -> None:
    task = host.start(lasts(1000))
    host.remove_container(task.main_runs()["metadata"]["name"])
    assert summarize(task.ended()) == ("Failed", "FinalStateUnknown", None, ["Disrupted"])


def test_a_container_removed_by_a_user_is_repeated_within_its_limit(host: DockerRuntime) -> None:
    task = host.start(
        SECOND_TIME_LUCKY, disruptionLimit=1, backoff={"duration": "100ms", "factor": 1}
    )
    host.remove_container(task.main_runs()["metadata"]["name"])
    assert summarize(task.ended())[3] == ["Disrupted", "Succeeded"]


def test_an_invalid_image_name_fails_the_run_at_once(host: DockerRuntime) -> None:
    task = host.start(HELLO, image="no image at all")
    assert summarize(task.ended())[:3] == ("Failed", "ImagePullFailed", None)


def test_an_unsupported_field_fails_the_run_before_anything_starts(host: DockerRuntime) -> None:
    task = host.start(HELLO, serviceAccountName="somebody")
    status = task.ended()
    assert summarize(status) == ("Failed", "InvalidPodTemplate", None, [])
    assert "serviceAccountName is not supported on Docker" in status["message"]


def test_a_task_finds_its_limits_mounts_and_variables(host: DockerRuntime, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "given").write_text("from the host")
    work = Work(
        "cat /shared/given; echo; id -u; pwd; touch /nowhere 2>/dev/null && echo writable;"
        " echo $TASKRUN_NAME $TASKRUN_ATTEMPT; touch /empty/it && exit 9",
        UNUSED,
    )
    task = host.start(
        work,
        workingDir="/shared",
        securityContext={"runAsUser": 1234, "readOnlyRootFilesystem": True},
        volumes=[
            {"name": "shared", "hostPath": {"path": str(shared)}},
            {"name": "empty", "emptyDir": {"medium": "Memory"}},
        ],
        volumeMounts=[
            {"name": "shared", "mountPath": "/shared", "readOnly": True},
            {"name": "empty", "mountPath": "/empty"},
        ],
    )
    status = task.ended()
    assert status["exitCode"] == 9, status["message"]
    words = ["from the host", "1234", "/shared", "hello 1"]
    assert "Last output: " + " | ".join(words) in status["message"]


def test_a_docker_volume_is_kept_for_the_next_run(host: DockerRuntime, docker_address: str) -> None:
    volume = f"taskruns-{uuid4()}"
    mounted = {
        "volumes": [{"name": "kept", "persistentVolumeClaim": {"claimName": volume}}],
        "volumeMounts": [{"name": "kept", "mountPath": "/kept"}],
    }
    try:
        codes = [
            _code_of(host.start(Work(script, UNUSED), name, **mounted))
            for name, script in (("first", "echo 42 > /kept/it"), ("next", "exit $(cat /kept/it)"))
        ]
        assert codes == [0, 42]
    finally:
        command = ["docker", "--host", docker_address, "volume", "rm", "--force", volume]
        subprocess.run(command, check=True, capture_output=True)


def _code_of(task: Task) -> int:
    code: int = task.ended()["exitCode"]
    task.pods_gone()
    return code


def test_a_missing_network_is_reported_by_name(host: DockerRuntime) -> None:
    annotations = {"docker.taskruns.dev/network": "nowhere"}
    task = host.start(HELLO, template={"metadata": {"annotations": annotations}})
    status = task.ended()
    assert summarize(status)[3] == ["Failed"]
    assert "network nowhere not found" in status["message"]


async def test_a_missing_daemon_is_reported_with_advice(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon, match=r"cannot connect.*start Docker.*set DOCKER_HOST"):
        async with Daemon.open(f"unix://{tmp_path}/none.sock"):
            pass
