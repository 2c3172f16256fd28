"""Logins of the docker command: its configuration, credential helpers and DOCKER_AUTH_CONFIG.

The rules are those of docker/cli (cli/config): the helper of `credHelpers` for a registry, else
that of `credsStore`, else `auths`, where a key may also be a URL of the registry. An entry of
DOCKER_AUTH_CONFIG comes before all of these.
"""

import asyncio
import base64
import binascii
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskruns.core.unstructured import mapping, text

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
