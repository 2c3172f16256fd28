"""The API requests that starting a cluster needs; all other requests use kubectl."""

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT = 5.0


@dataclass(frozen=True)
class Api:
    """Client of one API server with the certificate of one identity; it never uses a proxy."""

    server: str
    pki: Path
    identity: str = "admin"

    def get(self, path: str) -> bytes | None:
        """Return the body of a successful response, or None."""
        try:
            context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
            pair = (self.pki / f"{self.identity}.crt", self.pki / f"{self.identity}.key")
            context.load_cert_chain(*pair)
            return _get(self.server + path, context)
        except (OSError, urllib.error.URLError):
            return None

    def is_ready(self) -> bool:
        return self.get("/readyz") is not None

    def node_is_ready(self, name: str, since: str = "") -> bool:
        """Return whether the node reports that it is ready.

        Args:
            name: the node's name.
            since: RFC 3339 time of the oldest accepted heartbeat, because the condition of a node
                outlives a restart of its kubelet.
        """
        conditions = self._object(f"/api/v1/nodes/{name}").get("status", {}).get("conditions", [])
        ready: dict[str, str] = next((each for each in conditions if each["type"] == "Ready"), {})
        return ready.get("status") == "True" and ready["lastHeartbeatTime"] >= since

    def has_default_account(self) -> bool:
        """Return whether the default service account exists; no Pod is admitted before."""
        return bool(self._object("/api/v1/namespaces/default/serviceaccounts/default"))

    def _object(self, path: str) -> dict[str, Any]:
        body = self.get(path)
        content: dict[str, Any] = json.loads(body) if body else {}
        return content


def answers(url: str) -> bool:
    """Return whether a component's health endpoint on loopback reports success."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    try:
        _get(url, unverified)
    except (OSError, urllib.error.URLError):
        return False
    return True


def _get(url: str, context: ssl.SSLContext) -> bytes:
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    opener = urllib.request.build_opener(*handlers)
    with opener.open(url, timeout=TIMEOUT) as answer:
        body: bytes = answer.read()
        return body
