"""A Docker daemon behind TLS, as on another machine: who trusts whom, and what is said if not."""

import asyncio
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from taskruns.api import names
from taskruns.engines.docker.daemon import NoDaemon
from taskruns.engines.docker.endpoint import Endpoint
from taskruns.engines.docker.host import Host
from taskruns.engines.docker.submission import create_run
from tests.cluster import image, pki
from tests.cluster.docker_engine import START_LIMIT, DockerEngine
from tests.cluster.progress import Progress
from tests.conftest import CLUSTER_NAME
from tests.engine.work import IMAGE
from tests.support.command_line import CommandLine

SECONDS = 240


@dataclass(frozen=True)
class Behind:
    """A daemon behind TLS, and a folder with files for DOCKER_CERT_PATH."""

    url: str
    certificates: Path

    def endpoint(self, *, ca: str = "ca", own: bool = True) -> Endpoint:
        """Name the files by which it is known, and we are."""
        ca_cert, cert, key = (str(self.certificates / f"{n}.pem") for n in (ca, "cert", "key"))
        files = {"client_cert": cert, "client_key": key} if own else {}
        return Endpoint(self.url, ca_cert, files.get("client_cert"), files.get("client_key"))


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    pki.make_authority(folder)
    pki.make_authority(folder / "other")
    for identity in (
        pki.Identity("server", "daemon", addresses=("IP:127.0.0.1",)),
        pki.Identity("client", "client"),
    ):
        pki.make_one(folder, identity)
    for file, name in {
        "ca.crt": "ca",
        "client.crt": "cert",
        "client.key": "key",
        "other/ca.crt": "other",
    }.items():
        (folder / f"{name}.pem").write_bytes((folder / file).read_bytes())
    return folder


@pytest.fixture(scope="module")
def behind(docker_address: str, certificates: Path) -> Iterator[Behind]:
    """A daemon of this module's own, which speaks to nobody whom it does not know."""
    del docker_address  # where that may be had, this may
    engine = DockerEngine.for_containers(f"{CLUSTER_NAME}-away")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    progress = Progress(print)
    with engine.running(progress):
        engine.load(image.BUSYBOX_IMAGE, image.busybox(progress), progress)
        engine.supervisor.stop("dockerd", grace=30)
        plain = engine._dockerd()
        files = {"tlscacert": "ca.crt", "tlscert": "server.crt", "tlskey": "server.key"}
        told = (f"--{option}={certificates / file}" for option, file in files.items())
        argv = (*plain.argv, f"--host=tcp://127.0.0.1:{port}", "--tlsverify", *told)
        daemon = replace(plain, argv=argv)
        engine.supervisor.start(daemon)
        engine.supervisor.wait_ready(daemon, engine.answers, START_LIMIT)
        yield Behind(f"tcp://127.0.0.1:{port}", certificates)


async def test_a_run_behind_tls_is_as_any_other(behind: Behind, tmp_path: Path) -> None:
    host = Host(tmp_path, now, behind.endpoint())
    file = host.file("default", "hello")
    command = ["sh", "-c", "mkdir -p /out; echo 42 > /out/result"]
    spec = {"image": IMAGE, "command": command, "resultPath": "/out/result"}
    kind = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {}}
    await create_run(file, {**kind, "spec": spec}, now())
    status: Any = None
    async with asyncio.timeout(SECONDS), host.following(file) as follower:
        async for run in follower.changes():
            status = run["status"]
    assert (status["phase"], status["result"].strip()) == ("Succeeded", "42")


def test_the_command_line_reads_what_the_docker_command_reads(
    behind: Behind, tmp_path: Path
) -> None:
    tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(behind.certificates)}
    state = {"TASKRUNS_STATE_DIR": str(tmp_path), "DOCKER_HOST": behind.url}
    taskrun = CommandLine({**os.environ, **state})
    done = taskrun("run", "--quiet", "--image", IMAGE, "--", "echo", "hello", **tls)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    without = taskrun("run", "--image", IMAGE)
    assert without.returncode == 125
    assert "DOCKER_TLS_VERIFY" in without.stderr


@pytest.mark.parametrize(
    "files", [{"ca": "other"}, {"own": False}], ids=["it is a stranger", "we are a stranger"]
)
async def test_strangers_are_told_to_look_at_their_certificates(
    behind: Behind, tmp_path: Path, files: dict[str, Any]
) -> None:
    host = Host(tmp_path, now, behind.endpoint(**files))
    with pytest.raises(NoDaemon, match="is not trusted, or does not trust us"):
        async with host.daemon():
            pass
