"""Credentials for registries, from where the docker command keeps its own."""

import asyncio
import base64
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskruns.core.wire import mapping, text

_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
"""Under which the docker command keeps the credentials of its default registry."""
_TOKEN_USER = "<token>"  # noqa: S105 - a name that helpers use, no password

_OF_STRANGERS = re.compile(
    "unauthorized|no basic auth credentials|authentication required|(?<!permission )denied",
    re.IGNORECASE,
)
"""What daemons say where a registry does not know who pulls."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What to pull, with its registry's name, and as whom."""

    image: str
    auth: dict[str, Any] | None


async def credentials_for(image: str) -> PullRequest:
    """Find the credentials for an image; none are needed for what everybody may pull."""
    registry, image = _with_registry(image)
    auth = await _find(_HUB_KEY if registry == _HUB else registry)
    return PullRequest(image, auth)


def explained(image: str, said: str) -> str:
    """Say of a pull's failure what to do, where a registry does not know who pulls."""
    if not _OF_STRANGERS.search(said):
        return said
    registry, _ = _with_registry(image)
    login = "docker login" if registry == _HUB else f"docker login {registry}"
    return f"{image} may not be pulled ({said}): log in with `{login}`, as the user who runs this"


def _with_registry(image: str) -> tuple[str, str]:
    """Split off an image's registry: the first part that looks like a host, else the default."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, image
    return _HUB, f"{_HUB}/{image if slash else 'library/' + image}"


async def _find(key: str) -> dict[str, Any] | None:
    config = _read_config()
    helper = text(mapping(config.get("credHelpers")).get(key)) or text(config.get("credsStore"))
    if helper:
        return await _ask(helper, key)
    auth = text(mapping(mapping(config.get("auths")).get(key)).get("auth"))
    return _decode(auth) if auth else None


def _read_config() -> dict[str, Any]:
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        found = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _decode(auth: str) -> dict[str, Any] | None:
    try:
        user, _, password = base64.b64decode(auth).decode().partition(":")
    except ValueError:
        return None
    return {"username": user, "password": password}


async def _ask(helper: str, key: str) -> dict[str, Any] | None:
    """Ask a credential helper; one that is not there, or knows nothing, hands out nothing."""
    try:
        process = await asyncio.create_subprocess_exec(
            f"docker-credential-{helper}",
            "get",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    out, _ = await process.communicate(key.encode())
    if process.returncode:
        return None
    found = mapping(json.loads(out))
    if found.get("Username") == _TOKEN_USER:
        return {"identitytoken": text(found.get("Secret"))}
    return {"username": text(found.get("Username")), "password": text(found.get("Secret"))}
