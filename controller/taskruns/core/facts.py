"""Facts of a Pod and its containers, parsed from the Pod's JSON. Decisions read Pods only here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from taskruns.api import names
from taskruns.api.exit_codes import describe_exit, signal_of
from taskruns.core.plan import STOP_SECONDS, PodRef
from taskruns.core.unstructured import mapping, mappings, moment, number, strings, text

_MAX_MESSAGE_BYTES = 4096
_MAX_MESSAGE_BYTES_OF_POD = 12 * 1024
"""The kubelet's limits on termination messages, in bytes: per container, and per Pod."""


_UNSEEN = frozenset({"ContainerStatusUnknown", "Unknown"})
"""Termination reasons with an invented exit code.

The kubelet reports ContainerStatusUnknown for a container that it lost track of. The runtime
reports Unknown after a restart of its node.
"""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container ended, as the kubelet reports it (state.terminated)."""

    exit_code: int
    signal: int | None
    reason: str
    message: str
    finished_at: datetime | None

    @property
    def exit_text(self) -> str:
        """Verb phrase with the exit code or signal, such as "exited with code 3"."""
        if self.signal is not None and self.signal != signal_of(self.exit_code):
            return f"was ended by signal {self.signal} (exit code {self.exit_code})"
        return describe_exit(self.exit_code)

    @property
    def unobserved(self) -> bool:
        """Whether the end was not observed, so that exit code and time are not reliable."""
        return self.exit_code != 0 and self.reason in _UNSEEN


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a Pod as the kubelet reports it."""

    name: str
    started_at: datetime | None = None
    """Time of the first known start; a restart in place does not change it."""
    running: bool = False
    has_run: bool = False
    """Whether its program has started; `started_at` is None if the end was not observed."""
    ending: Ending | None = None
    waiting_reason: str = ""
    """Reason in state.waiting, why it has not started; empty if it is not waiting."""
    waiting_message: str = ""

    @property
    def exited(self) -> Ending | None:
        """How its program ended; None if it did not run or its end was not observed."""
        unobserved = self.ending is not None and self.ending.unobserved
        return self.ending if self.started_at is not None and not unobserved else None


def read_container(status: Mapping[str, Any]) -> Container:
    """Parse one entry of a Pod's containerStatuses."""
    state = mapping(status.get("state"))
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
    started_at = _first_start(status)
    return Container(
        name=text(status.get("name")),
        started_at=started_at,
        running=bool(running),
        has_run=started_at is not None or _ran_before(status),
        ending=ending,
        waiting_reason=text(waiting.get("reason")),
        waiting_message=text(waiting.get("message")),
    )


def started_since(container: Container, known: datetime | None) -> Container:
    """Return a container whose start is the earlier of the reported and the recorded one.

    After a restart in place the kubelet reports only the last start, and none during back-off.

    Args:
        container: the container as the kubelet reports it.
        known: start time in the attempt's record; None if none is recorded.
    """
    if known is None:
        return container
    first = min(known, container.started_at or known)
    return replace(container, started_at=first, has_run=True)


def is_restarted(spec: Mapping[str, Any], pod_policy: str, exit_code: int) -> bool:
    """Return whether the kubelet restarts a container in place after an exit.

    A run whose main container would be restarted is refused, but an admission webhook may add such
    a policy afterwards.
    Source: ContainerShouldRestart of Kubernetes' pkg/api/v1/pod.

    Args:
        spec: the container, as in the Pod's spec.
        pod_policy: the Pod's restartPolicy, used if the container has none.
        exit_code: exit code of the container.
    """
    for rule in mappings(spec.get("restartPolicyRules")):
        codes = mapping(rule.get("exitCodes"))
        values = codes.get("values")
        listed = isinstance(values, list | tuple) and exit_code in values
        matches = listed if codes.get("operator") == "In" else not listed
        if matches:
            return True
    policy = text(spec.get("restartPolicy")) or pod_policy
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _first_start(status: Mapping[str, Any]) -> datetime | None:
    """Return the earliest start in the reported states, or None."""
    state, earlier = mapping(status.get("state")), mapping(status.get("lastState"))
    starts = (
        moment(mapping(part.get(kind)).get("startedAt"))
        for part in (state, earlier)
        for kind in ("running", "terminated")
    )
    return min((start for start in starts if start is not None), default=None)


