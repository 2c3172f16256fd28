"""Recovery time of the controller after an outage of the API server.

    python -m benchmarks.recovery [--rounds 3] [--seconds 60] [--cluster NAME] [--json]

It requires a running test cluster (`make cluster-up`) and starts its own controller. The API server
is stopped during a hundred runs at every stage. Meanwhile tasks end, and retries and deletions come
due. It prints times in seconds after the API server was ready again: until the first reconcile of a
run that was created at that moment, until the kubelet had reported the last Pod that ended
meanwhile, and until all due work was done. The times are those of events of the benchmark's own
watch, which is reopened every half second.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus

from urllib3.exceptions import HTTPError

from benchmarks.ground import Ground, options, watched
from taskruns.api.conditions import TERMINAL_PHASES, Phase
from tests.support.builders.lifecycle_points import NODE_LABEL
from tests.support.builders.manifests import shell
from tests.support.builders.scenario_runs import ScenarioRuns, create_limited_namespace
from tests.support.cluster.client import NAMESPACES, Kube
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import StartCounter
from tests.support.cluster.watch_recorder import Observation

PATIENCE = 300
GRACE = 20
ENDED = ("ended-well-unseen", "ended-badly-unseen")
DUE = (*ENDED, "being-deleted", "backing-off", "finished", "expiring")
"""Stages with work that comes due while the API server is down."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Times of one outage, in seconds after the API server was ready again."""

    first_look: float
    last_report: float
    all_done: float
    runs: int
    """Number of the hundred runs with work that was due."""


class Ready:
    """Thread that records when the API server becomes ready."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._at: datetime | None = None
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def at(self) -> datetime:
        """Wait until the API server is ready, and return the time."""
        self._thread.join(PATIENCE)
        if self._at is None:
            raise TimeoutError(f"the API server was not ready within {PATIENCE} s")
        return self._at

    def _poll(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with suppress(HTTPError, OSError):
                if self._kube.code("GET", "/readyz") == HTTPStatus.OK:
                    self._at = datetime.now(UTC)
                    return
            time.sleep(0.02)


def _done(name: str, run: Run) -> datetime | None:
    """Return when the due work of a run was done, or None."""
    if name in ENDED:
        return _first(run.history(), TERMINAL_PHASES)
    if name == "backing-off":
        second = run.pod_name(2)
        again = [pod[0].at for pod in run.pods() if pod[0].found["metadata"]["name"] == second]
        return again[0] if again else None
    histories = (run.history(),) if name == "expiring" else run.pods()
    return max(each[-1].at for each in histories) if all(e[-1].gone for e in histories) else None


def _first(history: tuple[Observation, ...], phases: Collection[str]) -> datetime | None:
    phases_seen = ((entry.at, (entry.found.get("status") or {}).get("phase")) for entry in history)
    return next((at for at, phase in phases_seen if phase in phases), None)


def _last(moments: list[datetime | None]) -> datetime | None:
    """Return the latest time, or None if a time is missing."""
    known = [moment for moment in moments if moment is not None]
    return max(known) if len(known) == len(moments) else None


class ProvingGround:
    """A cluster with a controller, and the tools that observe it."""

    def __init__(self, ground: Ground, start_counter: StartCounter) -> None:
        self._cluster = ground.cluster
        self._kube = ground.kube
        self._watch_recorder = ground.watch_recorder
        self._start_counter = start_counter

    def measure(self, seconds: float) -> Recovery:
        """Bring a hundred runs to their stages, and stop the API server for `seconds`."""
        made = self._kube.create(NAMESPACES, None, {"metadata": {"generateName": "recovery-"}})
        scenario = Scenario(
            self._kube, self._watch_recorder, self._start_counter, made["metadata"]["name"]
        )
        limited_namespace = f"{scenario.namespace}-crowded"
        create_limited_namespace(self._kube, limited_namespace)
        try:
            scenario_runs = ScenarioRuns(scenario, limited_namespace, seconds)
            scenario_runs.reach_points()
            recovery = self._outage(scenario, scenario_runs, seconds)
            scenario_runs.release(self._cluster)
            return recovery
        finally:
            self._cluster.kubectl("label", "node", self._cluster.node_name, f"{NODE_LABEL}-")
            for name in (scenario.namespace, limited_namespace):
                self._kube.delete(NAMESPACES, None, name)
            self._await(
                partial(self._gone, scenario.namespace, limited_namespace),
                "the namespaces are gone",
            )

    def _outage(self, scenario: Scenario, scenario_runs: ScenarioRuns, seconds: float) -> Recovery:
        self._cluster.stop("kube-apiserver", GRACE)
        scenario_runs.end_unseen()
        time.sleep(seconds)  # the outage
        ready = Ready(self._kube)
        starting = threading.Thread(target=self._cluster.start, args=("kube-apiserver",))
        starting.start()
        began = ready.at()
        fresh = scenario.create("fresh", shell("true"))
        starting.join()
        due = [(name, run) for name in DUE for run in scenario_runs.runs[name]]
        pods = [run for name, run in due if name in ENDED]
        looked = self._await(partial(_looked_at, fresh), "the new run is reconciled")
        ended = self._await(partial(_reported, pods), "the kubelet has reported all ends")
        done = self._await(lambda: _last([_done(*each) for each in due]), "all is done")
        first, last, end = (round((at - began).total_seconds(), 1) for at in (looked, ended, done))
        return Recovery(first, last, end, len(due))

    def _await(self, look: Callable[[], datetime | None], condition: str) -> datetime:
        return self._watch_recorder.wait(look, PATIENCE, condition)

    def _gone(self, *names: str) -> datetime | None:
        left = [self._kube.get(NAMESPACES, None, name) for name in names]
        return None if any(left) else datetime.now(UTC)


def _looked_at(run: Run) -> datetime | None:
    return _first(run.history(), frozenset(Phase))


def _reported(runs: list[Run]) -> datetime | None:
    return _last([_first(run.pods()[0], ("Succeeded", "Failed")) for run in runs])


@contextmanager
def proving_ground(name: str) -> Iterator[ProvingGround]:
    """Start a controller on a cluster for the block."""
    with watched(name) as ground:
        start_counter = StartCounter(ground.cluster, ground.kube, ground.watch_recorder)
        start_counter.open()
        try:
            with ControllerProcess(ground.cluster, "--default-delete-delay=1s").at_work():
                yield ProvingGround(ground, start_counter)
        finally:
            start_counter.close()


def table(recoveries: list[Recovery]) -> str:
    """Return the outcomes as a table for readers."""
    heads = f"{'seconds after the API server was ready':42}" + "".join(
        f"{f'round {number}':>10}" for number in range(1, len(recoveries) + 1)
    )
    rows = {
        "first reconcile of a new run": [each.first_look for each in recoveries],
        "last end reported by the kubelet": [each.last_report for each in recoveries],
        "all due work done": [each.all_done for each in recoveries],
    }
    lines = [
        f"{name:42}" + "".join(f"{each:10.1f}" for each in values) for name, values in rows.items()
    ]
    return "\n".join([heads, *lines, f"{recoveries[0].runs} of 100 runs had due work"])


def main(argv: list[str]) -> int:
    """Run the benchmark and print the outcomes."""
    parser = options("recovery", __doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="number of outages (3)")
    parser.add_argument(
        "--seconds", type=float, default=60, metavar="N", help="of each outage (60)"
    )
    args = parser.parse_args(argv)
    with proving_ground(args.cluster) as place:
        rounds = [place.measure(args.seconds) for _ in range(args.rounds)]
    print(json.dumps([asdict(each) for each in rounds], indent=2) if args.json else table(rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
