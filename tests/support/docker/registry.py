"""An image registry with one user account: the pull side of the distribution API, on loopback.

It has one image, from a docker-archive, and serves it under every name.
"""

import base64
import gzip
import hashlib
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import override

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Account(NamedTuple):
    """The account that may pull."""

    user: str
    password: str

    @property
    def auth(self) -> str:
        """The credentials as the docker command stores them."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@contextmanager
def serving(archive: Path, account: Account) -> Iterator[str]:
    """Serve an image while the block runs; yield the registry's host and port."""

    class Handler(_Handler):
        blobs, manifest = _content(archive)
        authorization = f"Basic {account.auth}"

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    blobs: dict[str, bytes]
    manifest: bytes
    authorization: str

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        path, _, last = self.path.removeprefix("/v2/").rpartition("/")
        if self.headers.get("Authorization") != self.authorization:
            challenge = {"WWW-Authenticate": 'Basic realm="registry"'}
            errors = [{"code": "UNAUTHORIZED", "message": "authentication required"}]
            self._answer(HTTPStatus.UNAUTHORIZED, json.dumps({"errors": errors}), **challenge)
        elif not last:
            self._answer(HTTPStatus.OK, "{}")
        elif path.endswith("/manifests"):
            digest = {"Docker-Content-Digest": _digest(self.manifest)}
            self._answer(HTTPStatus.OK, self.manifest, _MANIFEST, **digest)
        elif last in self.blobs:
            self._answer(HTTPStatus.OK, self.blobs[last], "application/octet-stream")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "{}")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(
        self, code: int, body: bytes | str, kind: str = "application/json", **headers: str
    ) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(code)
        known = {"Content-Type": kind, "Content-Length": str(len(content))}
        for name, value in (known | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _content(archive: Path) -> tuple[dict[str, bytes], bytes]:
    """Return the blobs of an archive's image, by digest, and the manifest that names them."""
    with tarfile.open(archive) as tar:

        def read(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        listed = json.loads(read("manifest.json"))[0]
        config = read(listed["Config"])
        layers = [gzip.compress(read(name), 1, mtime=0) for name in listed["Layers"]]
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _described(config, _CONFIG),
        "layers": [_described(layer, _LAYER) for layer in layers],
    }
    return {_digest(blob): blob for blob in (config, *layers)}, json.dumps(manifest).encode()


def _described(blob: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(blob), "digest": _digest(blob)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
