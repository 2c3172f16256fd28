"""Every request of a run fails in every way, and the run ends as if none had failed."""

from functools import cache
from typing import Any

import pytest

from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.engines.engine import Object
from tests.simulation import Cluster, Kind, Script
from tests.support.builders.objects import a_run
from tests.support.faults.request_faults import Fate, arrive
from tests.support.promise import Promise
from tests.support.world import World

FAULTS = [fate for fate in Fate if fate is not Fate.ARRIVES]
MOST_REQUESTS = 16
SPEC = {"podGC": {"deleteDelayDuration": "0s"}, "ttlSecondsAfterFinished": -1}
SOON = {"duration": "1s", "factor": 1}


class Scenario:
    """A run that is stepped request by request, so that one of them can fail."""

    def __init__(self, scripts: list[Script], *, cancelled: bool = False, **spec: Any) -> None:
        self._scripts = scripts
        self._cancelled = cancelled
        self._spec = {**SPEC, **spec}

    def play(self, fault_at: int, fate: Fate) -> tuple[World, int]:
        """Return the world at rest, and the number of requests made."""
        world = World(Cluster(self._script))
        self.promise = Promise(world.cluster)
        world.cluster.create_run(a_run(**self._spec))
        requests = 0
        while not self._is_over(world):
            requests = self._settle(world, requests, fault_at, fate)
            if self._cancels_now(world):
                world.cluster.patch(Kind.RUN, "default", "hello", {"spec": {"cancel": True}})
                continue
            moment = world.next_moment()
            if moment is None:
                break
            world.cluster.agenda.advance_to(moment)
            world.controllers[0].ring()
        for late in world.controllers[0].engine.late:
            arrive(late)
        world.until()
        return world, requests

    def _settle(self, world: World, requests: int, fault_at: int, fate: Fate) -> int:
        controller = world.controllers[0]
        while any(controller.unseen.values()) or controller.queue:
            for kind in Kind:
                controller.see(kind)
            while controller.begin():
                while controller.busy:
                    requests += 1
                    controller.step(fate if requests == fault_at else Fate.ARRIVES)
        return requests

    def _cancels_now(self, world: World) -> bool:
        run = world.run()
        assert run is not None
        cancelled = run["spec"].get("cancel") or not self._cancelled
        return not cancelled and run["status"].get("phase") == "Running"

    def _is_over(self, world: World) -> bool:
        return world.status().get("phase") in TERMINAL_PHASES and not world.pods()

    def _script(self, _pod: Object, container: Object) -> Script:
        env = {item["name"]: item["value"] for item in container["env"]}
        return self._scripts[int(env["TASKRUN_ATTEMPT"]) - 1]


SCENARIOS = {
    "success": Scenario([Script()]),
    "longer success": Scenario([Script(seconds=5)]),
    "failure": Scenario([Script(exit_code=3)]),
    "retries": Scenario([Script(exit_code=7), Script()], backoffLimit=1, backoff=SOON),
    "cancel": Scenario([Script(seconds=500, term_seconds=0.5)], cancelled=True),
    "deadline": Scenario([Script(seconds=500, term_seconds=0.5)], activeDeadlineSeconds=3),
}


@pytest.mark.parametrize("fate", FAULTS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_request_that_goes_wrong_changes_nothing_of_the_end(name: str, fate: Fate) -> None:
    scenario = SCENARIOS[name]
    expected, requests = undisturbed(name)
    for fault_at in range(1, requests + 1):
        world, _ = scenario.play(fault_at, fate)
        assert end_of(world) == expected, f"request {fault_at} {fate}"
        assert not world.pods()
        assert not world.controllers[0].unsettled
        scenario.promise.check_claims()


@cache
def undisturbed(name: str) -> tuple[Any, int]:
    """Return the end of a run without faults, and its number of requests."""
    world, requests = SCENARIOS[name].play(0, Fate.ARRIVES)
    assert 5 <= requests < MOST_REQUESTS
    return end_of(world), requests


def end_of(world: World) -> Any:
    """Return the end of a run, and the number of times that its work was started."""
    status = world.status()
    outcomes = [(a["outcome"], a.get("exitCode")) for a in status["attempts"]]
    started = len(world.cluster.kubelet.executions)
    return status["phase"], status["reason"], status.get("exitCode"), outcomes, started
