"""Image pulls: credentials from the docker command's configuration, policy, and progress."""

import asyncio
import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from taskruns.core.unstructured import mapping, number, text

HUB_KEY = "https://index.docker.io/v1/"
"""Under which the docker command keeps the credentials of its default registry."""
_HUB_HOSTS = ("index.docker.io", "docker.io", "registry-1.docker.io")
"""Further keys for these that other tools write."""
_TOKEN_USER = "<token>"  # noqa: S105 - a name that helpers use, no password
_VARIABLE = "DOCKER_AUTH_CONFIG"
_NOT_FOUND = "credentials not found"
"""A helper's words where it has none."""
_HELPER_SECONDS = 60.0

Auth = dict[str, Any]


async def find_auth(key: str) -> tuple[Auth | None, str]:
    """Return the credentials for a registry, or None, and what went wrong, or an empty string.

    Args:
        key: the registry's host, with its port, or HUB_KEY.
    """
    given, trouble_given = _read(_VARIABLE, os.environ.get(_VARIABLE) or "{}")
    if auth := _look_up(given, key):
        return auth, ""
    config, trouble = _read_file()
    stored = _look_up(config, key)
    helper = _helper_for(config, key)
    if helper:
        asked, trouble = await _ask(helper, key)
        stored = stored if trouble else asked
    return stored, "; ".join(filter(None, (trouble_given, trouble)))


def _helper_for(config: Mapping[str, Any], key: str) -> str:
    """Return the credential helper for a registry; one that is named as empty turns others off."""
    helpers = mapping(config.get("credHelpers"))
    for name in (key, *(_HUB_HOSTS if key == HUB_KEY else ())):
        if name in helpers:
            return text(helpers[name])
    return text(config.get("credsStore"))


def _look_up(config: Mapping[str, Any], key: str) -> Auth | None:
    """Find a registry in `auths`: by its key or, where that is not there, by the host of a key."""
    auths = mapping(config.get("auths"))
    if key in auths:
        return _auth_of(auths[key])
    hosts = _HUB_HOSTS if key == HUB_KEY else (key,)
    found = sorted((hosts.index(host), len(name), name) for name in auths
                   if (host := host_of(name)) in hosts)  # fmt: skip
    for _, _, name in found:
        if auth := _auth_of(auths[name]):
            return auth
    return None


def host_of(key: str) -> str:
    """Return the host, with its port, of a key of `auths`, which may be a URL."""
    _, scheme, rest = key.partition("://")
    return (rest if scheme else key).partition("/")[0].rpartition("@")[2]


def _auth_of(entry: object) -> Auth | None:
    """Return the credentials of an entry of `auths`; None where it has none."""
    known = mapping(entry)
    names = ("username", "password", "identitytoken", "registrytoken")
    auth: Auth = {name: text(known.get(name)) for name in names if known.get(name)}
    try:
        plain = base64.b64decode(text(known.get("auth"))).decode()
    except (binascii.Error, ValueError):
        plain = ""
    user, _, password = plain.partition(":")
    if user:
        auth |= {"username": user, "password": password.strip("\0")}
    return auth or None


def _read_file() -> tuple[Mapping[str, Any], str]:
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    path = folder / "config.json"
    try:
        return _read(str(path), path.read_text())
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError) as error:
        return {}, f"{path} cannot be read ({error})"


def _read(name: str, content: str) -> tuple[Mapping[str, Any], str]:
    try:
        found = json.loads(content or "{}")
    except ValueError as error:
        return {}, f"{name} is not JSON ({error})"
    if not isinstance(found, dict):
        return {}, f"{name} is not a JSON object"
    return found, ""


async def _ask(helper: str, key: str) -> tuple[Auth | None, str]:
    """Ask a credential helper; return the credentials, or None, and what went wrong."""
    program = f"docker-credential-{helper}"
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "get",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except (OSError, ValueError) as error:
        return None, f"{program} cannot be run ({error})"
    try:
        async with asyncio.timeout(_HELPER_SECONDS):
            out, _ = await process.communicate(key.encode())
    except TimeoutError:
        return None, f"{program} did not answer within {_HELPER_SECONDS:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
    return _answer_of(program, process.returncode or 0, out.decode(errors="replace"))


def _answer_of(program: str, code: int, out: str) -> tuple[Auth | None, str]:
    if code and out.strip().startswith(_NOT_FOUND):
        return None, ""
    if code:
        return None, f"{program} failed with exit code {code}"
    found, trouble = _read(f"the output of {program}", out)
    if trouble or not found:
        return None, trouble or f"{program} returned nothing"
    user, secret = text(found.get("Username")), text(found.get("Secret"))
    if user == _TOKEN_USER:
        return {"identitytoken": secret}, ""
    return {"username": user, "password": secret}, ""


_HUB = "docker.io"
_HUB_NAMES = (_HUB, "index.docker.io")
"""Names of the default registry in an image's name."""

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
    trouble: str = ""
    """Why credentials that are configured could not be had."""


async def credentials_for(image: str) -> PullRequest:
    """Find the credentials for an image; none are needed for what everybody may pull."""
    registry, image = _with_registry(image)
    auth, trouble = await find_auth(HUB_KEY if registry == _HUB else registry)
    return PullRequest(image, auth, trouble)


def explained(image: str, said: str) -> str:
    """Say of a pull's failure what to do, where a registry does not know who pulls."""
    if not _OF_STRANGERS.search(said):
        return said
    registry, _ = _with_registry(image)
    login = "docker login" if registry == _HUB else f"docker login {registry}"
    return f"{image} may not be pulled ({said}): log in with `{login}`, as the user who runs this"


def _with_registry(image: str) -> tuple[str, str]:
    """Split off an image's registry: the first part that looks like a host, else the default."""
    first, slash, rest = image.partition("/")
    if slash and first in _HUB_NAMES:
        return _HUB, f"{_HUB}/{rest if '/' in rest else 'library/' + rest}"
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, image
    return _HUB, f"{_HUB}/{image if slash else 'library/' + image}"


_HERE = ("Download complete", "Verifying Checksum", "Extracting", "Pull complete")


def pull_policy(image: str) -> str:
    """Return the imagePullPolicy of an image that has none, as the apiserver defaults it.

    It is Always for the tag latest, or for none, and otherwise IfNotPresent; so it is for an image
    that is named by its digest or its ID.
    """
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    is_id = re.fullmatch("[0-9a-f]{64}", image) is not None
    return "Always" if tag == "latest" or not (tag or "@" in image or is_id) else "IfNotPresent"


class Pull:
    """One pull; its text is what a person who waits for it may read."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._layers: dict[str, tuple[int, int]] = {}
        self._percent = 0

    def note(self, told: Mapping[str, Any]) -> None:
        """Take notice of what the daemon tells of a layer."""
        layer, status = text(told.get("id")), text(told.get("status"))
        detail = mapping(told.get("progressDetail"))
        total = number(detail.get("total"))
        if status == "Downloading" and total:
            self._layers[layer] = (number(detail.get("current")) or 0, total)
        elif status in _HERE and layer in self._layers:
            self._layers[layer] = (self._layers[layer][1],) * 2
        if self._layers:
            here, whole = (sum(part) for part in zip(*self._layers.values(), strict=True))
            self._percent = max(self._percent, here * 100 // whole)  # more may come to be known

    @override
    def __str__(self) -> str:
        return f"pulling {self._image}" + (f": {self._percent} %" if self._layers else "")
