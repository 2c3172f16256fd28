"""The few questions that starting a cluster asks its API; everything else goes through kubectl."""

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
    """A server as one of its certificate's identities sees it; never through a proxy."""

    server: str
    pki: Path
    identity: str = "admin"

    def get(self, path: str) -> bytes | None:
        """Return the answer's body, or nothing where there is no good answer yet."""
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
        """Whether the node says so, and said so after that time: a restart leaves an old word."""
        conditions = self._object(f"/api/v1/nodes/{name}").get("status", {}).get("conditions", [])
        ready: dict[str, str] = next((each for each in conditions if each["type"] == "Ready"), {})
        return ready.get("status") == "True" and ready["lastHeartbeatTime"] >= since

    def has_default_account(self) -> bool:
        """Before the first service account is there, no Pod is admitted."""
        return bool(self._object("/api/v1/namespaces/default/serviceaccounts/default"))

    def _object(self, path: str) -> dict[str, Any]:
        body = self.get(path)
        found: dict[str, Any] = json.loads(body) if body else {}
        return found


def answers(url: str) -> bool:
    """Whether a component's health page on loopback says that it is well."""
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
