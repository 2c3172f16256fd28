"""Docker daemon behind TLS: runs, and error messages for missing or wrong certificates."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from taskruns.api import names
from tests.cluster import image, pki
from tests.cluster.docker_engine import START_LIMIT, DockerEngine
from tests.cluster.progress import Progress
from tests.conftest import CLUSTER_NAME
from tests.engine.work import IMAGE
from tests.support.command_line import CommandLine


@dataclass(frozen=True)
class TlsDaemon:
    """Daemon behind TLS, and a folder with files for DOCKER_CERT_PATH."""

    url: str
    certificates: Path


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
def tls_daemon(docker_address: str, certificates: Path) -> Iterator[TlsDaemon]:
    """A separate daemon for this module that requires client certificates."""
    del docker_address  # skips without --with-cluster
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
        options = (f"--{option}={certificates / file}" for option, file in files.items())
        argv = (*plain.argv, f"--host=tcp://127.0.0.1:{port}", "--tlsverify", *options)
        daemon = replace(plain, argv=argv)
        engine.supervisor.start(daemon)
        engine.supervisor.wait_ready(daemon, engine.answers, START_LIMIT)
        yield TlsDaemon(f"tcp://127.0.0.1:{port}", certificates)


def taskrun(tls_daemon: TlsDaemon, state: Path, certificates: Path) -> CommandLine:
    variables = {"DOCKER_HOST": tls_daemon.url, "TASKRUNS_STATE_DIR": str(state)}
    tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    return CommandLine({**os.environ, **variables, **tls})


def test_a_run_on_a_daemon_with_tls_succeeds(tls_daemon: TlsDaemon, tmp_path: Path) -> None:
    mine = taskrun(tls_daemon, tmp_path, tls_daemon.certificates)
    command = ["sh", "-c", "mkdir -p /out; echo 42 > /out/result; echo hello"]
    spec = {"image": IMAGE, "command": command, "resultPath": "/out/result"}
    kind = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "far"}}
    done = mine("run", "-", "--quiet", stdin=json.dumps({**kind, "spec": spec}))
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert json.loads(mine("get", "far", "-o", "json").stdout)["status"]["result"] == "42\n"


def test_a_connection_without_tls_is_reported_with_advice(
    tls_daemon: TlsDaemon, tmp_path: Path
) -> None:
    mine = taskrun(tls_daemon, tmp_path, tls_daemon.certificates)
    done = mine("run", "--image", IMAGE, DOCKER_TLS_VERIFY="")
    assert done.returncode == 125
    assert "it requires TLS: set DOCKER_TLS_VERIFY" in done.stderr


@pytest.mark.parametrize("missing", ["ca.pem", "cert.pem"])
def test_invalid_certificates_are_reported_with_advice(
    tls_daemon: TlsDaemon, tmp_path: Path, missing: str
) -> None:
    folder = tmp_path / "certificates"
    shutil.copytree(tls_daemon.certificates, folder)
    (folder / missing).unlink()
    if missing == "ca.pem":
        (folder / "other.pem").rename(folder / missing)
    done = taskrun(tls_daemon, tmp_path / "state", folder)("run", "--image", IMAGE)
    assert done.returncode == 125
    assert "check the certificates and the name of the host" in done.stderr
