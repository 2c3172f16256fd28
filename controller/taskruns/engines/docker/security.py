"""Who a container runs as, and what it may do: securityContext in Docker's words. Pure."""

from collections.abc import Mapping
from typing import Any

from taskruns.core.unstructured import mapping, text
from taskruns.engines.docker.unsupported import Unsupported


def user_of(spec: Mapping[str, Any], main: Mapping[str, Any]) -> str:
    """Return the user, and group, to run as; empty: the image's.

    Raises:
        Unsupported: a setting that Docker does not have, or a group without its user.
    """
    context = _context(spec, main)
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if context.get("runAsNonRoot") is True and not user:
        raise Unsupported(
            "securityContext.runAsNonRoot without runAsUser",
            "say which user with runAsUser, other than 0",
        )
    if user is None and group is not None:
        raise Unsupported("securityContext.runAsGroup without runAsUser", "say the user, too")
    return ":".join(str(part) for part in (user, group) if part is not None)


def security_options(spec: Mapping[str, Any], main: Mapping[str, Any]) -> list[str]:
    """Return Docker's SecurityOpt: its default profiles where none is named."""
    context = _context(spec, main)
    profiles = {"seccomp": "seccompProfile", "apparmor": "appArmorProfile"}
    unconfined = [
        f"{option}=unconfined"
        for option, name in profiles.items()
        if text(mapping(context.get(name)).get("type")) == "Unconfined"
    ]
    no_more = context.get("allowPrivilegeEscalation") is False
    return [*(["no-new-privileges"] if no_more else []), *unconfined]


def _context(spec: Mapping[str, Any], main: Mapping[str, Any]) -> Mapping[str, Any]:
    """Lay the container's settings over the Pod's."""
    return {**mapping(spec.get("securityContext")), **mapping(main.get("securityContext"))}
