"""A daemon is found as the docker command finds it, with TLS and without."""

import asyncio
from pathlib import Path

import pytest

from taskruns.engines.docker.daemon import Daemon, NoDaemon
from taskruns.engines.docker.endpoint import Endpoint

FAR, NEAR = "tcp://host:2376", "unix:///run/docker.sock"


@pytest.mark.parametrize(
    ("endpoint", "environment", "address", "ca_cert"),
    [
        (Endpoint(), {}, None, None),
        (Endpoint(), {"DOCKER_HOST": NEAR}, NEAR, None),
        (Endpoint(NEAR), {"DOCKER_HOST": FAR, "DOCKER_TLS_VERIFY": "1"}, NEAR, None),
        (Endpoint(FAR), {}, FAR, None),
        (
            Endpoint(),
            {"DOCKER_HOST": FAR, "DOCKER_TLS_VERIFY": "yes", "DOCKER_CERT_PATH": "/certs"},
            "https://host:2376",
            "/certs/ca.pem",
        ),
        (
            Endpoint(FAR),
            {"DOCKER_TLS_VERIFY": "1", "HOME": "/me"},
            "https://host:2376",
            "/me/.docker/ca.pem",
        ),
        (Endpoint(FAR, "/own/ca"), {"DOCKER_TLS_VERIFY": "1"}, "https://host:2376", "/own/ca"),
        (Endpoint(FAR), {"DOCKER_TLS_VERIFY": ""}, FAR, None),
    ],
)
def test_what_an_endpoint_does_not_say_the_environment_does(
    endpoint: Endpoint,
    environment: dict[str, str],
    address: str | None,
    ca_cert: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = endpoint.found()
    assert (found.address, found.ca_cert) == (address, ca_cert)


def test_files_that_are_of_no_use_are_told_of(tmp_path: Path) -> None:
    async def open_with(ca_cert: Path) -> None:
        async with Daemon.open(Endpoint(FAR, str(ca_cert))):
            pass

    (tmp_path / "empty.pem").touch()
    for name in ("none.pem", "empty.pem"):
        with pytest.raises(NoDaemon, match=r"TLS files.*of no use.*DOCKER_CERT_PATH"):
            asyncio.run(open_with(tmp_path / name))
