"""Errors that a user can correct on a Docker host: one sentence each, with advice."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from taskruns.api import names
from taskruns.engines.docker.host import DaemonAddress, Host
from taskruns.engines.docker.state_file import StateError, StateFile
from taskruns.engines.docker.store import create_run, patch_run
from tests.cluster.mount import unmount_below
from tests.engine.work import IMAGE

SECONDS = 240
NOBODY = 65534
UNTIL_TOLD = "until [ -e /shared/go ]; do sleep 0.1; done; exit 5"

AS_NOBODY = f"""
import asyncio, os, sys
from taskruns.cli import docker_backend
from taskruns.cli.commands import run
from taskruns.cli.main import main
from taskruns.engines.docker import follower, gc, store

os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
sys.exit(main())
"""
"""Program that runs the command line as a user without permission to use Docker.

The imports come before the change of user, who may not be able to read Python's files.
"""


def now() -> datetime:
    return datetime.now(UTC)


def manifest(**spec: Any) -> dict[str, Any]:
    kind = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {}}
    return {**kind, "spec": {"image": IMAGE, "imagePullPolicy": "IfNotPresent", **spec}}


async def until(host: Host, file: StateFile, is_so: Callable[[Any], bool]) -> Any:
    """Follow a run until its status meets a condition; return the status."""
    async with asyncio.timeout(SECONDS), host.following(file) as follower:
        async for run in follower.changes():
            if is_so(run["status"]):
                return run["status"]
    raise AssertionError("it never comes to that")


def ended(status: Any) -> bool:
    return status.get("phase") in {"Succeeded", "Failed"}


@pytest.fixture
def small_state_directory(tmp_path: Path) -> Iterator[Path]:
    """A state directory on a file system of 256 KiB."""
    folder = tmp_path / "state"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    yield folder
    unmount_below(folder)


def test_missing_permission_to_use_docker_is_reported(docker_address: str, tmp_path: Path) -> None:
    state = {"DOCKER_HOST": docker_address, "TASKRUNS_STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, "run", "--image", IMAGE],
        env={**os.environ, **state}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (125, "")
    assert "no permission to use the Docker daemon" in done.stderr
    assert "join the group docker" in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def test_a_full_disk_is_reported_and_the_outcome_is_recorded_later(
    docker_address: str, tmp_path: Path, small_state_directory: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    host = Host(small_state_directory, now, DaemonAddress(docker_address))
    file = host.file("default", "hello")
    run = manifest(
        command=["sh", "-c", UNTIL_TOLD],
        volumes=[{"name": "shared", "hostPath": {"path": str(shared)}}],
        volumeMounts=[{"name": "shared", "mountPath": "/shared"}],
        podGC={"deleteDelayDuration": "0s"},
    )
    await create_run(file, run, now())
    await until(host, file, lambda status: status.get("phase") == "Running")

    filling = small_state_directory / "default" / "filling"
    with suppress(OSError), filling.open("wb", buffering=0) as full:
        while True:
            full.write(b"x" * 512)
    (shared / "go").touch()
    with pytest.raises(StateError, match=r"No space left.*free disk space"):
        await until(host, file, ended)
    with pytest.raises(StateError, match="No space left"):
        await create_run(host.file("default", "other"), run, now())

    filling.unlink()
    status = await until(host, file, ended)
    assert (status["reason"], status["exitCode"], status["attempt"]) == ("NonZeroExitCode", 5, 1)


def test_a_read_only_state_directory_is_reported(
    docker_address: str, small_state_directory: Path
) -> None:
    host = Host(small_state_directory, now, DaemonAddress(docker_address))
    subprocess.run(["mount", "-o", "remount,ro", small_state_directory], check=True)
    with pytest.raises(StateError, match=r"Read-only file system.*TASKRUNS_STATE_DIR"):
        asyncio.run(create_run(host.file("default", "hello"), manifest(), now()))


async def test_a_pull_from_an_unreachable_registry_is_retried_until_the_startup_timeout(
    docker_address: str, tmp_path: Path
) -> None:
    ahead = timedelta()
    host = Host(tmp_path, lambda: now() + ahead, DaemonAddress(docker_address))
    file = host.file("default", "hello")
    await create_run(file, manifest(image="127.0.0.1:1/no/such:image"), now())
    waiting = await until(host, file, lambda status: "refused" in (status.get("message") or ""))
    assert waiting["phase"] == "Pending"
    assert waiting["reason"] == "StartDelayed"
    ahead = timedelta(minutes=11)
    await patch_run(file, {"metadata": {"annotations": {"looked": "again"}}})
    status = await until(host, file, ended)
    assert (status["phase"], status["reason"]) == ("Failed", "StartupTimeout")
    assert "connection refused" in status["message"]
