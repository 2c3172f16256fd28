"""Pod status as a kubelet would report it, and status messages in the terms of Docker users. Pure.

The decisions write advice for Docker themselves; their messages about a Pod are translated here.
The output of a task within a message is not changed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1.status import join_output, split_output
from taskruns.core.unstructured import Draft, mapping, moment, number, stamp, text
from taskruns.engines.docker.container import main_container

_ENDED = ("exited", "dead")
_EPOCH = "1970-01-01T00:00:00Z"
"""Start time that a kubelet reports for a container that could not be started."""
_KILLED = 137
_NO_PROGRAM = 128
"""Exit code that a kubelet reports for a container that could not be started."""


@dataclass(frozen=True, slots=True)
class StartError:
    """Cause that prevents a container's creation: the kubelet's reason and the daemon's message."""

    reason: str
    message: str


def is_running(container: Mapping[str, Any]) -> bool:
    """Return whether the container is running; a paused one counts as running."""
    return _state(container) in ("running", "paused", "restarting")


def has_ended(container: Mapping[str, Any]) -> bool:
    """Return whether the container has started and ended."""
    return _state(container) in _ENDED


def start_error(container: Mapping[str, Any]) -> str:
    """Return the daemon's error if the container could not be started, or ""."""
    state = mapping(container.get("State"))
    return text(state.get("Error")) if _state(container) == "created" else ""


def killed_at(container: Mapping[str, Any]) -> datetime | None:
    """Return when the container ended with exit code 137 and no OOM report, or None."""
    state = mapping(container.get("State"))
    killed = state.get("ExitCode") == _KILLED and state.get("OOMKilled") is not True
    return moment(state.get("FinishedAt")) if killed else None


def pod_status(
    pod: Mapping[str, Any],
    container: Mapping[str, Any] | None,
    create_error: StartError | None = None,
    message: str = "",
) -> dict[str, Any]:
    """Return the status of a Pod that has its node.

    Args:
        pod: The Pod as recorded; its conditions are kept.
        container: Its container as Docker inspects it, or None if there is none yet.
        create_error: Error that prevents its creation.
        message: Termination message, once the container has ended.
    """
    state = _container_state(container, create_error, message)
    name = text(main_container(pod).get("name"))
    report = {"name": name, "image": text(main_container(pod).get("image")), "state": state}
    kept = {key: value for key, value in mapping(pod.get("status")).items() if key == "conditions"}
    return {**kept, "phase": _phase(state), "containerStatuses": [report]}


def never_ran(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status of a Pod that was stopped before it had a container."""
    return {**mapping(pod.get("status")), "phase": "Failed"}


def _container_state(
    container: Mapping[str, Any] | None, create_error: StartError | None, message: str
) -> dict[str, Any]:
    if container is not None and (error := start_error(container)):
        ended = {"startedAt": _EPOCH, "exitCode": _NO_PROGRAM, "reason": "StartError"}
        return {"terminated": {**ended, "message": error}}
    if container is not None and has_ended(container):
        return {"terminated": _ending(mapping(container.get("State")), message)}
    if container is not None and is_running(container):
        return {"running": {"startedAt": _time(mapping(container.get("State")).get("StartedAt"))}}
    if create_error is not None:
        return {"waiting": {"reason": create_error.reason, "message": create_error.message}}
    return {"waiting": {"reason": "ContainerCreating"}}


def _ending(state: Mapping[str, Any], message: str) -> dict[str, Any]:
    code = number(state.get("ExitCode")) or 0
    reason = "OOMKilled" if state.get("OOMKilled") is True else "Error" if code else "Completed"
    return {
        "exitCode": code,
        "reason": reason,
        "startedAt": _time(state.get("StartedAt")),
        "finishedAt": _time(state.get("FinishedAt")),
        **({"message": message} if message else {}),
    }


def _phase(state: Mapping[str, Any]) -> str:
    if "running" in state:
        return "Running"
    ended = mapping(state.get("terminated"))
    if not ended:
        return "Pending"
    return "Failed" if ended.get("exitCode") else "Succeeded"


def _time(value: object) -> str | None:
    time = moment(value)
    return None if time is None else stamp(time)


def _state(container: Mapping[str, Any]) -> str:
    return text(mapping(container.get("State")).get("Status"))


MESSAGE_LIMIT = 4096
"""Length, in bytes, to which a termination message is cut."""
LOG_LIMIT = 2048
LOG_LINES = 80
"""Limits, in bytes and lines, of the log end that replaces a missing message after a failure."""


def termination_message(
    written: bytes, log: bytes, exit_code: int, limit: int = MESSAGE_LIMIT
) -> str:
    """Return the termination message: the written file or, after a failure, the log's end.

    Each byte that is not valid UTF-8 becomes one U+FFFD, as in Go.
    """
    kept = written
    if not kept and exit_code != 0:
        kept = b"\n".join(log[-LOG_LIMIT:].split(b"\n")[-LOG_LINES:])
    text = kept[-limit:].decode("utf-8", errors="surrogateescape")
    return re.sub("[\udc80-\udcff]", "\N{REPLACEMENT CHARACTER}", text)


NO_LOG = "the Docker daemon keeps no log of this container"
"""Start of the sentence that replaces the end of an unreadable log."""

_MEANINGS = {
    reason.meaning.rstrip("."): reason.docker_meaning.rstrip(".")
    for reason in Reason
    if reason.docker_meaning != reason.meaning
}
_PATTERNS = (
    (re.compile(r"\bits main container\b"), "its program"),
    (re.compile(r"\bPods\b"), "containers"),
    (re.compile(r"\bPod\b"), "container"),
)
_READ_THE_LOG = re.compile(r"\. Read its log[^.]*")


def translate_status(status: Draft) -> Draft:
    """Return a status, or a part of one, with messages translated for Docker users."""
    return {name: _translate(name, value) for name, value in status.items()}


def _translate(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return translate_status(value)
    if isinstance(value, list):
        return [_translate(name, item) for item in value]
    return translate_message(value) if name == "message" and isinstance(value, str) else value


def translate_message(message: str) -> str:
    """Return a message translated for Docker users, without advice to read a log that is lost."""
    cause, output = split_output(message)
    for meaning, docker_meaning in _MEANINGS.items():
        cause = cause.replace(meaning, docker_meaning)
    for pattern, words in _PATTERNS:
        cause = pattern.sub(words, cause)
    if any(NO_LOG in line for line in output):
        cause = _READ_THE_LOG.sub("", cause)
    return join_output(cause, output)
