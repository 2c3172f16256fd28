"""What the kubelet says of one container, and of the words that it left behind."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from taskruns.api.signals import describe_exit, signal_of
from taskruns.core.unstructured import mapping, mappings, moment, number, text

_MAX_MESSAGE_BYTES = 4096
_MAX_MESSAGE_BYTES_OF_POD = 12 * 1024
"""The kubelet's bounds on termination messages: of one container, and shared by all of a Pod."""


_UNSEEN = frozenset({"ContainerStatusUnknown", "Unknown"})
"""Reasons of an end that nobody saw: the kubelet's, and the runtime's after a restart of its node.

The exit code that comes with them is made up.
"""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container ended, in the kubelet's words."""

    exit_code: int
    signal: int | None
    reason: str
    message: str
    finished_at: datetime | None

    @property
    def exit_text(self) -> str:
        """A verb phrase with its exit code, such as "exited with code 3"."""
        if self.signal is not None and self.signal != signal_of(self.exit_code):
            return f"was ended by signal {self.signal} (exit code {self.exit_code})"
        return describe_exit(self.exit_code)

    @property
    def unseen(self) -> bool:
        """Whether nobody saw it: then neither code nor time is to be relied on."""
        return self.exit_code != 0 and self.reason in _UNSEEN


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a Pod as the kubelet reports it."""

    name: str
    started_at: datetime | None = None
    """Time of its first known start; a restart in place does not move it."""
    running: bool = False
    has_run: bool = False
    """Whether its program has been started; an end that nobody saw comes without `started_at`."""
    ending: Ending | None = None
    waiting_reason: str = ""
    """Why it has not started yet, in the kubelet's word; empty when it does not wait."""
    waiting_message: str = ""

    @property
    def exited(self) -> Ending | None:
        """How its program ended; None where none ran, or nobody saw: the code is made up."""
        unseen = self.ending is not None and self.ending.unseen
        return self.ending if self.started_at is not None and not unseen else None


def read_container(found: Mapping[str, Any]) -> Container:
    """Read one entry of a Pod's containerStatuses."""
    state = mapping(found.get("state"))
    running, terminated = mapping(state.get("running")), mapping(state.get("terminated"))
    waiting = mapping(state.get("waiting"))
    exit_code = number(terminated.get("exitCode"))
    ending = None
    if exit_code is not None:
        ending = Ending(
            exit_code=exit_code,
            signal=number(terminated.get("signal")) or signal_of(exit_code),
            reason=text(terminated.get("reason")),
            message=text(terminated.get("message")),
            finished_at=moment(terminated.get("finishedAt")),
        )
    started_at = _first_start(found)
    return Container(
        name=text(found.get("name")),
        started_at=started_at,
        running=bool(running),
        has_run=started_at is not None or _ran_before(found),
        ending=ending,
        waiting_reason=text(waiting.get("reason")),
        waiting_message=text(waiting.get("message")),
    )


def started_since(container: Container, known: datetime | None) -> Container:
    """Return a container that counts from a start recorded earlier, where that is the first one.

    A kubelet that restarts a container in place shows the last start only, and none in back-off.
    """
    if known is None:
        return container
    first = min(known, container.started_at or known)
    return replace(container, started_at=first, has_run=True)


def is_restarted(spec: Mapping[str, Any], pod_policy: str, exit_code: int) -> bool:
    """Whether the kubelet starts a container again in place after an exit.

    Such a main container is refused, but an admission webhook may still make one. Source:
    ContainerShouldRestart of Kubernetes' pkg/api/v1/pod.

    Args:
        spec: the container.
        pod_policy: the Pod's restartPolicy, for a container that has none.
        exit_code: how the container exited.
    """
    for rule in mappings(spec.get("restartPolicyRules")):
        codes = mapping(rule.get("exitCodes"))
        values = codes.get("values")
        listed = isinstance(values, list | tuple) and exit_code in values
        if listed if codes.get("operator") == "In" else not listed:
            return True
    policy = text(spec.get("restartPolicy")) or pod_policy
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _first_start(found: Mapping[str, Any]) -> datetime | None:
    """Return the earliest start that the kubelet still knows of; None when it knows of none."""
    state, earlier = mapping(found.get("state")), mapping(found.get("lastState"))
    shown = (
        moment(mapping(part.get(kind)).get("startedAt"))
        for part in (state, earlier)
        for kind in ("running", "terminated")
    )
    return min((start for start in shown if start is not None), default=None)


def _ran_before(found: Mapping[str, Any]) -> bool:
    """Whether the kubelet knew the container as running before it lost track of it.

    It then tells of an earlier end, or counts a restart that never was.
    """
    earlier = mapping(mapping(found.get("lastState")).get("terminated"))
    return bool(earlier or number(found.get("restartCount")) or found.get("started") is True)


def message_limit(spec: Mapping[str, Any]) -> int:
    """Return the bytes at which the kubelet cuts a termination message in a Pod."""
    count = len(mappings(spec.get("containers"))) + len(mappings(spec.get("initContainers")))
    return min(_MAX_MESSAGE_BYTES, _MAX_MESSAGE_BYTES_OF_POD // max(count, 1))
