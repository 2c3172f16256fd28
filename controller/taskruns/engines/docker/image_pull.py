"""Image pulls: credentials of the docker command, default pull policy, and progress."""

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
"""Key under which the docker command stores the credentials of its default registry."""
_HUB_HOSTS = ("index.docker.io", "docker.io", "registry-1.docker.io")
"""Keys that other tools write for the default registry."""
_TOKEN_USER = "<token>"  # noqa: S105 - user name that helpers return, no password
_VARIABLE = "DOCKER_AUTH_CONFIG"
_NOT_FOUND = "credentials not found"
"""Start of the output of a credential helper that has no credentials."""
_HELPER_SECONDS = 60.0

Auth = dict[str, Any]


async def find_auth(key: str) -> tuple[Auth | None, str]:
    """Find the credentials for a registry in the docker command's configuration.

    Args:
        key: Host of the registry, with its port, or HUB_KEY.

    Returns:
        The credentials or None, and an error message or "".
    """
    variable, variable_problem = _read(_VARIABLE, os.environ.get(_VARIABLE) or "{}")
    if auth := _look_up(variable, key):
        return auth, ""
    config, problem = _read_file()
    stored = _look_up(config, key)
    helper = _helper_for(config, key)
    if helper:
        from_helper, problem = await _run_helper(helper, key)
        stored = stored if problem else from_helper
    return stored, "; ".join(filter(None, (variable_problem, problem)))


def _helper_for(config: Mapping[str, Any], key: str) -> str:
    """Return the credential helper for a registry, or "".

    An empty name in `credHelpers` disables `credsStore` for that registry.
    """
    helpers = mapping(config.get("credHelpers"))
    for name in (key, *(_HUB_HOSTS if key == HUB_KEY else ())):
        if name in helpers:
            return text(helpers[name])
    return text(config.get("credsStore"))


def _look_up(config: Mapping[str, Any], key: str) -> Auth | None:
    """Return the credentials of a registry in `auths`, matched by key, otherwise by host."""
    auths = mapping(config.get("auths"))
    if key in auths:
        return _auth_of(auths[key])
    hosts = _HUB_HOSTS if key == HUB_KEY else (key,)
    matches = sorted((hosts.index(host), len(name), name) for name in auths
                   if (host := host_of(name)) in hosts)  # fmt: skip
    for _, _, name in matches:
        if auth := _auth_of(auths[name]):
            return auth
    return None


def host_of(key: str) -> str:
    """Return the host, with its port, of a key in `auths`; the key may be a URL."""
    _, scheme, rest = key.partition("://")
    return (rest if scheme else key).partition("/")[0].rpartition("@")[2]


def _auth_of(entry: object) -> Auth | None:
    """Return the credentials in an entry of `auths`, or None."""
    fields = mapping(entry)
    names = ("username", "password", "identitytoken", "registrytoken")
    auth: Auth = {name: text(fields.get(name)) for name in names if fields.get(name)}
    try:
        plain = base64.b64decode(text(fields.get("auth"))).decode()
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
        parsed = json.loads(content or "{}")
    except ValueError as error:
        return {}, f"{name} is not JSON ({error})"
    if not isinstance(parsed, dict):
        return {}, f"{name} is not a JSON object"
    return parsed, ""


async def _run_helper(helper: str, key: str) -> tuple[Auth | None, str]:
    """Run a credential helper; return its credentials or None, and an error message or ""."""
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
    response, problem = _read(f"the output of {program}", out)
    if problem or not response:
        return None, problem or f"{program} returned nothing"
    user, secret = text(response.get("Username")), text(response.get("Secret"))
    if user == _TOKEN_USER:
        return {"identitytoken": secret}, ""
    return {"username": user, "password": secret}, ""


_HUB = "docker.io"
_HUB_NAMES = (_HUB, "index.docker.io")
"""Names of the default registry in image names."""

_DENIED = re.compile(
    "unauthorized|no basic auth credentials|authentication required|(?<!permission )denied",
    re.IGNORECASE,
)
"""Pattern of daemon errors that mean missing or insufficient registry credentials."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """Full image name, including the registry, and the credentials for its pull."""

    image: str
    auth: dict[str, Any] | None
    problem: str = ""
    """Error message if configured credentials could not be read, or ""."""


async def credentials_for(image: str) -> PullRequest:
    """Return the pull request of an image, with credentials if any are configured."""
    registry, image = _with_registry(image)
    auth, problem = await find_auth(HUB_KEY if registry == _HUB else registry)
    return PullRequest(image, auth, problem)


def with_login_advice(image: str, message: str) -> str:
    """Return a pull error, with advice to log in if credentials are missing or insufficient."""
    if not _DENIED.search(message):
        return message
    registry, _ = _with_registry(image)
    login = "docker login" if registry == _HUB else f"docker login {registry}"
    return (
        f"no permission to pull {image} ({message}): log in with `{login}`, as the user who runs "
        "this"
    )


def _with_registry(image: str) -> tuple[str, str]:
    """Return the registry of an image and its full name.

    The registry is the first part of the name if it looks like a host, otherwise the default.
    """
    first, slash, rest = image.partition("/")
    if slash and first in _HUB_NAMES:
        return _HUB, f"{_HUB}/{rest if '/' in rest else 'library/' + rest}"
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, image
    return _HUB, f"{_HUB}/{image if slash else 'library/' + image}"


_DOWNLOADED = ("Download complete", "Verifying Checksum", "Extracting", "Pull complete")


def pull_policy(image: str) -> str:
    """Return the imagePullPolicy of an image that has none, as the apiserver defaults it.

    It is Always for the tag `latest` and for an image without a tag. It is IfNotPresent for other
    tags and for an image that is named by its digest or ID.
    """
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    is_id = re.fullmatch("[0-9a-f]{64}", image) is not None
    return "Always" if tag == "latest" or not (tag or "@" in image or is_id) else "IfNotPresent"


class Pull:
    """Progress of one image pull; `str()` returns it as text for users."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._layers: dict[str, tuple[int, int]] = {}
        self._percent = 0

    def note(self, message: Mapping[str, Any]) -> None:
        """Update the progress from a message of the daemon about a layer."""
        layer, status = text(message.get("id")), text(message.get("status"))
        detail = mapping(message.get("progressDetail"))
        total = number(detail.get("total"))
        if status == "Downloading" and total:
            self._layers[layer] = (number(detail.get("current")) or 0, total)
        elif status in _DOWNLOADED and layer in self._layers:
            self._layers[layer] = (self._layers[layer][1],) * 2
        if self._layers:
            loaded, expected = (sum(part) for part in zip(*self._layers.values(), strict=True))
            self._percent = max(
                self._percent, loaded * 100 // expected
            )  # the total grows as layers become known

    @override
    def __str__(self) -> str:
        return f"pulling {self._image}" + (f": {self._percent} %" if self._layers else "")