def _ran_before(status: Mapping[str, Any]) -> bool:
    """Return whether the container was running before the kubelet lost track of it.

    The kubelet then reports an earlier termination, or counts a restart that did not happen.
    """
    earlier = mapping(mapping(status.get("lastState")).get("terminated"))
    return bool(earlier or number(status.get("restartCount")) or status.get("started") is True)


def message_limit(spec: Mapping[str, Any]) -> int:
    """Return the size in bytes to which the kubelet truncates termination messages in a Pod."""
    count = len(mappings(spec.get("containers"))) + len(mappings(spec.get("initContainers")))
    return min(_MAX_MESSAGE_BYTES, _MAX_MESSAGE_BYTES_OF_POD // max(count, 1))


_MAX_ATTEMPT_DIGITS = 9

ENDED_PHASES = frozenset({"Succeeded", "Failed"})
"""Terminal phases of a Pod: all its containers have ended."""


@dataclass(frozen=True, slots=True)
class QueueStop:
    """A true TerminationTarget condition, which Kueue sets before it deletes a Pod."""

    reason: str
    """Reason of the condition; empty if it is not true."""
    message: str


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One Pod, reduced to the values that decisions depend on."""

    ref: PodRef
    resource_version: str
    run_uid: str
    """Uid of the TaskRun in its label; permits removing our finalizer, but no other action."""
    owner_uid: str
    """Uid of the TaskRun in its controller ownerReference; empty if there is none."""
    attempt: int
    """Attempt number in its label; 0 if there is none."""
    gated: bool
    """Whether it has our scheduling gate, so that it cannot have been scheduled."""
    other_gates: tuple[str, ...]
    """Scheduling gates of other controllers, such as Kueue's."""
    held: bool
    """Whether it has our finalizer."""
    deleting: bool
    deletion_due: datetime | None
    """Time at which the grace period of its deletion ends (deletionTimestamp)."""
    stop_requested: bool
    """Whether a StopPod action has been applied to it."""
    node: str
    phase: str
    reason: str
    message: str
    disruption: str
    """Reason of a true DisruptionTarget condition; empty if there is none."""
    disruption_message: str
    queue_stop: QueueStop
    queued: bool
    """Whether Kueue manages the Pod."""
    created_at: datetime | None
    scheduled_at: datetime | None
    unschedulable: str
    """The scheduler's message for an unschedulable Pod; empty otherwise."""
    conditions: Mapping[str, str]
    """Status of each condition, by type."""
    main: Container
    containers: tuple[Container, ...]
    """All containers that the kubelet reports, init containers first."""
    remaining: tuple[str, ...]
    """Names of containers that have not ended, other than main and init containers."""
    failed_init: Container | None
    """Init container whose failure kept main from starting, or None."""
    message_limit: int
    """Size to which the kubelet truncates termination messages in this Pod, in bytes."""

    @property
    def shown_node(self) -> str:
        """Node name for messages; empty on Docker, where the daemon is the only node."""
        return "" if self.node == names.DOCKER_NODE else self.node

    @property
    def ended(self) -> bool:
        """Whether no container of the Pod runs or can start any more.

        A Pod that is being deleted and has no node has ended, because the apiserver refuses to
        bind it.
        """
        return self.phase in ENDED_PHASES or (self.deleting and not self.node)


def counted_from(pod: PodFacts, started_at: datetime | None) -> PodFacts:
    """Return the facts of a Pod with main's start corrected by the recorded one.

    If main has run but the kubelet reports no start, main counts from when the Pod was scheduled,
    or else created. So main's deadlines never restart.

    Args:
        pod: the facts as reported.
        started_at: main's start time in the attempt's record; None if none is recorded.
    """
    main = started_since(pod.main, started_at)
    if main.has_run and main.started_at is None and main.ending is None:
        main = replace(main, started_at=pod.scheduled_at or pod.created_at)
    return pod if main == pod.main else replace(pod, main=main)


def main_name(containers: tuple[Mapping[str, Any], ...], annotations: Mapping[str, Any]) -> str:
    """Return the name of a Pod's main container; empty if there is none."""
    container_names = [text(container.get("name")) for container in containers]
    return names.main_container_name(
        container_names, text(annotations.get(names.ANNOTATION_DEFAULT_CONTAINER))
    )


def read_pod(pod: Mapping[str, Any]) -> PodFacts:
    """Parse a Pod into its facts; missing or malformed fields count as absent."""
    metadata, spec, status = (mapping(pod.get(part)) for part in ("metadata", "spec", "status"))
    containers = mappings(spec.get("containers"))
    main = main_name(containers, mapping(metadata.get("annotations")))
    inits = tuple(map(read_container, mappings(status.get("initContainerStatuses"))))
    reported = tuple(map(read_container, mappings(status.get("containerStatuses"))))
    conditions = {text(each.get("type")): each for each in mappings(status.get("conditions"))}
    gates = [text(gate.get("name")) for gate in mappings(spec.get("schedulingGates"))]
    labels = mapping(metadata.get("labels"))
    return PodFacts(
        ref=PodRef(*(text(metadata.get(part)) for part in ("namespace", "name", "uid"))),
        resource_version=text(metadata.get("resourceVersion")),
        run_uid=text(labels.get(names.LABEL_UID)),
        owner_uid=_owner_uid(metadata),
        attempt=_attempt(labels),
        gated=names.GATE_CLAIM in gates,
        other_gates=tuple(gate for gate in gates if gate != names.GATE_CLAIM),
        held=names.FINALIZER_OUTCOME in strings(metadata.get("finalizers")),
        deleting=bool(metadata.get("deletionTimestamp")),
        deletion_due=moment(metadata.get("deletionTimestamp")),
        stop_requested=spec.get("activeDeadlineSeconds") == STOP_SECONDS,
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
        conditions={kind: text(each.get("status")) for kind, each in conditions.items()},
        main=_main(pod, next((each for each in reported if each.name == main), Container(main))),
        containers=(*inits, *reported),
        remaining=_remaining(spec, reported, main),
        failed_init=_failed_init(mappings(spec.get("initContainers")), inits),
        message_limit=message_limit(spec),
    )


def _main(pod: Mapping[str, Any], main: Container) -> Container:
    """Return main without an exit after which the kubelet restarts it, because main continues.

    If the Pod has ended anyway, the exit is kept without its time: main ended with the Pod.
    """
    spec, status = mapping(pod.get("spec")), mapping(pod.get("status"))
    ending = main.ending
    if ending is None or not _is_restarted(main, spec):
        return main
    if text(status.get("phase")) in ENDED_PHASES:
        return replace(main, ending=replace(ending, finished_at=None))
    return replace(main, ending=None)


def _remaining(
    spec: Mapping[str, Any], reported: tuple[Container, ...], main: str
) -> tuple[str, ...]:
    ended = (each for each in reported if each.ending is not None)
    excluded = {main, *(each.name for each in ended if not _is_restarted(each, spec))}
    containers = mappings(spec.get("containers"))
    return tuple(name for each in containers if (name := text(each.get("name"))) not in excluded)


def _is_restarted(container: Container, spec: Mapping[str, Any]) -> bool:
    """Return whether the kubelet restarts an ordinary container after its reported exit."""
    if container.ending is None:
        return False
    containers = mappings(spec.get("containers"))
    matching = (each for each in containers if each.get("name") == container.name)
    policy = text(spec.get("restartPolicy"))
    return is_restarted(next(matching, {}), policy, container.ending.exit_code)


def _failed_init(
    specs: tuple[Mapping[str, Any], ...], inits: tuple[Container, ...]
) -> Container | None:
    """Return the first init container that failed, sidecars excepted, or None.

    A sidecar is stopped together with main, so its exit code is no failure. Only the restart policy
    Always makes a sidecar (source: core/v1 Container.restartPolicy).
    """
    always = (each for each in specs if each.get("restartPolicy") == "Always")
    sidecars = {text(each.get("name")) for each in always}
    failed = (each for each in inits if each.ending is not None and each.ending.exit_code != 0)
    return next((each for each in failed if each.name not in sidecars), None)


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
