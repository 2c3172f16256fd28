"""Images of a private registry: a real daemon pulls them with the user's credentials."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskruns.engines.docker.host import DaemonAddress, Host
from taskruns.engines.docker.store import create_run
from tests.cluster import image
from tests.cluster.progress import Progress
from tests.engine.docker_runtime import manifest, now
from tests.engine.work import IMAGE
from tests.support.command_line import CommandLine
from tests.support.docker.registry import Account, serving

SECONDS = 120
ME = Account("me", "s3cret")
HELPER = """#!/bin/sh
[ "$1 $(cat)" = "get %s" ] || exit 1
echo '{"Username": "me", "Secret": "s3cret"}'
"""


@pytest.fixture(scope="module")
def registry(docker_address: str) -> Iterator[str]:
    del docker_address  # skips without --with-cluster
    with serving(image.busybox(Progress(print)), ME) as address:
        yield address


@pytest.fixture
def private(docker_address: str, registry: str) -> Iterator[str]:
    """Name of a private image that the daemon does not have."""
    name = f"{registry}/me/app:1"
    yield name
    command = ["docker", "--host", docker_address, "image", "rm", "--force", name]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def taskrun(docker_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line with a Docker configuration of this test."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    state = {"DOCKER_HOST": docker_address, "TASKRUNS_STATE_DIR": str(tmp_path / "state")}
    return CommandLine(os.environ | state)


def test_the_login_of_the_docker_command_is_used(
    taskrun: CommandLine, registry: str, private: str, tmp_path: Path
) -> None:
    configure(tmp_path, {"auths": {registry: {"auth": ME.auth}}})
    done = taskrun("run", "--name", "mine", "--image", private, "--", "echo", "pulled")
    assert (done.returncode, done.stdout) == (0, "pulled\n"), done.stderr
    story = taskrun("describe", "mine").stdout
    done_first = [
        step for step in steps(story) if step != "queued"
    ]  # depends on the load of the machine
    assert done_first == ["scheduling", "image pull", "starting", "running"], story


def test_the_login_of_a_credential_helper_is_used(
    taskrun: CommandLine, registry: str, private: str, tmp_path: Path
) -> None:
    configure(tmp_path, {"credHelpers": {registry: "test"}})
    helper = tmp_path / "docker-credential-test"
    helper.write_text(HELPER % registry)
    helper.chmod(0o755)
    done = taskrun("run", "--image", private, "--", "echo", "pulled")
    assert (done.returncode, done.stdout) == (0, "pulled\n"), done.stderr


def test_an_image_without_a_tag_is_pulled_although_it_exists_locally(
    docker_address: str, taskrun: CommandLine, registry: str, tmp_path: Path
) -> None:
    image, docker = f"{registry}/me/fresh", ["docker", "--host", docker_address]
    subprocess.run([*docker, "tag", IMAGE, image], check=True)
    configure(tmp_path, {"auths": {f"http://{registry}/v2/": {"auth": ME.auth}}})
    done = taskrun("run", "--name", "fresh", "--image", image, "--", "echo", "pulled")
    assert (done.returncode, done.stdout) == (0, "pulled\n"), done.stderr
    assert "image pull" in steps(taskrun("describe", "fresh").stdout)
    subprocess.run([*docker, "image", "rm", "--force", image], check=True, capture_output=True)


@pytest.mark.usefixtures("taskrun")
@pytest.mark.parametrize("account", [None, Account("me", "wrong")], ids=["none", "wrong"])
async def test_missing_permission_to_pull_is_reported_with_the_login_command(
    docker_address: str, registry: str, tmp_path: Path, account: Account | None
) -> None:
    configure(tmp_path, {"auths": {registry: {"auth": account.auth}} if account else {}})
    host = Host(tmp_path / "state", now, DaemonAddress(docker_address))
    file = host.file("default", "stranger")
    await create_run(file, manifest("true", image=f"{registry}/me/app:2"), now())
    message = ""
    async with asyncio.timeout(SECONDS), host.following(file) as follower:
        async for run in follower.changes():
            if "no permission to pull" in (message := run["status"].get("message") or ""):
                break
    login = f"log in with `docker login {registry}`, as the user who runs this"
    assert f"main cannot start: no permission to pull {registry}/me/app:2 (" in message
    assert f"): {login}." in message


def steps(story: str) -> list[str]:
    """Return the names of the steps in the output of `describe`."""
    return re.findall(r"^ +(\w[\w ]*\w) +\d\d:\d\d:\d\d", story, flags=re.MULTILINE)


def configure(folder: Path, config: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))
