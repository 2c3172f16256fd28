"""A thin Kubernetes client for tests: plain JSON objects, and the server's own error messages.

It uses no model of the product, so a test reads the real content of the cluster.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes import config
from kubernetes.client.exceptions import ApiException

from taskruns.api import names

Object = dict[str, Any]

_SECONDS_PER_REQUEST = 30
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, by its path below the apiserver's root."""

    group_path: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        scope = ("namespaces", namespace) if self.namespaced and namespace else ()
        parts = (self.group_path, *scope, self.plural, name, subresource)
        return "/".join(part for part in parts if part)


RUNS = Resource(f"/apis/{names.GROUP}/{names.VERSION}", names.PLURAL)
PODS = Resource("/api/v1", "pods")
EVENTS = Resource("/api/v1", "events")
NAMESPACES = Resource("/api/v1", "namespaces", namespaced=False)
DEFINITIONS = Resource(
    "/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False
)


class Refused(Exception):
    """The apiserver responded with an error; the message is its own."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(f"{status}: {sentence}")
        self.status = status
        self.sentence = sentence


class Kube:
    """Requests to one apiserver, safe to use from several threads."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self._client.rest_client.close()

    def minor(self) -> int:
        """Return the minor version of Kubernetes, such as 36."""
        return int(str(self._request("GET", "/version")["minor"]).rstrip("+"))

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        try:
            return self._request("GET", resource.path(namespace, name))
        except Refused as refused:
            if refused.status == _NOT_FOUND:
                return None
            raise

    def list(
        self, resource: Resource, namespace: str | None = None, labels: str = ""
    ) -> list[Object]:
        items: list[Object] = self.page(resource, namespace, labels)["items"]
        return items

    def page(self, resource: Resource, namespace: str | None = None, labels: str = "") -> Object:
        """List objects, with the resourceVersion from which a watch continues."""
        return self._request("GET", resource.path(namespace), {"labelSelector": labels})

    def create(
        self, resource: Resource, namespace: str | None, manifest: Mapping[str, Any]
    ) -> Object:
        query = {"fieldValidation": "Strict"}
        return self._request("POST", resource.path(namespace), query, dict(manifest))

    def merge(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        subresource: str = "",
    ) -> Object:
        return self._request("PATCH", resource.path(namespace, name, subresource), {}, dict(patch))

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Request an object's deletion; succeed if it does not exist."""
        try:
            self._request("DELETE", resource.path(namespace, name), {}, dict(options or {}))
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise

    def evict(self, namespace: str, pod: str) -> None:
        """Evict a Pod as `kubectl drain` does."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        self._request("POST", PODS.path(namespace, pod, "eviction"), {}, eviction)

    def bind(self, namespace: str, pod: str, node: str) -> None:
        """Bind a Pod to a node as a scheduler does, without a check whether it fits."""
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}}
        self._request(
            "POST", PODS.path(namespace, pod, "binding"), {}, binding | {"target": target}
        )

    def log(self, namespace: str, pod: str, container: str = "main") -> str:
        path = PODS.path(namespace, pod, "log")
        body: bytes = self._send("GET", path, {"container": container}).read()
        return body.decode(errors="replace")

    def watch(self, resource: Resource, version: str) -> "Watch":
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "3600"}
        return Watch(self._send("GET", resource.path(None), query, seconds=None).response)

    def code(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
    ) -> int:
        """Return the HTTP status code of any request; the body is discarded."""
        try:
            answer = self._send(method, path, query or {}, body).response
        except Refused as refused:
            return refused.status
        answer.close()
        return int(answer.status)

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
    ) -> Object:
        answer: Object = json.loads(self._send(method, path, query or {}, body).read())
        return answer

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None = None,
        seconds: float | None = _SECONDS_PER_REQUEST,
    ) -> Any:
        url = f"{self._client.configuration.host}{path}?{urlencode(query)}"
        kind = "merge-patch+json" if method == "PATCH" else "json"
        headers = {"Accept": "application/json", "Content-Type": f"application/{kind}"}
        for proof in self._client.configuration.auth_settings().values():
            headers[proof["key"]] = proof["value"]
        try:
            answer = self._client.call_api(
                method, url, headers, body=body, _request_timeout=seconds
            )
        except ApiException as error:
            raise Refused(error.status or 0, _sentence(error.body)) from error
        if answer.status >= 400:
            raise Refused(answer.status, _sentence(answer.read()))
        return answer


def events_about(kube: Kube, namespace: str, uid: str) -> list[Object]:
    """Return the Events about one object, oldest first, with the name as a tie-breaker."""
    events = [each for each in kube.list(EVENTS, namespace) if each["involvedObject"]["uid"] == uid]
    return sorted(events, key=lambda each: (each["firstTimestamp"], each["metadata"]["name"]))


class Watch:
    """The changes after a resourceVersion, as they arrive; `stop` ends it from another thread."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        for line in self._response:
            event = json.loads(line)
            yield event["type"], event["object"]

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has already ended
            self._response.shutdown()


def _sentence(body: Any) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
