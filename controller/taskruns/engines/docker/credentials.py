"""An image's registry, and the credentials to pull from it."""

import re
from dataclasses import dataclass
from typing import Any

from taskruns.engines.docker.login import HUB_KEY, find_auth

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
