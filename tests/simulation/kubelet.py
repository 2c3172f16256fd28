"""The simulated kubelet: it starts, watches and ends the containers of Pods on its node."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from taskruns.core.facts import ENDED_PHASES
from taskruns.core.unstructured import Object, drafted
from tests.simulation.agenda import Agenda
from tests.simulation.report import reported
from tests.simulation.sandbox import (
    NEVER_STARTED,
    Container,
    Disruption,
    End,
    Role,
    Sandbox,
)
from tests.simulation.script import SIGKILL_CODE, Script
from tests.simulation.store import Change, Kind, Store

Scripts = Callable[[Object, Object], Script]
"""Function from a Pod and a container's specification to the script of that container."""

_START_FAILED_CODE = 128
_UNSEEN_CODE = 255
"""Exit code that the runtime invents for a container whose end it did not observe."""
_DEADLINE = Disruption(
    "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
)


@dataclass(slots=True)
class Execution:
    """One program that ran, for tests that count executions and compare their times."""

    pod_uid: str
    container: str
    env: Mapping[str, str]
    started: datetime
    finished: datetime | None = None
    exit_code: int | None = None


class Kubelet:
    """The kubelets of all nodes."""

    def __init__(
        self, agenda: Agenda, store: Store, scripts: Scripts, *, notice: float, start: float
    ) -> None:
        self._agenda = agenda
        self._store = store
        self._scripts = scripts
        self._notice = notice
        self._start_seconds = start
        self._boxes: dict[str, Sandbox] = {}
        self._cut_off: set[str] = set()
        self.executions: list[Execution] = []
        store.observe(self._on_change)

    def has(self, uid: str) -> bool:
        """Return whether a Pod is on a node that is powered."""
        return uid in self._boxes

    def evict(self, uid: str, message: str) -> None:
        """Evict a Pod because its node is short of a resource."""
        self._kill(self._boxes[uid], 0, Disruption("Evicted", message, "TerminationByKubelet"))

    def cut_off(self, node: str) -> None:
        """Cut a node off: its containers continue, but nothing is reported."""
        self._cut_off.add(node)

    def reconnect(self, node: str) -> None:
        """Reconnect a node that was cut off."""
        self._cut_off.discard(node)
        for box in [box for box in self._boxes.values() if box.node == node]:
            self._report(box)
            self._sync(box.uid)
        for pod in self._store.all(Kind.POD):
            if pod["spec"].get("nodeName") == node:
                self._sync(pod["metadata"]["uid"])

    def power_off(self, node: str) -> None:
        """Switch a node off with all its containers; no end is reported."""
        for box in [box for box in self._boxes.values() if box.node == node]:
            del self._boxes[box.uid]
            for container in box.running:
                self._end(box, container, SIGKILL_CODE, "Error")
            box.ending = box.over = True

    def reboot(self, node: str) -> None:
        """Reboot a node, which comes back without knowing how its containers ended."""
        for box in [box for box in self._boxes.values() if box.node == node and not box.over]:
            for container in box.running:
                self._end(box, container, _UNSEEN_CODE, "Unknown")
            box.ending = box.over = True
            self._report(box)
            self._finish_deletion(box)

    def _on_change(self, change: Change) -> None:
        if change.kind is Kind.POD and change.object["spec"].get("nodeName"):
            uid = change.object["metadata"]["uid"]
            self._agenda.after(self._notice, partial(self._sync, uid))

    def _sync(self, uid: str) -> None:
        pod = self._store.find(Kind.POD, uid)
        box = self._boxes.get(uid)
        if pod is None:
            if box is not None and box.node not in self._cut_off:
                self._kill(box, 0)
            return
        if pod["spec"]["nodeName"] in self._cut_off:
            return
        if box is None:
            if pod["status"]["phase"] in ENDED_PHASES:
                return
            box = self._begin(pod)
        self._note_deadline(pod, box)
        if "deletionTimestamp" in pod["metadata"]:
            self._kill(box, pod["metadata"]["deletionGracePeriodSeconds"])
            self._finish_deletion(box)

    def _begin(self, pod: Object) -> Sandbox:
        spec = pod["spec"]
        containers = [
            *(self._container(pod, c, Role.INIT) for c in spec.get("initContainers") or ()),
            *(self._container(pod, c, Role.ORDINARY) for c in spec["containers"]),
        ]
        uid = pod["metadata"]["uid"]
        grace = spec["terminationGracePeriodSeconds"]
        box = Sandbox(uid, spec["nodeName"], self._agenda.now, grace, containers)
        self._boxes[uid] = box
        if "deletionTimestamp" not in pod["metadata"]:
            self._report(box)
            self._agenda.after(self._start_seconds, partial(self._progress, box))
        return box

    def _container(self, pod: Object, spec: Object, role: Role) -> Container:
        sidecar = role is Role.INIT and spec.get("restartPolicy") == "Always"
        return Container(spec, Role.SIDECAR if sidecar else role, self._scripts(pod, spec))

    def _note_deadline(self, pod: Object, box: Sandbox) -> None:
        deadline = pod["spec"].get("activeDeadlineSeconds")
        if deadline is None or deadline == box.deadline:
            return
        box.deadline = deadline
        remaining = deadline - (self._agenda.now - box.started_at).total_seconds()
        self._agenda.after(max(0.0, remaining), partial(self._kill, box, box.grace, _DEADLINE))

    def _progress(self, box: Sandbox) -> None:
        """Start the containers that are due, end the Pod if it is over, and report its status."""
        if not box.ending:
            self._start_due(box)
            ordinary = box.of(Role.ORDINARY)
            if any(c.failed for c in box.of(Role.INIT)) or all(c.end for c in ordinary):
                self._kill(box, box.grace)
                return
        box.over = box.over or (box.ending and not box.running)
        self._report(box)
        self._finish_deletion(box)

    def _start_due(self, box: Sandbox) -> None:
        for container in box.of(Role.INIT, Role.SIDECAR):
            self._start(box, container)
            waits = container.end is None if container.role is Role.INIT else False
            if waits or container.failed or not (container.started_at or container.end):
                return
        for container in box.of(Role.ORDINARY):
            self._start(box, container)

    def _start(self, box: Sandbox, container: Container) -> None:
        script = container.script
        if container.started_at or container.end:
            return
        if script.waiting and not container.due:
            container.due = True
            container.waiting = script.waiting
            self._agenda.after(script.waiting_seconds, partial(self._stop_waiting, box, container))
        if container.waiting:
            return
        now = self._agenda.now
        if script.start_error:
            container.end = End(
                _START_FAILED_CODE, "StartError", script.start_error, now, NEVER_STARTED
            )
            return
        container.started_at = now
        env = {item["name"]: item.get("value", "") for item in container.spec.get("env") or ()}
        self.executions.append(Execution(box.uid, container.name, env, now))
        code, reason = script.exit_code, "Error" if script.exit_code else "Completed"
        if script.oom:
            code, reason = SIGKILL_CODE, "OOMKilled"
        self._agenda.after(script.seconds, partial(self._end_itself, box, container, code, reason))

    def _stop_waiting(self, box: Sandbox, container: Container) -> None:
        container.waiting = None
        self._progress(box)

    def _kill(self, box: Sandbox, grace: float, disruption: Disruption | None = None) -> None:
        if box.over:
            return
        box.ending = True
        box.disruption = box.disruption or disruption
        for container in box.running:
            script = container.script
            listens = script.term_seconds is not None and script.term_seconds < grace
            after = script.term_seconds if script.term_seconds is not None and listens else grace
            code = script.term_exit_code if listens else SIGKILL_CODE
            reason = "Error" if code else "Completed"
            self._agenda.after(after, partial(self._end_by_signal, box, container, code, reason))
        if not box.running:
            self._progress(box)

    def _end_itself(self, box: Sandbox, container: Container, code: int, reason: str) -> None:
        self._end(box, container, code, reason, finished=reason != "OOMKilled")
        self._progress(box)

    def _end_by_signal(self, box: Sandbox, container: Container, code: int, reason: str) -> None:
        self._end(box, container, code, reason, finished=code != SIGKILL_CODE)
        self._progress(box)

    def _end(
        self, box: Sandbox, container: Container, code: int, reason: str, *, finished: bool = False
    ) -> None:
        if container.end is not None:
            return
        now = self._agenda.now
        message = container.script.message(code, len(box.containers), finished=finished)
        container.end = End(code, reason, message, now, container.started_at)
        for execution in self.executions:
            if (execution.pod_uid, execution.container) == (box.uid, container.name):
                execution.finished, execution.exit_code = now, code

    def _report(self, box: Sandbox) -> None:
        pod = self._store.find(Kind.POD, box.uid)
        if pod is None or box.node in self._cut_off or box.uid not in self._boxes:
            return
        draft = drafted(pod)
        draft["status"] = reported(pod, box, self._agenda.now)
        self._store.update(Kind.POD, draft)

    def _finish_deletion(self, box: Sandbox) -> None:
        pod = self._store.find(Kind.POD, box.uid)
        if pod is None or not box.over or box.node in self._cut_off:
            return
        if "deletionTimestamp" in pod["metadata"]:
            self._store.mark_deleted(Kind.POD, pod, 0)
