"""Connection to one apiserver: configuration, renewal of credentials, and single requests.

Requests are not retried here, except for rejected watches (see `open_session`). The caller decides
about retries.
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
"""Timeout of a request, in seconds; includes connecting and waiting for a free connection."""

CREDENTIALS_PAUSE = 5.0
"""Delay before a watch that got 401 or 403 is retried with the current credentials, in seconds."""


JSON = "application/json"
_METADATA = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"

Observer = Callable[[str, str, str, float], None]
"""Callback for an ended request: RBAC verb, resource, HTTP code or NO_ANSWER, seconds taken."""

NO_ANSWER = "<error>"
"""Value instead of a code if there was no response; the same as in client-go's metrics."""

log = logging.getLogger(__name__)


class NoConfiguration(Exception):
    """There is no usable kubeconfig, and the process does not run in a Pod."""


def release() -> str:
    """Return the version of the installed distribution, or `unknown`."""
    try:
        return version("taskruns")
    except PackageNotFoundError:
        return "unknown"


CONTROLLER = "taskruns-controller"


def user_agent(program: str = CONTROLLER) -> str:
    """Return the User-Agent header of a program, which appears in the apiserver's audit log."""
    return f"{program}/{release()}"


class Connection:
    """Sends requests to one apiserver. Its creator must close it."""

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
        """Namespace of the context, or of the Pod that this process runs in."""
        self._refresh = refresh
        self.configuration = configuration
        self.observe: Observer = lambda *_: None
        """Callback for every request, including those of watches; it must return at once."""

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """TLS context with trusted and client certificates, for use by other sessions."""
        context: ssl.SSLContext = self._client.rest_client.ssl_context
        return context

    async def authorize(self, headers: MutableMapping[str, str]) -> None:
        """Set the Authorization header to the current credentials, because tokens are rotated."""
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
        """Send one request and return its response, also if it is an error.

        Raises:
            Unavailable: there was no response.
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
        """Send one request; yield the body of a success as a stream, or a complete error response.

        Raises:
            Unavailable: there was no response, or it was interrupted.
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
            async with response.response as live:
                yield live.content.iter_any() if live.ok else _read(live, await live.read())
        except TimeoutError as error:
            raise Unavailable(f"no answer within {TIMEOUT_SECONDS:g} s") from error
        except (aiohttp.ClientError, ConfigException, OSError, ValueError) as error:
            raise Unavailable(f"no answer: {str(error) or type(error).__name__}") from error

    def open_session(
        self, answered: Callable[[aiohttp.ClientResponse], None]
    ) -> aiohttp.ClientSession:
        """Open a separate session for watches, with the same certificates and credentials.

        The session does not return a 401 or 403. It repeats the request every CREDENTIALS_PAUSE
        seconds, because both are temporary while a token is replaced, or a namespace with our role.

        Args:
            answered: called with every response as soon as it begins.
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
                    log.warning("the apiserver rejected the credentials (401); retrying")
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
        """Report the request in the block to `observe` when it ends; yield a setter of its code."""
        ticks = asyncio.get_running_loop().time
        began, codes = ticks(), [NO_ANSWER]
        try:
            yield lambda code: codes.append(str(code))
        finally:
            self.observe(verb, resource, codes[-1], ticks() - began)

    async def close(self) -> None:
        """Close the connections and stop the renewal of credentials."""
        if self._refresh is not None:
            self._refresh.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refresh
        await self._client.close()  # type: ignore[no-untyped-call]


def _read(response: aiohttp.ClientResponse, data: bytes) -> Response:
    """Parse a response.

    Raises:
        ValueError: a successful response is not a JSON object, for example a proxy's page.
    """
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
    """Open a connection to a cluster.

    A kubeconfig or a context that is passed is used. Without either, the Pod's own service account
    is used, and outside a Pod the kubeconfig that kubectl would use.

    Args:
        kubeconfig: path of a kubeconfig, or None.
        context: name of a context in it; None for its current one.
        connections: maximum number of concurrent requests.
        program: name of the program in the User-Agent header.

    Raises:
        NoConfiguration: there is no usable configuration; the message names its source.
    """
    configuration = Configuration()
    configuration.connection_pool_maxsize = connections
    # With trust_env a thread looks for a .netrc file at every request. That takes half of a
    # request's CPU time, and credentials in that file conflict with our token.
    configuration.client_session_kwargs = {"trust_env": False}
    if kubeconfig is None and context is None:
        # The client reads the token file again every minute, because the kubelet rotates it.
        with contextlib.suppress(ConfigException):
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            configuration.proxy = _proxy_from_environment(configuration.host)
            return Connection(configuration, None, _own_namespace(), program)
    try:
        loader = await load_kube_config(  # type: ignore[no-untyped-call]
            kubeconfig, context, configuration, persist_config=False
        )
    except (ConfigException, YAMLError, OSError, ValueError, TypeError, AttributeError) as error:
        raise _no_configuration(kubeconfig, error) from error
    configuration.proxy = configuration.proxy or _proxy_from_environment(configuration.host)
    chosen = mapping(mapping(loader.current_context).get("context"))
    fresh = _keep_fresh(loader, configuration)
    return Connection(configuration, fresh, text(chosen.get("namespace")), program)


def _no_configuration(kubeconfig: str | None, error: Exception) -> NoConfiguration:
    where = kubeconfig or "the default kubeconfig"
    why = " ".join(str(error).split())
    return NoConfiguration(f"{where} cannot be used, and there is no service account: {why}")


def _own_namespace() -> str:
    """Return the namespace of the Pod that this process runs in, or an empty string."""
    with contextlib.suppress(OSError):
        return (Path(SERVICE_TOKEN_FILENAME).parent / "namespace").read_text().strip()
    return ""


def _proxy_from_environment(server: str) -> str | None:
    """Return the proxy for a server according to HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or None."""
    parts = urlsplit(server)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def _keep_fresh(loader: KubeConfigLoader, into: Configuration) -> asyncio.Task[None] | None:
    """Start a task that renews a plugin's token; return None if the credentials need no renewal."""
    user = loader._user or {}  # noqa: SLF001 - the loader has no public attribute for it
    if loader.provider != "gcp" and "exec" not in user:
        return None
    renewal = refresh_token(loader, into)  # type: ignore[no-untyped-call]
    return asyncio.create_task(renewal, name="taskruns: credentials")
