"""Where a Docker daemon is, and how it and its client know each other."""

import os
import ssl
from dataclasses import dataclass, replace
from pathlib import Path

_PLAIN = ("tcp://", "http://")
_SECURE = "https://"
_OVER_TCP = (*_PLAIN, _SECURE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A daemon's URL; for one behind TLS, with the files (PEM) that the two know each other by.

    What is None is found as the docker command finds it: the URL in DOCKER_HOST or the current
    context and, where DOCKER_TLS_VERIFY is set, the files in DOCKER_CERT_PATH or ~/.docker.
    """

    url: str | None = None
    """Such as unix:///run/docker.sock or tcp://host:2376."""
    ca_cert: str | None = None
    """The authority that has signed the daemon's certificate; naming it means TLS."""
    client_cert: str | None = None
    client_key: str | None = None
    check_hostname: bool = True
    """Whether the daemon's certificate must be for the host in `url`."""

    def found(self) -> "Endpoint":
        """Return it with what the environment says of what it does not say itself."""
        found = replace(self, url=self.url or os.environ.get("DOCKER_HOST") or None)
        with_tls = os.environ.get("DOCKER_TLS_VERIFY") and (found.url or "").startswith(_OVER_TCP)
        if not with_tls or found.ca_cert is not None:
            return found
        folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
        ca_cert, cert, key = (folder / f"{name}.pem" for name in ("ca", "cert", "key"))
        if cert.exists():
            found = replace(found, client_cert=str(cert), client_key=str(key))
        return replace(found, ca_cert=str(ca_cert))

    @property
    def address(self) -> str | None:
        """The URL to open; that of a daemon behind TLS says so."""
        plain = next((each for each in _PLAIN if (self.url or "").startswith(each)), None)
        if self.url is None or plain is None or self.ca_cert is None:
            return self.url
        return _SECURE + self.url.removeprefix(plain)

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return what TLS is made with; None where there is none, or it is the context's.

        Raises:
            ssl.SSLError: a file is not what it should be.
            OSError: a file cannot be read.
        """
        if self.ca_cert is None:
            return None
        context = ssl.create_default_context(cafile=Path(self.ca_cert))
        context.check_hostname = self.check_hostname
        if self.client_cert is not None:
            context.load_cert_chain(self.client_cert, self.client_key)
        return context
