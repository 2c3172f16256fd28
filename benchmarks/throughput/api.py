"""HTTP client of the load generator: one process, one certificate, JSON as the server sends it."""

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

Object = dict[str, Any]

AT_ONCE = 32
"""Number of concurrent requests, watches not counted."""
LONGEST_EVENT = 2**22
"""Maximum size of a watch event, in bytes."""
SECONDS_PER_REQUEST = 120
_BAD = 400
_NOT_FOUND = 404
_GONE = 410


class ApiError(Exception):
    """The apiserver refused a request; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """A session with one apiserver, as the administrator."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        self._server: str = config["clusters"][0]["cluster"]["server"]
        self._tls = _tls(config)
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0, keepalive_timeout=600)
        timeout = aiohttp.ClientTimeout(total=SECONDS_PER_REQUEST)
        self._session = aiohttp.ClientSession(self._server, connector=connector, timeout=timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    @property
    def gate(self) -> asyncio.Semaphore:
        """Limit of concurrent requests, which callers hold around a request."""
        return self._gate

    async def send(self, method: str, path: str, body: Object | None = None) -> Object:
        """Send a request and return the object in the response.

        Raises:
            ApiError: the apiserver refused it.
        """
        return json.loads(await self.read(method, path, body))  # type: ignore[no-any-return]

    async def read(self, method: str, path: str, body: Object | None = None) -> bytes:
        """Send a request and return the body of the response."""
        kind = "merge-patch+json" if method == "PATCH" else "json"
        headers = {"Content-Type": f"application/{kind}", "Accept": "*/*"}
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, path, data=data, headers=headers) as response:
            content = await response.read()
            if response.status >= _BAD:
                raise ApiError(response.status, content.decode(errors="replace")[:1000])
            return content

    async def find(self, path: str) -> Object | None:
        """Return an object, or None if it does not exist."""
        try:
            return await self.send("GET", path)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def watch(self, path: str, version: str) -> AsyncIterator[tuple[str, Object]]:
        """Yield the changes after a resourceVersion; reconnect when the server ends the watch."""
        while True:
            query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
            async with self._session.get(
                path,
                params=query,
                timeout=aiohttp.ClientTimeout(total=None),
                read_bufsize=LONGEST_EVENT,
            ) as response:
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise ApiError(_GONE, str(event["object"].get("message")))
                    version = event["object"]["metadata"]["resourceVersion"]
                    yield event["type"], event["object"]


def _tls(config: Mapping[str, Any]) -> ssl.SSLContext:
    """Return the TLS settings of a self-contained kubeconfig with a client certificate."""
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.TemporaryDirectory() as folder:  # the ssl module reads certificates from files
        certificate, key = Path(folder, "certificate"), Path(folder, "key")
        key.touch(mode=0o600)
        certificate.write_bytes(base64.b64decode(user["client-certificate-data"]))
        key.write_bytes(base64.b64decode(user["client-key-data"]))
        context.load_cert_chain(certificate, key)
    return context
