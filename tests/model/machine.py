"""The steps of a history, and the invariants that hold after each step and at its end.

Every argument of a step is a literal, so a history that fails is printed as a script that runs as
it is. Numbers choose among what exists, modulo its count.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from typing_extensions import override

from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.api.reasons import Reason
from taskruns.core.plan import Refusal, RefusalKind
from taskruns.core.unstructured import Object
from tests.model.strategies import REFUSALS, SCRIPTS, SPECS, STEPS, Step
from tests.simulation import Cluster, Kind, Latency, Script
from tests.simulation.cluster import quota
from tests.support.builders.objects import a_run
from tests.support.faults.request_faults import Fault, arrive
from tests.support.promise import Promise
from tests.support.simulation import Controller, Simulation

HOLD = "example.test/hold"
"""A finalizer of another program on a run."""

MOST_RUNS = 4
"""Limit of the runs in a history."""

MOST_DISTURBANCES = 5
"""Limit of the steps of users and of the cluster that end a run early or take its node."""


class Model(RuleBasedStateMachine):
    """Two controllers and up to three runs at a time, in a cluster with every kind of fault."""

    totals: ClassVar[Counter[str]] = Counter()
    """Counts over all histories, for a report."""
    last: ClassVar[list[Step]] = []
    """The last history, which has broken an invariant if the check ends with an error."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Step] = []
        self.scripts: dict[str, list[Script]] = {}
        self.budgets: dict[str, int] = {}
        """Repetitions of the work that a run allows, by its uid."""
        self.cluster = Cluster(self._script, Latency(start=2.0))
        self.cluster.admission.append(self._admission)
        self.cluster.nodes.append("node-2")
        self.promise = Promise(self.cluster)
        self.simulation = Simulation(self.cluster, controllers=2)
        self.orphaned: set[str] = set()
        """Uids of runs that were deleted without their Pods."""
        self.deleted: set[str] = set()
        """Uids of Pods that users have deleted, and of runs that they have deleted."""
        self.unlabelled = False
        """Whether a Pod has lost its labels."""
        self.frozen: int | None = None
        self.disturbances = 0
        self.quota: int | None = None
        self.refusal: RefusalKind | None = None

    def _script(self, _pod: Object, container: Object) -> Script:
        env = {item["name"]: item["value"] for item in container["env"]}
        scripts = self.scripts[env["TASKRUN_UID"]]
        return scripts[(int(env["TASKRUN_ATTEMPT"]) - 1) % len(scripts)]

    def _admission(self, manifest: Object) -> Refusal | None:
        if self.refusal is not None:
            return Refusal(self.refusal, f"pods is forbidden: {self.refusal}")
        return None if self.quota is None else quota(self.cluster, self.quota)(manifest)

    @classmethod
    def replay(cls, history: Iterable[Step]) -> None:
        """Take the steps of a history, and check every invariant."""
        model = cls()
        for step in history:
            model.take(step)
        model.check_end()

    @initialize(spec=SPECS, scripts=st.lists(SCRIPTS, min_size=1, max_size=3))
    def begin(self, spec: dict[str, Any], scripts: list[Script]) -> None:
        self.take(("create", {"name": "a", "spec": spec, "scripts": scripts}))

    @rule(step=STEPS)
    def take(self, step: Step) -> None:
        """Take one of the steps below, and check that work is done once, in claimed Pods only."""
        self.history.append(step)
        type(self).last = self.history
        name, arguments = step
        getattr(self, name)(**arguments)
        self._check()

    # ---------------------------------------------------------------------------------- users

    def create(self, name: str, spec: dict[str, Any], scripts: list[Script]) -> None:
        """Create a run, unless there is one of that name; an earlier one has another uid."""
        if self.simulation.run(name) is not None or len(self.budgets) == MOST_RUNS:
            return
        run = self.cluster.create_run(a_run(metadata={"name": name}, **spec))
        uid = run["metadata"]["uid"]
        self.scripts[uid] = scripts
        self.budgets[uid] = spec["backoffLimit"] + spec.get("disruptionLimit", 0)
        self.totals["runs"] += 1

    def change(self, name: str, change: str) -> None:
        run = self.simulation.run(name)
        if run is None or not self._disturb(change):
            return
        if change == "suspend":  # work that it stops starts once more, uncounted
            self.budgets[run["metadata"]["uid"]] += 1
        collected = {names.ANNOTATION_COLLECTED: run["status"].get("podUID") or ""}
        patches: dict[str, Object] = {
            "cancel": {"spec": {"cancel": True}},
            "suspend": {"spec": {"suspend": True}},
            "resume": {"spec": {"suspend": False}},
            "ttl": {"spec": {"ttlSecondsAfterFinished": 7200}},
            "collect": {"metadata": {"annotations": collected}},
        }
        self.cluster.patch(Kind.RUN, "default", name, patches[change])

    def delete(self, name: str, cascade: str, *, hold: bool) -> None:
        run = self.simulation.run(name)
        if run is None or not self._disturb("delete a run"):
            return
        if cascade == "foreground" and self.unlabelled:
            return  # a crash may leave a finalizer on the Pod, and no controller finds it again
        self.deleted.add(run["metadata"]["uid"])
        if cascade == "orphan":
            self.orphaned.add(run["metadata"]["uid"])
        if hold:
            self.cluster.patch(Kind.RUN, "default", name, {"metadata": {"finalizers": [HOLD]}})
        self.cluster.delete_run(
            "default", name, orphan=cascade == "orphan", foreground=cascade == "foreground"
        )

    # -------------------------------------------------------------------------------- cluster

    def time_passes(self, seconds: float) -> None:
        self.cluster.agenda.advance(seconds)
        for controller in self.simulation.controllers:
            controller.ring()

    def harm_a_pod(self, index: int, harm: str) -> None:
        pods = self._labelled_and_claimed() if "labels" in harm else self.simulation.pods()
        if not pods or not self._disturb(harm):
            return
        pod = pods[index % len(pods)]
        if harm in ("delete", "force-delete"):
            self.delete_pod(pod, forced=harm == "force-delete")
        elif harm == "evict by the kubelet":
            if self.cluster.kubelet.has(pod["metadata"]["uid"]):
                message = "The node was low on resource: memory."
                self.cluster.kubelet.evict(pod["metadata"]["uid"], message)
        elif harm in ("evict", "preempt"):
            reason = "EvictionByEvictionAPI" if harm == "evict" else "PreemptionByScheduler"
            self.cluster.evict(pod, reason)
        else:
            self.strip_pod(pod, harm)

    def _labelled_and_claimed(self) -> list[Object]:
        """Return the Pods that may lose their labels; without them, only a claim leads to one."""
        runs = self.cluster.store.all(Kind.RUN)
        if any("deletionTimestamp" in run["metadata"] for run in runs):
            return []
        claimed = self.promise.claimed()
        return [pod for pod in self.simulation.pods() if pod["metadata"]["uid"] in claimed]

    def delete_pod(self, pod: Object, *, forced: bool) -> None:
        uid = pod["metadata"]["uid"]
        self.deleted.add(uid)
        if forced and not pod["metadata"].get("finalizers"):
            self.promise.forced.add(self.promise.created[uid])
        self.cluster.delete_pod(pod, grace=0 if forced else None)

    def strip_pod(self, pod: Object, harm: str) -> None:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        match harm:
            case "force its finalizer off":
                self.promise.forced.add(self.promise.created[uid])
                self.cluster.force_off_finalizers(pod)
            case "take its labels":
                self.unlabelled = True
                self.cluster.patch(Kind.POD, "default", name, {"metadata": {"labels": None}})
            case _:
                patch: Object = {"metadata": {"ownerReferences": None}}
                self.cluster.patch(Kind.POD, "default", name, patch)

    def harm_a_node(self, harm: str) -> None:
        """Harm the node that new Pods get, while there is another one."""
        if "node-1" not in self.cluster.nodes or not self._disturb(f"{harm} a node"):
            return
        if harm == "remove":
            self.remove_the_node()
            return
        act = {
            "lose": self.cluster.lose_node,
            "reboot": self.cluster.reboot_node,
        }
        act[harm]("node-1")

    def end_the_loss(self, *, removed: bool) -> None:
        """Remove the lost node for good, or bring it back."""
        if "node-1" in self.cluster.nodes:
            return
        if removed:
            self.remove_the_node()
        else:
            self.return_the_node()

    def admit(self, quota: int | None, refusal: str | None) -> None:
        """Set the quota of Pods, and the cause for which every Pod is refused."""
        self.quota = quota
        self.refusal = REFUSALS[refusal] if refusal else None

    def _disturb(self, what: str) -> bool:
        if self.disturbances == MOST_DISTURBANCES:
            return False
        self.disturbances += 1
        self.totals[f"disturbance: {what}"] += 1
        return True

    # ---------------------------------------------------------------------------- controllers

    def work(self, controller: int, sees: str, requests: list[str]) -> None:
        """Let a controller process its watch events of some kinds, then send some requests."""
        acting = self._controller(controller)
        for kind in sees.split():
            acting.see(Kind(kind))
        for fault in requests:
            if acting.begin() and acting.busy:
                self.totals["requests"] += 1
                self.totals[f"request: {fault}"] += fault != "arrives"
                acting.step(Fault[fault.upper()])

    def work_to_the_end(self, controller: int) -> None:
        """Let a controller process everything, without a fault."""
        self._controller(controller).work()

    def watch(self, controller: int, kind: str, event: str, behind: int) -> None:
        """Let one event arrive, lose all, or list the objects again or to compare the cache."""
        acting = self._controller(controller)
        self.totals[f"watch: {event}"] += 1
        if event == "one arrives":
            acting.see(Kind(kind), 1)
        elif event == "all are missed":
            acting.miss(Kind(kind))
        elif event == "list":
            acting.relist(Kind(kind), behind)
        else:
            acting.resync(behind)

    def crash(self, controller: int, behind: int) -> None:
        """Kill a controller; another process takes its place, maybe with an old list."""
        self._controller(controller).restart(behind)
        self.totals["controller: crash"] += 1

    def freeze(self, controller: int) -> None:
        """Stop a controller where it is; the other one acts in every step until the thaw."""
        if self.frozen is None:
            self.frozen = controller
            self.totals["controller: freeze"] += 1

    def thaw(self) -> None:
        self.frozen = None

    def a_late_request_arrives(self, index: int) -> None:
        late = [(c, i) for c in self.simulation.controllers for i in range(len(c.engine.late))]
        if not late:
            return
        controller, number = late[index % len(late)]
        arrive(controller.engine.late.pop(number))

    def _controller(self, number: int) -> Controller:
        return self.simulation.controllers[number if number != self.frozen else 1 - number]

    # ----------------------------------------------------------------------------- invariants

    def _check(self) -> None:
        """Check that work is done once, and only in Pods that were claimed."""
        for uid, budget in self.budgets.items():
            self.promise.check_work(uid, budget)
        self.promise.check_claims()

    @override
    def teardown(self) -> None:
        if sys.exc_info()[0] is None:
            self.check_end()

    def check_end(self) -> None:
        """End all faults; then every run ends, its outcomes are recorded, and nothing is left."""
        self.end_faults()
        self.come_to_rest()
        for run in self.cluster.store.all(Kind.RUN):
            if run["metadata"]["uid"] in self.orphaned:
                continue  # an orphaned Pod that still has our gate never ends
            assert run["status"].get("phase") in TERMINAL_PHASES, f"a run is stuck: {run['status']}"
            assert run["status"]["observedGeneration"] == run["metadata"]["generation"]
        self.promise.check_outcomes()
        self.check_deletions()
        self.release_runs()
        self.come_to_rest()
        self.release_runs()  # the TTL has deleted further ones
        self.come_to_rest()
        self._check()
        self.promise.check_outcomes()
        assert not list(self.cluster.store.all(Kind.RUN)), "a run is left"
        assert not [pod for pod in self.simulation.pods() if _is_held(pod)], "a Pod is left"
        self.totals["histories"] += 1
        self.totals["attempts"] += sum(len(s.get("attempts") or ()) for s in self._last_statuses())

    def _last_statuses(self) -> list[Object]:
        return list(self.promise.statuses.values())

    def check_deletions(self) -> None:
        """Check that no Pod of an open attempt was deleted but by users, or with its run."""
        for uid, status in self.promise.ends.items():
            for record in status.get("attempts") or ():
                deleted = record.get("reason") == Reason.POD_DELETED
                users = {uid, record["podUID"]} & self.deleted
                assert users or not deleted, f"a controller has deleted a running Pod: {record}"

    def end_faults(self) -> None:
        """Let every request arrive, give quota, resume the runs, and bring the node back."""
        self.quota = self.refusal = self.frozen = None
        for controller in self.simulation.controllers:
            for late in controller.engine.late:
                arrive(late)
            controller.engine.late.clear()
            while controller.busy:
                controller.step()
        for run in self.cluster.store.all(Kind.RUN):
            name = run["metadata"]["name"]
            self.cluster.patch(Kind.RUN, "default", name, {"spec": {"suspend": False}})
        self.return_the_node()

    def remove_the_node(self) -> None:
        """Remove the node; Kubernetes deletes its Pods, ended ones without another mark."""
        pods = self.simulation.pods()
        there = [pod for pod in pods if pod["spec"].get("nodeName") == "node-1"]
        self.deleted |= {pod["metadata"]["uid"] for pod in there}
        self.cluster.remove_node("node-1")

    def return_the_node(self) -> None:
        if "node-1" not in self.cluster.nodes:
            self.cluster.restore_node("node-1")
            self.cluster.nodes.sort()  # Pods go to the first one

    def come_to_rest(self) -> None:
        """Advance time until no event is left, with resyncs, which find what watches missed."""
        for _ in range(4):
            for controller in self.simulation.controllers:
                controller.resync()
                controller.unsettled = 0
            self.simulation.until()

    def release_runs(self) -> None:
        """Remove the finalizer of another program from every run."""
        for run in self.cluster.store.all(Kind.RUN):
            held = run["metadata"].get("finalizers") or ()
            patch = {"metadata": {"finalizers": [name for name in held if name != HOLD]}}
            self.cluster.patch(Kind.RUN, "default", run["metadata"]["name"], patch)


def _is_held(pod: Object) -> bool:
    """Return whether a labelled Pod still has a finalizer or an owner.

    No controller can find a Pod without labels whose run is gone.
    """
    metadata = pod["metadata"]
    held = metadata.get("finalizers") or metadata.get("ownerReferences")
    return bool(held and metadata.get("labels"))
