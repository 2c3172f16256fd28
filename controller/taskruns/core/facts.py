"""Facts of a Pod and its containers, as the kubelet reports them. The only reader of Pod JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from taskruns.api import names
from taskruns.api.signals import describe_exit, signal_of
from taskruns.core.plan import STOP_SECONDS, PodRef
from taskruns.core.unstructured import mapping, mappings, moment, number, strings, text

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


_MAX_ATTEMPT_DIGITS = 9

ENDED_PHASES = frozenset({"Succeeded", "Failed"})
"""Phases of a Pod of which nothing runs any more, nor ever will."""


@dataclass(frozen=True, slots=True)
class QueueStop:
    """A true TerminationTarget condition, which Kueue sets before it deletes a Pod."""

    reason: str
    """Empty where the condition is not true."""
    message: str


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
    foreign_gates: tuple[str, ...]
    """Scheduling gates of others, such as Kueue's."""
    held: bool
    """Whether our finalizer is on it."""
    deleting: bool
    deletion_due: datetime | None
    """When the grace period of its deletion ends."""
    told_to_stop: bool
    """Whether StopPod has reached it."""
    node: str
    phase: str
    reason: str
    message: str
    disruption: str
    """Reason of a true DisruptionTarget condition; empty when there is none."""
    disruption_message: str
    queue_stop: QueueStop
    queued: bool
    """Whether the Pod is one that Kueue queues."""
    created_at: datetime | None
    scheduled_at: datetime | None
    unschedulable: str
    """The scheduler's sentence on why it has no node; empty when it has, or was not looked at."""
    conditions: Mapping[str, str]
    """The status of each condition by its type."""
    main: Container
    containers: tuple[Container, ...]
    """Every container that the kubelet reports, init containers first."""
    leftovers: tuple[str, ...]
    """Ordinary containers other than main that have not ended."""
    failed_init: Container | None
    message_limit: int
    """Bytes at which the kubelet cuts a termination message in this Pod."""

    @property
    def shown_node(self) -> str:
        """The node's name for messages; empty on Docker, where the daemon is the only node."""
        return "" if self.node == names.DOCKER_NODE else self.node

    @property
    def ended(self) -> bool:
        """Whether nothing of the Pod runs or ever will.

        A Pod that is being deleted and has no node has ended: the apiserver binds no such Pod.
        """
        return self.phase in ENDED_PHASES or (self.deleting and not self.node)


def counted_from(pod: PodFacts, started_at: datetime | None) -> PodFacts:
    """Return the facts of a Pod whose main container's first start may be recorded already.

    A main container that has run for a time that the kubelet does not report counts from when the
    Pod got its node: its clocks never start again.
    """
    main = started_since(pod.main, started_at)
    if main.has_run and main.started_at is None and main.ending is None:
        main = replace(main, started_at=pod.scheduled_at or pod.created_at)
    return pod if main == pod.main else replace(pod, main=main)


def main_name(containers: tuple[Mapping[str, Any], ...], annotations: Mapping[str, Any]) -> str:
    """Name the main container of a Pod; empty when none is."""
    found = [text(container.get("name")) for container in containers]
    return names.main_of(found, text(annotations.get(names.ANNOTATION_DEFAULT_CONTAINER)))


