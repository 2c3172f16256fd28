"""Every way in which a connection can fail gives the same error, "no answer"."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from taskruns.engines.engine import Unavailable
from taskruns.engines.kubernetes import connect, connection, endpoints
from tests.cluster import Cluster
from tests.support.faults.stub_apiserver import StubApiserver, failure

Serve = Callable[[asyncio.StreamReader], Awaitable[bytes]]

CONFIG = """
current-context: c
clusters: [{{name: c, cluster: {{server: "{server}"}}}}]
contexts: [{{name: c, context: {{cluster: c, user: c}}}}]
users: [{{name: c, user: {{token: secret}}}}]
"""


def answer(code: str, body: str) -> Serve:
    async def serve(reader: asyncio.StreamReader) -> bytes:
        await close_connection(reader)
        head = f"HTTP/1.1 {code}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return (head + body).encode()

    return serve


async def close_connection(reader: asyncio.StreamReader) -> bytes:
    await reader.readuntil(b"\r\n\r\n")
    return b""


async def never_respond(reader: asyncio.StreamReader) -> bytes:
    await reader.read()
    return b""


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    under_way: set[asyncio.Task[None] | None] = set()

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.current_task())
        writer.write(await serve(reader))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(tracked, "127.0.0.1", 0) as listener:
        host, port = listener.sockets[0].getsockname()
        yield f"http://{host}:{port}"
        await asyncio.gather(*(task for task in under_way if task))


async def error_of_request(url: str, folder: Path) -> str:
    """Return the error message of a request that gets no response."""
    path = folder / "config"
    path.write_text(CONFIG.format(server=url))
    client = await connect(str(path), None, 4)
    try:
        with pytest.raises(Unavailable) as raised:
            await client.send(endpoints.GET_POD, endpoints.GET_POD.path("default", "hello"))
    finally:
        await client.close()
    return str(raised.value)


@pytest.mark.guarantee(
    "Too many requests, server errors and missing responses are retried and never fail the run"
)
async def test_a_refused_connection_is_unavailable(tmp_path: Path) -> None:
    async with server(close_connection) as url:
        pass
    assert "Connect call failed" in await error_of_request(url, tmp_path)


async def test_a_response_timeout_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT_SECONDS", 0.05)
    async with server(never_respond) as url:
        assert await error_of_request(url, tmp_path) == "no answer within 0.05 s"


async def test_a_dropped_connection_is_unavailable(tmp_path: Path) -> None:
    async with server(close_connection) as url:
        assert "disconnected" in await error_of_request(url, tmp_path)


@pytest.mark.parametrize("body", ["<html>", "", "[]", '"text"'])
async def test_a_response_without_a_json_object_is_unavailable(tmp_path: Path, body: str) -> None:
    async with server(answer("200 OK", body)) as url:
        assert "without a JSON object" in await error_of_request(url, tmp_path)


async def test_an_untrusted_certificate_is_unavailable(cluster: Cluster, tmp_path: Path) -> None:
    assert "certificate" in await error_of_request(cluster.server, tmp_path)


async def test_an_error_page_of_a_gateway_is_a_response_with_its_code(tmp_path: Path) -> None:
    async with server(answer("502 Bad Gateway", "<html>")) as url:
        path = tmp_path / "config"
        path.write_text(CONFIG.format(server=url))
        client = await connect(str(path), None, 4)
        response = await client.send(endpoints.GET_POD, endpoints.GET_POD.path("default", "hello"))
        await client.close()
    assert (response.code, dict(response.body)) == (502, {})


async def test_a_netrc_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else")
    monkeypatch.setenv("NETRC", str(netrc))
    with StubApiserver() as little:
        client = await connect(little.kubeconfig(tmp_path), None, 4)
        assert (await client.send(endpoints.LIST_PODS, endpoints.LIST_PODS.path())).ok
        session = client.open_session(lambda _: None)
        async with session, session.get(f"{little.url}/api/v1/pods") as response:
            assert response.ok
        await client.close()
        assert {headers["Authorization"] for _, _, headers in little.requests} == {"Bearer secret"}


async def test_a_watch_is_retried_until_its_credentials_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CREDENTIALS_PAUSE", 0.0)
    codes: list[int] = []
    with StubApiserver() as little:
        little.turns["list", "pods"].extend([failure(401)] * 3)
        client = await connect(little.kubeconfig(tmp_path), None, 4)
        session = client.open_session(lambda response: codes.append(response.status))
        async with session, session.get(f"{little.url}/api/v1/pods") as response:
            assert response.status == 200
        await client.close()
    assert codes == [401, 401, 401, 200]
