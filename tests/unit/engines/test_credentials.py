"""Credentials of a long-lived process: tokens are rotated while it runs."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from kubernetes.aio.config import incluster_config

from taskruns.engines.kubernetes import NoConfiguration, connect, connection
from taskruns.engines.kubernetes.connection import Connection

EXEC = """
current-context: c
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: c, context: {cluster: c, user: c}}]
users:
- name: c
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: sh
      interactiveMode: Never
      args: [-c, 'printf "{\\"apiVersion\\": \\"client.authentication.k8s.io/v1\\",
        \\"kind\\": \\"ExecCredential\\", \\"status\\": {\\"token\\": \\"fresh\\"}}"']
"""


@pytest.fixture
def rotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets the service account's token; every request reads it again."""
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    authority.write_text("not read before the first connection")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(connection, "ApiClient", lambda _: _Client())
    made = incluster_config.InClusterConfigLoader.__init__

    def impatient(self: incluster_config.InClusterConfigLoader, **arguments: object) -> None:
        made(self, **arguments)  # type: ignore[no-untyped-call]
        self._token_refresh_period = timedelta(0)

    monkeypatch.setattr(incluster_config.InClusterConfigLoader, "__init__", impatient)

    def rotate(text: str) -> None:
        token.write_text(text)

    return rotate


class _Client:
    user_agent = ""

    async def close(self) -> None:
        pass


async def authorization(connection: Connection) -> str | None:
    headers: dict[str, str] = {}
    await connection.authorize(headers)
    return headers.get("Authorization")


async def test_in_a_pod_the_current_token_is_used(rotate: Callable[[str], None]) -> None:
    rotate("first")
    connection = await connect(None, None, 4)
    assert connection.configuration.host == "https://10.96.0.1:443"
    assert await authorization(connection) == "bearer first"
    rotate("second")
    assert await authorization(connection) == "bearer second"
    await connection.close()


async def test_a_plugins_token_is_requested_and_renewed(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(EXEC)
    connection = await connect(str(path), None, 4)
    assert await authorization(connection) == "Bearer fresh"
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "taskruns: credentials" in names
    await connection.close()
    assert "taskruns: credentials" not in {task.get_name() for task in asyncio.all_tasks()}


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"http_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "127.0.0.1"}, None),
        ({"https_proxy": "http://proxy:3128"}, None),
    ],
    ids=["none", "one", "not for this server", "not for this scheme"],
)
async def test_the_proxy_of_the_environment_is_used(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    proxy: str | None,
) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "config"
    path.write_text(EXEC)
    connection = await connect(str(path), None, 4)
    assert connection.configuration.proxy == proxy
    await connection.close()


@pytest.mark.parametrize(
    "text",
    ["", "]", "{}", "current-context: none\nclusters: []\ncontexts: []\nusers: []"],
    ids=["empty", "no YAML", "nothing in it", "no such context"],
)
async def test_an_invalid_kubeconfig_gives_a_one_line_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(NoConfiguration, match="cannot be used") as raised:
        await connect(str(path), None, 4)
    assert "\n" not in str(raised.value)
