"""The cluster on which systems take turns: a test cluster with a simulated node."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path

from benchmarks.throughput import controller, stages
from benchmarks.throughput.api import Api
from benchmarks.throughput.checkout import ROOT
from benchmarks.throughput.system import LIFTED, System
from tests.cluster import Cluster
from tests.cluster.local import LocalDriver
from tests.cluster.progress import Progress
from tests.cluster.tuning import Tuning

COMPONENTS: Mapping[str, str] = {
    "apiserver": "kube-apiserver",
    "etcd": "etcd",
    "scheduler": "kube-scheduler",
    "controller-manager": "kube-controller-manager",
    "kwok": "kwok",
    "kubelet": "kubelet",
    "containerd": "containerd",
}
"""Components whose processor time is measured: name in the report, name in the test cluster."""
CONTROLLER, GENERATOR = "controller", "load generator"
NAMESPACE = "/api/v1/namespaces"
REPLACED_AFTER = 3.0
"""Seconds that the apiserver may need to serve a changed CRD."""
DISCOVERED_AFTER = 40.0
"""Seconds after which the garbage collector has discovered a new CRD; it looks every 30 s."""
REMOVED_WITHIN = 600.0
ACCOUNT_WITHIN = 120.0


class Testbed:
    """A cluster that is up, and the state in which the last turn left it."""

    def __init__(self, cluster: Cluster, api: Api, progress: Progress, logs: Path) -> None:
        self._cluster = cluster
        self.api = api
        self.progress = progress
        self._logs = logs
        self._tuning: Tuning | None = None
        self._definition = ""
        self._turns = 0
        self._apply(ROOT)
        self._discovered_at = time.monotonic() + DISCOVERED_AFTER

    @contextmanager
    def serving(self, system: System) -> Iterator[dict[str, int]]:
        """Prepare the control plane for a system; yield the process ids of all components."""
        self._turns += 1
        self._tune(system.tuning)
        if system.controller is None:
            yield self._pids()
            return
        self._apply(system.controller.checkout)
        self._wait_discovered()
        log = self._logs / f"{self._turns:03d}-{system.name}.log"
        with controller.running(system.controller, self._cluster.kubeconfig, log) as pid:
            yield {**self._pids(), CONTROLLER: pid}

    @asynccontextmanager
    async def namespace(self, served_by: System | None = None) -> AsyncIterator[str]:
        """Create a namespace for Pods, and remove it with its content after the block.

        An interrupted benchmark leaves that to the removal of the cluster.

        Args:
            served_by: system whose controller has to run during the removal.
        """
        name = await self._create_namespace()
        try:
            yield name
        except Exception:
            await self._remove_namespace(name, served_by)
            raise
        await self._remove_namespace(name, served_by)

    async def _create_namespace(self) -> str:
        body = {"metadata": {"generateName": "bench-"}}
        made = await self.api.send("POST", NAMESPACE, body)
        name: str = made["metadata"]["name"]
        account = f"{NAMESPACE}/{name}/serviceaccounts/default"
        await self._await(account, exists=True, within=ACCOUNT_WITHIN)
        return name

    async def _remove_namespace(self, name: str, served_by: System | None) -> None:
        with self.serving(served_by) if served_by else nullcontext():
            await self.api.read("DELETE", f"{NAMESPACE}/{name}")
            await self._await(f"{NAMESPACE}/{name}", exists=False, within=REMOVED_WITHIN)

    async def _await(self, path: str, *, exists: bool, within: float) -> None:
        deadline = time.monotonic() + within
        while (await self.api.find(path) is not None) is not exists:
            if time.monotonic() > deadline:
                state = "created" if exists else "removed"
                raise TimeoutError(f"{path} was not {state} within {within:.0f} s")
            await asyncio.sleep(0.2)

    def _tune(self, tuning: Tuning) -> None:
        if tuning != self._tuning:
            self._cluster.tune(tuning, progress=_quiet)
            self._tuning = tuning

    def _wait_discovered(self) -> None:
        """Wait until the garbage collector knows TaskRuns; before, it requests each owner."""
        if (seconds := self._discovered_at - time.monotonic()) > 0:
            self.progress.say(f"waiting {seconds:.0f} s for the garbage collector")
            time.sleep(seconds)

    def _apply(self, checkout: Path) -> None:
        """Apply the CRD of a checkout unless it is in effect."""
        text = (checkout / "crds" / "taskruns.yaml").read_text()
        if text == self._definition:
            return
        apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
        self._cluster.kubectl(*apply, stdin=text)
        established = ("wait", "--for=condition=Established", "crd/taskruns.taskruns.dev")
        self._cluster.kubectl(*established)
        time.sleep(REPLACED_AFTER)
        self._definition = text

    def _pids(self) -> dict[str, int]:
        pids = {name: self._cluster.pid(component) for name, component in COMPONENTS.items()}
        return {**{name: pid for name, pid in pids.items() if pid}, GENERATOR: os.getpid()}


@asynccontextmanager
async def testbed(name: str, logs: Path, *, keep: bool) -> AsyncIterator[Testbed]:
    """Bring a cluster up for the block, unless it is; restore its state afterwards.

    Args:
        name: the cluster's name.
        logs: folder for the logs of controllers.
        keep: leave a cluster up that was not.
    """
    cluster = Cluster(name, LocalDriver.name)
    was_up, tuning = cluster.is_up(), Tuning.read(cluster.place)
    progress = Progress(to_stderr)
    try:
        if not was_up:
            progress.say(f"starting cluster {name}")
            LIFTED.record(cluster.place)
            cluster.up(progress=_quiet)
        cluster.simulate_node(stages.configuration(), progress=to_stderr)
        async with Api(cluster.kubeconfig) as api:
            yield Testbed(cluster, api, progress, logs)
    finally:
        if was_up:
            cluster.tune(tuning, progress=_quiet)
        elif not keep:
            progress.say(f"removing cluster {name}")
            cluster.down(progress=_quiet)


def to_stderr(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)


def _quiet(line: str) -> None:
    """Drop a line of progress."""
