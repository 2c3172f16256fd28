"""The way to one apiserver: configuration, credentials that stay fresh, one request at a time.

Nothing is retried here: whoever asks knows best when to ask again.
"""

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, MutableMapping
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import (
    SERVICE_TOKEN_FILENAME,
    load_incluster_config,
)
from kubernetes.aio.config.kube_config import KubeConfigLoader, load_kube_config, refresh_token
from yaml import YAMLError

from taskruns.core.unstructured import mapping, text
from taskruns.engines.engine import Unavailable
from taskruns.engines.kubernetes.endpoints import Endpoint, watcher_call
from taskruns.engines.kubernetes.responses import Response

TIMEOUT_SECONDS = 10.0
"""For a whole request, connecting and waiting for a free connection included."""

CREDENTIALS_PAUSE = 5.0
"""Seconds until a watch tries again with what the credentials, and their rights, are by then."""


JSON = "application/json"
_METADATA = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"

Observer = Callable[[str, str, str, float], None]
"""Told of a request that is over: RBAC verb, resource, HTTP code or NO_ANSWER, seconds."""

NO_ANSWER = "<error>"
"""In place of a code, as Kubernetes' own clients count it."""

log = logging.getLogger(__name__)


class NoConfiguration(Exception):
    """There is no usable kubeconfig, and this is not a Pod of a cluster."""


def release() -> str:
    """Return this program's version."""
    try:
        return version("taskruns")
    except PackageNotFoundError:
        return "unknown"


CONTROLLER = "taskruns-controller"


def user_agent(program: str = CONTROLLER) -> str:
    """Name this program to the apiserver, as its audit log will show it."""
    return f"{program}/{release()}"


class Connection:
    """Sends requests to one apiserver. To be closed by whoever opened it."""

    def __init__(
        self,
        configuration: Configuration,
        refresh: asyncio.Task[None] | None,
        namespace: str = "",
        program: str = CONTROLLER,
    ) -> None:
        self._client = ApiClient(configuration)
        self._client.user_agent = user_agent(program)
        self.namespace = namespace or "default"
        """That of the context, or of the Pod that this runs in."""
        self._refresh = refresh
        self.configuration = configuration
        self.observe: Observer = lambda *_: None
        """Told of every request, those of watches included; it must return at once."""

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """The trust and the client certificate of this connection, for others to share."""
        context: ssl.SSLContext = self._client.rest_client.ssl_context
        return context

    async def authorize(self, headers: MutableMapping[str, str]) -> None:
        """Put the credentials of this moment into a request's headers: tokens are rotated."""
        credentials = await self.configuration.get_api_key_with_prefix("BearerToken")
        if credentials:
            headers["Authorization"] = credentials

    async def send(
        self,
        call: Endpoint,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = JSON,
        metadata_only: bool = False,
    ) -> Response:
        """Make one request and read its answer, whatever it says.

        Raises:
            Unavailable: there was no answer.
        """
        headers = {"Content-Type": content_type, "Accept": _METADATA if metadata_only else JSON}
        try:
            with self._observed(call.verb, call.resource) as answered:
                await self.authorize(headers)
                response = await self._client.rest_client.request(  # type: ignore[no-untyped-call]
                    call.method,
                    f"{self.configuration.host}{path}" + (f"?{urlencode(query)}" if query else ""),
                    headers=headers | self._client.default_headers,
                    body=body,
                    _request_timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                )
                answer = _read(response.response, await response.read())
                answered(answer.code)
                return answer
        except TimeoutError as error:
            raise Unavailable(f"no answer within {TIMEOUT_SECONDS:g} s") from error
        except (aiohttp.ClientError, ConfigException, OSError, ValueError) as error:
            raise Unavailable(f"no answer: {str(error) or type(error).__name__}") from error

    @contextlib.asynccontextmanager
    async def stream(
        self, call: Endpoint, path: str, query: Mapping[str, str]
    ) -> AsyncIterator[Response | AsyncIterator[bytes]]:
        """Make one request whose answer is read as it comes; a failure is handed out whole.

        Raises:
            Unavailable: there was no answer, or it broke off.
        """
        try:
            headers: dict[str, str] = {}
            with self._observed(call.verb, call.resource) as answered:
                await self.authorize(headers)
                response = await self._client.rest_client.request(  # type: ignore[no-untyped-call]
                    call.method,
                    f"{self.configuration.host}{path}?{urlencode(query)}",
                    headers=headers | self._client.default_headers,
                    _request_timeout=aiohttp.ClientTimeout(sock_connect=TIMEOUT_SECONDS),
                )
                answered(response.status)
            async with response.response as found:
                yield found.content.iter_any() if found.ok else _read(found, await found.read())
        except TimeoutError as error:
            raise Unavailable(f"no answer within {TIMEOUT_SECONDS:g} s") from error
        except (aiohttp.ClientError, ConfigException, OSError, ValueError) as error:
            raise Unavailable(f"no answer: {str(error) or type(error).__name__}") from error

    def open_session(
        self, answered: Callable[[aiohttp.ClientResponse], None]
    ) -> aiohttp.ClientSession:
        """Open a session of its own for watches, which stay open: same trust, same credentials.

        `answered` is told of every answer as soon as it begins. A 401 or 403 is never handed on:
        while a token is being replaced, or a namespace with our role in it, the request waits and
        is made again.
        """

        async def identify(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            if self.configuration.tls_server_name:
                request.server_hostname = self.configuration.tls_server_name
            call = watcher_call(request.url.path, watching="watch" in request.url.query)
            while True:
                await self.authorize(request.headers)
                with self._observed(*call) as code:
                    response = await handler(request)
                    code(response.status)
                answered(response)
                if response.status == HTTPStatus.UNAUTHORIZED:
                    log.warning("the apiserver does not know our credentials; trying again")
                elif response.status != HTTPStatus.FORBIDDEN:
                    return response
                response.release()
                await asyncio.sleep(CREDENTIALS_PAUSE)

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self.ssl_context),
            headers={"User-Agent": f"{user_agent()} (watch)"},
            middlewares=(identify,),
            proxy=self.configuration.proxy,
        )

    @contextlib.contextmanager
    def _observed(self, verb: str, resource: str) -> Iterator[Callable[[int], None]]:
        """Tell of one request when it is over; the code is handed to what is yielded."""
        ticks = asyncio.get_running_loop().time
        began, codes = ticks(), [NO_ANSWER]
        try:
            yield lambda code: codes.append(str(code))
        finally:
            self.observe(verb, resource, codes[-1], ticks() - began)

    async def close(self) -> None:
        """End the connections and whatever keeps the credentials fresh."""
        if self._refresh is not None:
            self._refresh.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refresh
        await self._client.close()  # type: ignore[no-untyped-call]


