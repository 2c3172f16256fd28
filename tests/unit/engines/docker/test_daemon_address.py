"""Daemon addresses: the same defaults as the docker command, with and without TLS."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from taskruns.engines.docker.connection import NoDaemon
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.host import DaemonAddress

FAR, NEAR = "tcp://host:2376", "unix:///run/docker.sock"


@pytest.mark.parametrize(
    ("endpoint", "environment", "address", "ca_cert"),
    [
        (DaemonAddress(), {}, None, None),
        (DaemonAddress(), {"DOCKER_HOST": NEAR}, NEAR, None),
        (DaemonAddress(NEAR), {"DOCKER_HOST": FAR, "DOCKER_TLS_VERIFY": "1"}, NEAR, None),
        (DaemonAddress(FAR), {}, FAR, None),
        (
            DaemonAddress(),
            {"DOCKER_HOST": FAR, "DOCKER_TLS_VERIFY": "yes", "DOCKER_CERT_PATH": "/certs"},
            "https://host:2376",
            "/certs/ca.pem",
        ),
        (
            DaemonAddress(FAR),
            {"DOCKER_TLS_VERIFY": "1", "HOME": "/me"},
            "https://host:2376",
            "/me/.docker/ca.pem",
        ),
        (DaemonAddress(FAR, "/own/ca"), {"DOCKER_TLS_VERIFY": "1"}, "https://host:2376", "/own/ca"),
        (DaemonAddress(FAR), {"DOCKER_TLS_VERIFY": ""}, FAR, None),
    ],
)
def test_the_environment_fills_in_missing_fields_of_an_address(
    endpoint: DaemonAddress,
    environment: dict[str, str],
    address: str | None,
    ca_cert: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    resolved = endpoint.found()
    assert (resolved.address, resolved.ca_cert) == (address, ca_cert)


FORWARDED = r"`ssh -N -L ~/docker.sock:/run/docker.sock ssh://me@far:22`"


@pytest.mark.parametrize(
    ("environment", "context"),
    [
        ({"DOCKER_HOST": "ssh://me:s3cret@far:22"}, None),
        ({"DOCKER_CONTEXT": "far"}, "far"),
        ({}, "far"),
    ],
)
def test_an_ssh_url_is_refused_with_the_command_to_use_instead(
    environment: dict[str, str],
    context: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **environment}.items():
        monkeypatch.setenv(name, value)
    if context is not None:
        _make_context(tmp_path / ".docker", context, "ssh://me@far:22")
    with pytest.raises(NoDaemon, match=FORWARDED) as refused:
        asyncio.run(_open(DaemonAddress()))
    assert "s3cret" not in str(refused.value)


def test_the_command_for_an_ssh_url_contains_its_socket() -> None:
    with pytest.raises(NoDaemon, match=r"docker.sock:/own/socket ssh://far`"):
        asyncio.run(_open(DaemonAddress("ssh://far/own/socket")))


@pytest.mark.parametrize("url", ["tcp://host:port", "somewhere", "ssh://[far"])
def test_an_invalid_address_is_reported_with_the_variable_to_set(url: str) -> None:
    with pytest.raises(NoDaemon, match="set DOCKER_HOST"):
        asyncio.run(_open(DaemonAddress(url)))


def _make_context(folder: Path, name: str, url: str) -> None:
    """Create a docker context and select it, as `docker context create` and `use` do."""
    meta = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoints = {"docker": {"Host": url, "SkipTLSVerify": False}}
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))


async def _open(endpoint: DaemonAddress) -> None:
    async with Daemon.open(endpoint):
        pass


def test_unusable_tls_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("none.pem", "empty.pem"):
        with pytest.raises(NoDaemon, match=r"TLS files.*cannot be used.*DOCKER_CERT_PATH"):
            asyncio.run(_open(DaemonAddress(FAR, str(tmp_path / name))))
