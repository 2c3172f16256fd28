"""What a Pod says: the only reader of Pod JSON. Facts only; what they mean is decided elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from taskruns.api import names
from taskruns.core.plan import STOP_SECONDS, PodRef
from taskruns.core.wire import mapping, mappings, moment, number, strings, text

_MAX_MESSAGE_BYTES = 4096
_MAX_MESSAGE_BYTES_OF_POD = 12 * 1024
"""The kubelet's bounds on termination messages: of one container, and shared by all of a Pod."""


_SIGNAL_BASE = 128
_LAST_SIGNAL = 64
_MAX_ATTEMPT_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container ended, in the kubelet's words."""

    exit_code: int
    signal: int | None
    reason: str
    message: str
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a Pod as the kubelet reports it."""

    name: str
    started_at: datetime | None
    running: bool
    ending: Ending | None

    @property
    def exited(self) -> Ending | None:
        """How its program ended; None where none ran: then its exit code is made up."""
        return self.ending if self.started_at is not None else None


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One Pod, reduced to what decisions rest on."""

    ref: PodRef
    resource_version: str
    run_uid: str
    """Uid of the TaskRun that its label names: enough to release the Pod, not to act on it."""
    owner_uid: str
    """Uid of the controlling TaskRun by ownerReference; empty when there is none."""
    attempt: int
    """The number in its label; 0 when there is none."""
    gated: bool
    """Whether our scheduling gate is on it, so that it cannot have been scheduled."""
    held: bool
    """Whether our finalizer is on it."""
    deleting: bool
    told_to_stop: bool
    """Whether StopPod has reached it."""
    node: str
    phase: str
    reason: str
    message: str
    disruption: str
    """Reason of a true DisruptionTarget condition; empty when there is none."""
    created_at: datetime | None
    scheduled_at: datetime | None
    main: Container
    leftovers: tuple[str, ...]
    """Ordinary containers other than main that have not ended."""
    failed_init: Container | None
    message_limit: int
    """Bytes at which the kubelet cuts a termination message in this Pod."""

    @property
    def ended(self) -> bool:
        """Whether nothing of the Pod runs or ever will.

        A Pod that is being deleted and has no node has ended: the apiserver binds no such Pod.
        """
        return self.phase in ("Succeeded", "Failed") or (self.deleting and not self.node)


def main_name(containers: tuple[Mapping[str, Any], ...], annotations: Mapping[str, Any]) -> str:
    """Name the main container: the only one, the annotated one, or the one called `main`.

    Empty when none of these is there.
    """
    found = [text(container.get("name")) for container in containers]
    annotated = text(annotations.get(names.ANNOTATION_DEFAULT_CONTAINER))
    if annotated in found:
        return annotated
    if len(found) == 1:
        return found[0]
    return names.MAIN_CONTAINER if names.MAIN_CONTAINER in found else ""


def read_pod(pod: Mapping[str, Any]) -> PodFacts:
    """Read the facts of a Pod; whatever is missing or odd reads as not there."""
    metadata, spec, status = (mapping(pod.get(part)) for part in ("metadata", "spec", "status"))
    containers = mappings(spec.get("containers"))
    main = main_name(containers, mapping(metadata.get("annotations")))
    reported = [_read_container(found) for found in mappings(status.get("containerStatuses"))]
    ended = {container.name for container in reported if container.ending is not None}
    conditions = {text(found.get("type")): found for found in mappings(status.get("conditions"))}
    labels = mapping(metadata.get("labels"))
    return PodFacts(
        ref=PodRef(*(text(metadata.get(part)) for part in ("namespace", "name", "uid"))),
        resource_version=text(metadata.get("resourceVersion")),
        run_uid=text(labels.get(names.LABEL_UID)),
        owner_uid=_owner_uid(metadata),
        attempt=_attempt(labels),
        gated=any(
            gate.get("name") == names.GATE_CLAIM for gate in mappings(spec.get("schedulingGates"))
        ),
        held=names.FINALIZER_OUTCOME in strings(metadata.get("finalizers")),
        deleting=bool(metadata.get("deletionTimestamp")),
        told_to_stop=spec.get("activeDeadlineSeconds") == STOP_SECONDS,
        node=text(spec.get("nodeName")),
        phase=text(status.get("phase")),
        reason=text(status.get("reason")),
        message=text(status.get("message")),
        disruption=_true_reason(conditions.get("DisruptionTarget")),
        created_at=moment(metadata.get("creationTimestamp")),
        scheduled_at=_transition(conditions.get("PodScheduled")),
        main=next((found for found in reported if found.name == main), _unseen(main)),
        leftovers=tuple(
            name
            for found in containers
            if (name := text(found.get("name"))) != main and name not in ended
        ),
        failed_init=_failed_init(status),
        message_limit=_message_limit(spec),
    )


def _owner_uid(metadata: Mapping[str, Any]) -> str:
    for owner in mappings(metadata.get("ownerReferences")):
        group = text(owner.get("apiVersion")).partition("/")[0]
        if owner.get("controller") is True and (group, owner.get("kind")) == (
            names.GROUP,
            names.KIND,
        ):
            return text(owner.get("uid"))
    return ""


def _attempt(labels: Mapping[str, Any]) -> int:
    label = text(labels.get(names.LABEL_ATTEMPT))
    readable = label.isascii() and label.isdecimal() and len(label) <= _MAX_ATTEMPT_DIGITS
    return int(label) if readable else 0


def _true_reason(condition: Mapping[str, Any] | None) -> str:
    if condition is None or condition.get("status") != "True":
        return ""
    return text(condition.get("reason")) or "Unknown"


def _transition(condition: Mapping[str, Any] | None) -> datetime | None:
    if condition is None or condition.get("status") != "True":
        return None
    return moment(condition.get("lastTransitionTime"))


def _unseen(name: str) -> Container:
    return Container(name, started_at=None, running=False, ending=None)


def _read_container(found: Mapping[str, Any]) -> Container:
    state = mapping(found.get("state"))
    running, terminated = mapping(state.get("running")), mapping(state.get("terminated"))
    exit_code = number(terminated.get("exitCode"))
    ending = None
    if exit_code is not None:
        ending = Ending(
            exit_code=exit_code,
            signal=number(terminated.get("signal")) or _signal(exit_code),
            reason=text(terminated.get("reason")),
            message=text(terminated.get("message")),
            finished_at=moment(terminated.get("finishedAt")),
        )
    return Container(
        name=text(found.get("name")),
        started_at=moment((terminated or running).get("startedAt")),
        running=bool(running),
        ending=ending,
    )


def _signal(exit_code: int) -> int | None:
    """Return the signal behind an exit code: shells and runtimes report 128 plus its number."""
    number_of_signal = exit_code - _SIGNAL_BASE
    return number_of_signal if 0 < number_of_signal <= _LAST_SIGNAL else None


def _failed_init(status: Mapping[str, Any]) -> Container | None:
    for found in mappings(status.get("initContainerStatuses")):
        container = _read_container(found)
        if container.ending is not None and container.ending.exit_code != 0:
            return container
    return None


def _message_limit(spec: Mapping[str, Any]) -> int:
    count = len(mappings(spec.get("containers"))) + len(mappings(spec.get("initContainers")))
    return min(_MAX_MESSAGE_BYTES, _MAX_MESSAGE_BYTES_OF_POD // max(count, 1))