def _read(response: aiohttp.ClientResponse, data: bytes) -> Response:
    """Read an answer; a success that is no JSON object (a proxy's page) raises ValueError."""
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        if response.ok:
            raise ValueError(f"HTTP {response.status} without a JSON object")
        body = {}
    return Response(response.status, body, response.headers.get("Retry-After"))


async def connect(
    kubeconfig: str | None, context: str | None, connections: int, program: str = CONTROLLER
) -> Connection:
    """Open the way to a cluster.

    Given a kubeconfig or a context, that one counts. Without, the Pod's own service account, and
    outside a Pod the kubeconfig that kubectl would use.

    Args:
        kubeconfig: path of a kubeconfig, or None.
        context: name of a context in it; None for its current one.
        connections: how many requests may be under way at once.
        program: the name that the apiserver is told.

    Raises:
        NoConfiguration: nothing usable was found; the text says what was looked for.
    """
    configuration = Configuration()
    configuration.connection_pool_maxsize = connections
    # A session that trusts the environment has a thread look for a .netrc at every request, which
    # is half of a request's CPU, and what it finds there collides with our token.
    configuration.client_session_kwargs = {"trust_env": False}
    if kubeconfig is None and context is None:
        # The token's file is read anew every minute: the kubelet rotates it.
        with contextlib.suppress(ConfigException):
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            configuration.proxy = _proxy_from_environment(configuration.host)
            return Connection(configuration, None, _own_namespace(), program)
    try:
        loader = await load_kube_config(  # type: ignore[no-untyped-call]
            kubeconfig, context, configuration, persist_config=False
        )
    except (ConfigException, YAMLError, OSError, ValueError, TypeError, AttributeError) as error:
        where = kubeconfig or "the default kubeconfig"
        why = " ".join(str(error).split())
        raise NoConfiguration(f"{where} cannot be used, and this is no Pod: {why}") from error
    configuration.proxy = configuration.proxy or _proxy_from_environment(configuration.host)
    chosen = mapping(mapping(loader.current_context).get("context"))
    fresh = _keep_fresh(loader, configuration)
    return Connection(configuration, fresh, text(chosen.get("namespace")), program)


def _own_namespace() -> str:
    """Return the namespace of the Pod that this runs in."""
    with contextlib.suppress(OSError):
        return (Path(SERVICE_TOKEN_FILENAME).parent / "namespace").read_text().strip()
    return ""


def _proxy_from_environment(server: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for a server."""
    parts = urlsplit(server)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def _keep_fresh(loader: KubeConfigLoader, into: Configuration) -> asyncio.Task[None] | None:
    """Renew a token that a plugin hands out; certificates and plain tokens need nothing."""
    user = loader._user or {}  # noqa: SLF001 - the loader offers no question to ask
    if loader.provider != "gcp" and "exec" not in user:
        return None
    renewal = refresh_token(loader, into)  # type: ignore[no-untyped-call]
    return asyncio.create_task(renewal, name="taskruns: credentials")
