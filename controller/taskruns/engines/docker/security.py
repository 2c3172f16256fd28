"""Who a container runs as, and what it may do: securityContext in Docker's words. Pure."""

from collections.abc import Mapping
from typing import Any

from taskruns.core.wire import mapping, text
from taskruns.engines.docker.unsupported import Unsupported

_KNOWN = frozenset(
    """allowPrivilegeEscalation capabilities privileged readOnlyRootFilesystem runAsGroup
    runAsNonRoot runAsUser seccompProfile""".split()  # noqa: SIM905 - names read best as words
)


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
    """Return Docker's SecurityOpt: its default seccomp profile unless told otherwise."""
    context = _context(spec, main)
    told = ["no-new-privileges"] if context.get("allowPrivilegeEscalation") is False else []
    profile = text(mapping(context.get("seccompProfile")).get("type"))
    return told + (["seccomp=unconfined"] if profile == "Unconfined" else [])


def _context(spec: Mapping[str, Any], main: Mapping[str, Any]) -> Mapping[str, Any]:
    """Lay the container's settings over the Pod's."""
    context = {**mapping(spec.get("securityContext")), **mapping(main.get("securityContext"))}
    for name in context:
        if name not in _KNOWN:
            raise Unsupported(f"securityContext.{name}")
    return context
