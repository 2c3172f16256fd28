"""Time without a leader: how soon a run gets its Pod when the leading controller is lost.

    python -m benchmarks.failover [--rounds 5] [--cluster NAME] [--json]

It requires a running test cluster (`make cluster-up`) and starts two controllers with the default
times of the leader election. In each round the leader is lost in four ways: it is killed (SIGKILL),
stopped (SIGTERM), frozen (SIGSTOP, and resumed when the other leads), and cut off from its Lease.
A run is created at the moment of the loss. It prints the seconds until that run had its Pod, by the
benchmark's own watch. For a leader that was cut off it prints the seconds between its last
permission to write, by its own log, and the first moment at which the other led.

Tasks run meanwhile. The benchmark fails if one of them was started twice or did not succeed.
"""

import json
import os
import re
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from benchmarks.ground import Ground, options, watched
from taskruns.api import names
from tests.support.builders.manifests import shell
from tests.support.cluster.client import NAMESPACES, RUNS, Object
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.faults.fault_proxy import Fault, FaultProxy, ProxiedRequest

PATIENCE = 60.0
LONG_SECONDS = 45
"""Duration of the task that runs while the leader is lost, in seconds."""


class Controller:
    """A controller that reaches the apiserver through a proxy of its own."""

    def __init__(self, ground: Ground, namespace: str, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.proxy = stack.enter_context(FaultProxy(ground.cluster.kubeconfig))
        self.process = ControllerProcess(
            ground.cluster,
            *("--namespaces", namespace, "--leader-elect-lease", f"{namespace}/failover"),
            *("--log-format=json", "--default-delete-delay=0s"),
            kubeconfig=self.proxy.kubeconfig(folder),
        )
        stack.callback(self.process.kill)
        self.process.start()

    def leads(self) -> bool:
        """Return whether this controller leads, by its /readyz."""
        url = f"http://{self.process.address('probes')}/readyz"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return b"this controller leads" in answer.read()

    def times(self, message: str) -> list[datetime]:
        """Return the times of the log lines that begin with a message."""
        lines = self.process.log.read_text(errors="replace")
        found = re.findall(rf'"time": "([^"]+)".*"message": "{message}', lines)
        return [datetime.fromisoformat(each) for each in found]


class Pair:
    """Two controllers of one namespace, and the runs that they serve."""

    def __init__(self, ground: Ground, namespace: str, stack: ExitStack) -> None:
        self._ground = ground
        self._namespace = namespace
        self._controllers = [Controller(ground, namespace, stack) for _ in range(2)]
        self._runs: list[Object] = []

    def killed(self) -> float:
        """Kill the leader; return the seconds until a new run has its Pod."""
        leader, _ = self._settled()
        seconds = self._until_pod("killed", leader.process.kill)
        leader.process.start()
        return seconds

    def stopped(self) -> float:
        """Stop the leader, as a rollout or a drain does; return the same."""
        leader, _ = self._settled()
        pid = leader.process.pid
        seconds = self._until_pod("stopped", lambda: os.kill(pid, signal.SIGTERM))
        leader.process.kill()
        leader.process.start()
        return seconds

    def frozen(self) -> float:
        """Freeze the leader until the other leads; return the same."""
        leader, other = self._settled()
        lost = len(leader.times("no longer leading"))
        seconds = self._until_pod("frozen", lambda: os.kill(leader.process.pid, signal.SIGSTOP))
        _await(other.leads, "the other leads")
        os.kill(leader.process.pid, signal.SIGCONT)
        _await(lambda: len(leader.times("no longer leading")) > lost, "the leader stops")
        return seconds

    def cut_off(self) -> float:
        """Cut the leader off from its Lease; return the seconds from its end to the next leader."""
        leader, other = self._settled()
        leader.proxy.choose_fault = _lose_leases
        _await(other.leads, "the other leads")
        ended, begun = leader.times("no longer leading")[-1], other.times("leading: ")[-1]
        leader.proxy.choose_fault = lambda _: None
        return (begun - ended).total_seconds()

    def long(self) -> None:
        """Create a run that works while leaders are lost."""
        self._create(f"long-{len(self._runs)}", f"sleep {LONG_SECONDS}")

    def check(self) -> None:
        """Wait for every run.

        Raises:
            RuntimeError: a run did not succeed with its first attempt and one Pod.
        """
        watch_recorder = self._ground.watch_recorder
        for run in self._runs:
            uid = run["metadata"]["uid"]

            def status(uid: str = uid) -> Object | None:
                last = watch_recorder.last(uid)
                status = (last.found.get("status") or {}) if last else {}
                return status if status.get("completionTime") else None

            end = watch_recorder.wait(status, LONG_SECONDS + PATIENCE, "the run has ended")
            pods = len(watch_recorder.pods_of(uid))
            if (end["phase"], end["attempt"], pods) != ("Succeeded", 1, 1):
                raise RuntimeError(f"{run['metadata']['name']}: {pods} Pods, {end}")

    def _settled(self) -> tuple[Controller, Controller]:
        """Wait until both controllers are ready and one leads; return it first."""
        first, second = self._controllers
        _await(lambda: first.process.is_ready() and second.process.is_ready(), "both are ready")
        _await(lambda: first.leads() != second.leads(), "one leads")
        time.sleep(2.5)  # several periods of both, so that each round begins alike
        return (first, second) if first.leads() else (second, first)

    def _until_pod(self, name: str, lose: Callable[[], None]) -> float:
        """Lose the leader, create a run, and return the seconds until it has its Pod."""
        began = time.monotonic()
        lose()
        uid = self._create(f"{name}-{len(self._runs)}", "true")["metadata"]["uid"]
        watch_recorder = self._ground.watch_recorder
        watch_recorder.wait(lambda: watch_recorder.pods_of(uid) or None, PATIENCE, "it has a Pod")
        return time.monotonic() - began

    def _create(self, name: str, script: str) -> Object:
        manifest = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name},
            "spec": shell(script),
        }
        run = self._ground.kube.create(RUNS, self._namespace, manifest)
        self._runs.append(run)
        return run


