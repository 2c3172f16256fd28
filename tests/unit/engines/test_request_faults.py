"""Every request of a run fails in every way, and the run ends as if none had failed."""

from functools import cache
from typing import Any

import pytest

from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.core.unstructured import Object
from taskruns.engines.engine import Conflict
from tests.simulation import Cluster, Kind, MemoryEngine, Script
from tests.support.builders.objects import a_run
from tests.support.faults.request_faults import Fault, arrive
from tests.support.promise import Promise
from tests.support.simulation import Simulation

FAULTS = [fault for fault in Fault if fault is not Fault.ARRIVES]
MOST_REQUESTS = 16
SPEC = {"podGC": {"deleteDelayDuration": "0s"}, "ttlSecondsAfterFinished": -1}
SOON = {"duration": "1s", "factor": 1}


class Scenario:
    """A run that is stepped request by request, so that one of them can fail."""

    def __init__(self, scripts: list[Script], *, cancelled: bool = False, **spec: Any) -> None:
        self._scripts = scripts
        self._cancelled = cancelled
        self._spec = {**SPEC, **spec}

    def play(self, fault_at: int, fault: Fault) -> tuple[Simulation, int]:
        """Return the simulation at rest, and the number of requests made."""
        simulation = Simulation(Cluster(self._script))
        self.promise = Promise(simulation.cluster)
        simulation.cluster.create_run(a_run(**self._spec))
        requests = 0
        while not self._is_over(simulation):
            requests = self._settle(simulation, requests, fault_at, fault)
            if self._cancels_now(simulation):
                simulation.cluster.patch(Kind.RUN, "default", "hello", {"spec": {"cancel": True}})
                continue
            moment = simulation.next_moment()
            if moment is None:
                break
            simulation.cluster.agenda.advance_to(moment)
            simulation.controllers[0].ring()
        for late in simulation.controllers[0].engine.late:
            arrive(late)
        simulation.until()
        return simulation, requests

    def _settle(self, simulation: Simulation, requests: int, fault_at: int, fault: Fault) -> int:
        controller = simulation.controllers[0]
        while any(controller.unseen.values()) or controller.queue:
            for kind in Kind:
                controller.see(kind)
            while controller.begin():
                while controller.busy:
                    requests += 1
                    controller.step(fault if requests == fault_at else Fault.ARRIVES)
        return requests

    def _cancels_now(self, simulation: Simulation) -> bool:
        run = simulation.run()
        assert run is not None
        cancelled = run["spec"].get("cancel") or not self._cancelled
        return not cancelled and run["status"].get("phase") == "Running"

    def _is_over(self, simulation: Simulation) -> bool:
        return simulation.status().get("phase") in TERMINAL_PHASES and not simulation.pods()

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


@pytest.mark.guarantee("Nothing is lost or repeated when requests arrive late, twice or not at all")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_faulty_request_does_not_change_the_outcome(name: str, fault: Fault) -> None:
    scenario = SCENARIOS[name]
    expected, requests = undisturbed(name)
    for fault_at in range(1, requests + 1):
        simulation, _ = scenario.play(fault_at, fault)
        assert end_of(simulation) == expected, f"request {fault_at} {fault}"
        assert not simulation.pods()
        assert not simulation.controllers[0].unsettled
        scenario.promise.check_claims()


def test_the_simulation_of_a_run_that_never_settles_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def conflict(*_: object) -> None:
        raise Conflict("as always")

    monkeypatch.setattr(MemoryEngine, "write_status", conflict)
    with pytest.raises(AssertionError, match="a run does not come to rest"):
        Scenario([Script()]).play(0, Fault.ARRIVES)


@cache
def undisturbed(name: str) -> tuple[Any, int]:
    """Return the end of a run without faults, and its number of requests."""
    simulation, requests = SCENARIOS[name].play(0, Fault.ARRIVES)
    assert 5 <= requests < MOST_REQUESTS
    return end_of(simulation), requests


def end_of(simulation: Simulation) -> Any:
    """Return the end of a run, and the number of times that its work was started."""
    status = simulation.status()
    outcomes = [(a["outcome"], a.get("exitCode")) for a in status["attempts"]]
    started = len(simulation.cluster.kubelet.executions)
    return status["phase"], status["reason"], status.get("exitCode"), outcomes, started