def read_pod(pod: Mapping[str, Any]) -> PodFacts:
    """Read the facts of a Pod; whatever is missing or odd reads as not there."""
    metadata, spec, status = (mapping(pod.get(part)) for part in ("metadata", "spec", "status"))
    containers = mappings(spec.get("containers"))
    main = main_name(containers, mapping(metadata.get("annotations")))
    inits = tuple(map(read_container, mappings(status.get("initContainerStatuses"))))
    reported = tuple(map(read_container, mappings(status.get("containerStatuses"))))
    conditions = {text(found.get("type")): found for found in mappings(status.get("conditions"))}
    gates = [text(gate.get("name")) for gate in mappings(spec.get("schedulingGates"))]
    labels = mapping(metadata.get("labels"))
    return PodFacts(
        ref=PodRef(*(text(metadata.get(part)) for part in ("namespace", "name", "uid"))),
        resource_version=text(metadata.get("resourceVersion")),
        run_uid=text(labels.get(names.LABEL_UID)),
        owner_uid=_owner_uid(metadata),
        attempt=_attempt(labels),
        gated=names.GATE_CLAIM in gates,
        foreign_gates=tuple(gate for gate in gates if gate != names.GATE_CLAIM),
        held=names.FINALIZER_OUTCOME in strings(metadata.get("finalizers")),
        deleting=bool(metadata.get("deletionTimestamp")),
        deletion_due=moment(metadata.get("deletionTimestamp")),
        told_to_stop=spec.get("activeDeadlineSeconds") == STOP_SECONDS,
        node=text(spec.get("nodeName")),
        phase=text(status.get("phase")),
        reason=text(status.get("reason")),
        message=text(status.get("message")),
        disruption=_true_reason(conditions.get("DisruptionTarget")),
        disruption_message=text(mapping(conditions.get("DisruptionTarget")).get("message")),
        queue_stop=_queue_stop(conditions.get("TerminationTarget")),
        queued=_is_queued(labels),
        created_at=moment(metadata.get("creationTimestamp")),
        scheduled_at=_transition(conditions.get("PodScheduled")),
        unschedulable=_unschedulable(conditions.get("PodScheduled")),
        conditions={kind: text(found.get("status")) for kind, found in conditions.items()},
        main=_main(pod, next((found for found in reported if found.name == main), Container(main))),
        containers=(*inits, *reported),
        leftovers=_leftovers(spec, reported, main),
        failed_init=_failed_init(mappings(spec.get("initContainers")), inits),
        message_limit=message_limit(spec),
    )


def _main(pod: Mapping[str, Any], main: Container) -> Container:
    """Return main without an exit that the kubelet follows by a restart: it is not the end.

    Where the Pod has ended all the same, the exit is the last one, and main ended with the Pod.
    """
    spec, status = mapping(pod.get("spec")), mapping(pod.get("status"))
    ending = main.ending
    if ending is None or not _is_restarted(main, spec):
        return main
    if text(status.get("phase")) in ENDED_PHASES:
        return replace(main, ending=replace(ending, finished_at=None))
    return replace(main, ending=None)


def _leftovers(
    spec: Mapping[str, Any], reported: tuple[Container, ...], main: str
) -> tuple[str, ...]:
    ended = (found for found in reported if found.ending is not None)
    over = {main, *(found.name for found in ended if not _is_restarted(found, spec))}
    containers = mappings(spec.get("containers"))
    return tuple(name for found in containers if (name := text(found.get("name"))) not in over)


def _is_restarted(container: Container, spec: Mapping[str, Any]) -> bool:
    """Whether the kubelet starts an ordinary container again after the exit that it shows."""
    if container.ending is None:
        return False
    containers = mappings(spec.get("containers"))
    found = (each for each in containers if each.get("name") == container.name)
    policy = text(spec.get("restartPolicy"))
    return is_restarted(next(found, {}), policy, container.ending.exit_code)


def _failed_init(
    specs: tuple[Mapping[str, Any], ...], inits: tuple[Container, ...]
) -> Container | None:
    """Return the init container that kept main from starting; a sidecar is only ended with it.

    Of the restart policies only Always makes a sidecar (source: core/v1 Container.restartPolicy).
    """
    always = (found for found in specs if found.get("restartPolicy") == "Always")
    sidecars = {text(found.get("name")) for found in always}
    failed = (found for found in inits if found.ending is not None and found.ending.exit_code != 0)
    return next((found for found in failed if found.name not in sidecars), None)


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


def _queue_stop(condition: Mapping[str, Any] | None) -> QueueStop:
    reason = _true_reason(condition)
    return QueueStop(reason, text(mapping(condition).get("message")) if reason else "")


def _is_queued(labels: Mapping[str, Any]) -> bool:
    managed = labels.get(names.LABEL_QUEUE_MANAGED) == "true"
    return managed or bool(labels.get(names.LABEL_QUEUE))


def _transition(condition: Mapping[str, Any] | None) -> datetime | None:
    if condition is None or condition.get("status") != "True":
        return None
    return moment(condition.get("lastTransitionTime"))


def _unschedulable(condition: Mapping[str, Any] | None) -> str:
    if condition is None or condition.get("reason") != "Unschedulable":
        return ""
    return text(condition.get("message"))