def _lose_leases(request: ProxiedRequest) -> Fault | None:
    return Fault.LOST if "/leases/" in request.path else None


def _await(look: Callable[[], object], condition: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:g} s: {condition}")
        time.sleep(0.02)


@contextmanager
def pair(name: str) -> Iterator[Pair]:
    """Start two controllers on a cluster for the block."""
    with watched(name) as ground, ExitStack() as stack:
        made = ground.kube.create(NAMESPACES, None, {"metadata": {"generateName": "failover-"}})
        namespace = made["metadata"]["name"]
        stack.callback(ground.kube.delete, NAMESPACES, None, namespace)
        yield Pair(ground, namespace, stack)


LOSSES: dict[str, Callable[[Pair], float]] = {
    "killed: until a new run has its Pod": Pair.killed,
    "stopped: until a new run has its Pod": Pair.stopped,
    "frozen: until a new run has its Pod": Pair.frozen,
    "cut off: between the two leaders": Pair.cut_off,
}


def table(figures: dict[str, list[float]]) -> str:
    """Return the figures as a table for readers."""
    heads = f"{'seconds, the leader was':40}{'least':>8}{'median':>8}{'most':>8}"
    rows = [
        f"{name:40}{min(values):8.2f}{statistics.median(values):8.2f}{max(values):8.2f}"
        for name, values in figures.items()
    ]
    return "\n".join([heads, *rows])


def main(argv: list[str]) -> int:
    """Run the benchmark and print the figures."""
    parser = options("failover", __doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="number of rounds (5)")
    args = parser.parse_args(argv)
    figures: dict[str, list[float]] = {name: [] for name in LOSSES}
    with pair(args.cluster) as controllers:
        for _ in range(args.rounds):
            controllers.long()
            for name, lose in LOSSES.items():
                figures[name].append(round(lose(controllers), 2))
        controllers.check()
    print(json.dumps(figures, indent=2) if args.json else table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
