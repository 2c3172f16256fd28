"""The promise holds in every order of events, requests, faults and crashes that is generated."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.core.unstructured import Object
from tests.simulation import Cluster, Kind, Latency, Script
from tests.support.builders.objects import a_run
from tests.support.faults.request_faults import Fault, arrive
from tests.support.promise import Promise
from tests.support.simulation import Controller, Simulation

pytestmark = pytest.mark.guarantee(
    "The promise holds in every order of events, requests, faults and crashes that a test generates"
)

SCRIPTS = st.builds(
    Script,
    seconds=st.sampled_from([0.1, 1.0, 3.0, 30.0]),
    exit_code=st.sampled_from([0, 0, 1, 3]),
    term_seconds=st.sampled_from([None, 0.5, 10.0]),
    term_exit_code=st.sampled_from([0, 143]),
)
SPECS = st.fixed_dictionaries(
    {"backoffLimit": st.integers(0, 2), "podGC": st.just({"deleteDelayDuration": "5s"})},
    optional={
        "activeDeadlineSeconds": st.sampled_from([2, 20]),
        "attemptDeadlineSeconds": st.sampled_from([1, 5]),
        "scheduleTimeoutSeconds": st.just(2),
        "startupTimeoutSeconds": st.sampled_from([1, 5]),
        "disruptionLimit": st.integers(0, 2),
        "podFailurePolicy": st.sampled_from(["FailJob", "Count"]).map(
            lambda action: {
                "rules": [
                    {"action": action, "onExitCodes": {"operator": "In", "values": [3, 143]}},
                    {"action": action, "onPodConditions": [{"type": "DisruptionTarget"}]},
                ]
            }
        ),
        "backoff": st.just({"duration": "1s"}),
    },
)
FATES = st.sampled_from(
    [Fault.ARRIVES] * 12 + [fault for fault in Fault if fault is not Fault.ARRIVES]
)
CONTROLLERS = st.sampled_from([0, 1])
SIGHTS = st.sampled_from([tuple(Kind), tuple(Kind), (), (Kind.RUN,), (Kind.POD,)])
"""Kinds whose watch events a controller gets in one step."""

TROUBLES = (
    "cancel",
    "suspend",
    "resume",
    "delete the run",
    "orphan",
    "hold the run",
    "hold and delete the run",
    "hold and orphan",
    "delete in the foreground",
    "hold and delete in the foreground",
    "change the TTL",
    "delete a pod",
    "force-delete a pod",
    "force a pod's finalizer off",
    "evict a pod",
    "take a pod's labels",
    "take a pod's ownerReferences",
    "lose the node",
    "remove the node",
)

HOLD = "example.test/hold"
"""A finalizer of another program on the run."""


class Machine(RuleBasedStateMachine):
    """Two controllers and one run, in a cluster with every kind of fault."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[Script] = []
        self.cluster = Cluster(self._script, Latency(start=2.0))
        self.promise = Promise(self.cluster)
        self.simulation = Simulation(self.cluster, controllers=2)
        self.budget = 0
        self.uid = ""
        self.troubles: list[str] = []

    def _script(self, _pod: Object, container: Object) -> Script:
        env = {item["name"]: item["value"] for item in container["env"]}
        return self.scripts[(int(env["TASKRUN_ATTEMPT"]) - 1) % len(self.scripts)]

    @initialize(
        spec=SPECS,
        scripts=st.lists(SCRIPTS, min_size=1, max_size=3),
        troubles=st.lists(st.sampled_from(TROUBLES), max_size=2),
        node_returns=st.booleans(),
    )
    def create(
        self,
        spec: dict[str, Any],
        scripts: list[Script],
        troubles: list[str],
        *,
        node_returns: bool,
    ) -> None:
        self.troubles = troubles
        self.node_returns = node_returns
        self.scripts = scripts
        self.budget = spec["backoffLimit"] + spec.get("disruptionLimit", 0)
        run = self.cluster.create_run(a_run(**spec))
        self.uid = run["metadata"]["uid"]

    def controller(self, number: int) -> Controller:
        return self.simulation.controllers[number]

    # ------------------------------------------------------------------ actions of controllers

    @rule(number=CONTROLLERS, kinds=SIGHTS, fates=st.lists(FATES, min_size=1, max_size=6))
    def work(self, number: int, kinds: tuple[Kind, ...], fates: list[Fault]) -> None:
        controller = self.controller(number)
        for kind in kinds:
            controller.see(kind)
        for fault in fates:
            if controller.begin() and controller.busy:
                controller.step(fault)

    @rule(number=CONTROLLERS, kind=st.sampled_from(Kind))
    def see_one_event(self, number: int, kind: Kind) -> None:
        self.controller(number).see(kind, 1)

    @rule(number=CONTROLLERS)
    def crash(self, number: int) -> None:
        self.controller(number).restart()

    @precondition(lambda self: any(c.engine.late for c in self.simulation.controllers))
    @rule(data=st.data())
    def a_late_request_arrives(self, data: st.DataObject) -> None:
        late = [(c, i) for c in self.simulation.controllers for i in range(len(c.engine.late))]
        controller, index = data.draw(st.sampled_from(late))
        arrive(controller.engine.late.pop(index))

    # ------------------------------------------------------------------ faults and user actions

    @rule(seconds=st.sampled_from([0.01, 0.2, 0.5, 1.0, 3.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.cluster.agenda.advance(seconds)
        for controller in self.simulation.controllers:
            controller.ring()

    @precondition(lambda self: self.troubles)
    @rule(data=st.data())
    def trouble(self, data: st.DataObject) -> None:
        trouble, pods = self.troubles[-1], self.simulation.pods()
        if trouble == "cancel" and self.simulation.run() is not None:
            self.cluster.patch(Kind.RUN, "default", "hello", {"spec": {"cancel": True}})
        elif trouble in ("suspend", "resume"):
            self.suspend(suspend=trouble == "suspend")
        elif "the run" in trouble or "orphan" in trouble or "foreground" in trouble:
            self.take_the_run(trouble)
        elif trouble == "change the TTL" and self.simulation.run() is not None:
            patch = {"spec": {"ttlSecondsAfterFinished": 7200}}
            self.cluster.patch(Kind.RUN, "default", "hello", patch)
        elif not pods:
            return
        elif "node" in trouble:
            self.harm_the_node(trouble)
        else:
            self.harm_a_pod(trouble, data.draw(st.sampled_from(pods)))
        self.troubles.pop()

    def take_the_run(self, how: str) -> None:
        """Put a finalizer of another program on the run, delete it, or both."""
        if "hold" in how and self.simulation.run() is not None:
            self.cluster.patch(Kind.RUN, "default", "hello", {"metadata": {"finalizers": [HOLD]}})
        if how != "hold the run":
            orphan, foreground = "orphan" in how, "foreground" in how
            self.cluster.delete_run("default", "hello", orphan=orphan, foreground=foreground)

    def suspend(self, *, suspend: bool) -> None:
        """Suspend or resume the run; work that a suspension stops starts once more, uncounted."""
        if self.simulation.run() is not None:
            self.budget += suspend
            self.cluster.patch(Kind.RUN, "default", "hello", {"spec": {"suspend": suspend}})

    def harm_a_pod(self, how: str, pod: Object) -> None:
        if how == "evict a pod":
            self.cluster.evict(pod)
        elif how == "force a pod's finalizer off":
            self.promise.forced = True
            self.cluster.force_off_finalizers(pod)
        elif how.startswith("take a pod's "):
            name, part = pod["metadata"]["name"], how.removeprefix("take a pod's ")
            self.cluster.patch(Kind.POD, "default", name, {"metadata": {part: None}})
        else:
            self.cluster.delete_pod(pod, grace=0 if how == "force-delete a pod" else None)

    def harm_the_node(self, how: str) -> None:
        self.cluster.add_node("node-2")
        if how == "lose the node" and "node-1" in self.cluster.nodes:
            self.cluster.lose_node("node-1")
        elif how == "remove the node":
            self.cluster.remove_node("node-1")

    # ------------------------------------------------------------------ invariants

    @invariant()
    def the_work_is_done_once(self) -> None:
        self.promise.check_work(self.uid, self.budget)
        self.promise.check_claims()

    @override
    def teardown(self) -> None:
        if not self.uid:
            return
        self.calm_down()
        self.come_to_rest()
        run = self.simulation.run()
        if run is not None:
            assert run["status"]["phase"] in TERMINAL_PHASES, run["status"]
            assert run["status"]["observedGeneration"] == run["metadata"]["generation"]
            self.promise.check_outcomes(run)
        self.let_the_run_go()
        self.simulation.until()
        self.let_the_run_go()
        self.simulation.until()
        self.the_work_is_done_once()
        assert self.simulation.run() is None
        assert not [pod for pod in self.simulation.pods() if _is_held(pod)]
        assert not any(controller.unsettled for controller in self.simulation.controllers)

    def calm_down(self) -> None:
        """Let every request arrive, and restore the node or remove it for good."""
        for controller in self.simulation.controllers:
            for late in controller.engine.late:
                arrive(late)
            controller.engine.late.clear()
            while controller.busy:
                controller.step()
            controller.unsettled = 0
        self.suspend(suspend=False)
        if "node-1" not in self.cluster.nodes and self.node_returns:
            self.cluster.restore_node("node-1")
        elif "node-1" not in self.cluster.nodes:
            self.cluster.remove_node("node-1")

    def come_to_rest(self) -> None:
        """Advance time until the run has ended, with a resync whenever no event is left."""
        for _ in range(10):
            self.simulation.until(self.has_ended)
            if self.has_ended():
                return
            for controller in self.simulation.controllers:
                controller.resync()

    def let_the_run_go(self) -> None:
        """Remove the finalizer of another program."""
        run = self.simulation.run()
        if run is not None and HOLD in (run["metadata"].get("finalizers") or ()):
            remaining = [name for name in run["metadata"]["finalizers"] if name != HOLD]
            patch = {"metadata": {"finalizers": remaining}}
            self.cluster.patch(Kind.RUN, "default", "hello", patch)

    def has_ended(self) -> bool:
        run = self.simulation.run()
        return run is None or run["status"].get("phase") in TERMINAL_PHASES


def _is_held(pod: Object) -> bool:
    """Return whether a labelled Pod still has a finalizer or an owner.

    No controller can find a Pod without labels whose run is gone.
    """
    metadata = pod["metadata"]
    held = metadata.get("finalizers") or metadata.get("ownerReferences")
    return bool(held and metadata.get("labels"))


TestPromise = Machine.TestCase
