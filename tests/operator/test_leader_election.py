"""Leader election on the real apiserver: the Lease with the chart's permissions, and two processes.

The two processes are killed, stopped, frozen and cut off in one test, with a Lease that expires
after three seconds. `benchmarks/failover.py` measures the same with the default settings.
"""

import asyncio
import os
import re
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from taskruns.core.election import Timing
from taskruns.engines.kubernetes import connect
from taskruns.operator.leader_election import LeaderElection, LeaseName
from tests.cluster import Cluster
from tests.operator.conftest import ARGUMENTS, Submit
from tests.support.cluster.audit import Audit
from tests.support.cluster.client import Kube, Object, Refused, Resource
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.service_account import account, kubeconfig_of
from tests.support.cluster.watch_recorder import WatchRecorder
from tests.support.faults.fault_proxy import Fault, FaultProxy, ProxiedRequest
from tools import helm as helm_tool

Ended = Callable[..., Object]

CHART = Path(__file__).parents[2] / "charts" / "taskruns"
LEASES = Resource("/apis/coordination.k8s.io/v1", "leases")
NAME = "taskruns"
SHORT = Timing(lease_duration=1.0, renew_deadline=0.7, retry_period=0.05)
TIMES = (
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=200ms",
)
PATIENCE = 60

# ---------------------------------------------------------------------------- the Lease


@pytest.fixture
def kubeconfig(cluster: Cluster, namespace: str, helm: Path, tmp_path: Path) -> Path:
    """Provide a kubeconfig with only the permissions that the chart gives for the election."""
    assert helm.exists()
    account(cluster, namespace, NAME)
    rendered = helm_tool.template(CHART, namespace)
    own = [each for each in rendered if each["metadata"]["name"] == f"{NAME}-leader-election"]
    assert [each["kind"] for each in own] == ["Role", "RoleBinding"]
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(own))
    return kubeconfig_of(cluster, namespace, NAME, tmp_path)


@asynccontextmanager
async def electing(
    kubeconfig: Path, namespace: str, identity: str
) -> AsyncIterator[LeaderElection]:
    """Take part in the election for the block; leave it without a release, as by SIGKILL."""
    connection = await connect(str(kubeconfig), None, 2)
    election = LeaderElection(connection, LeaseName(namespace, NAME), identity, SHORT)
    forever = asyncio.Event()
    task = asyncio.create_task(election.run(forever.wait))  # type: ignore[arg-type]
    try:
        yield election
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connection.close()


async def until(look: Callable[[], object], what: str) -> None:
    for _ in range(1000):
        if look():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not in time: {what}")


async def test_a_lease_is_created_renewed_taken_over_and_released(
    kubeconfig: Path, namespace: str, kube: Kube
) -> None:
    def lease() -> Object:
        found = kube.get(LEASES, namespace, NAME)
        assert found is not None
        return found

    async with electing(kubeconfig, namespace, "first") as first:
        await until(first.leads, "the first process creates the Lease")
        created = lease()
        assert created["spec"]["holderIdentity"] == "first"
        assert created["spec"]["leaseTransitions"] == 0
        renewed = created["spec"]["renewTime"]
        await until(lambda: lease()["spec"]["renewTime"] > renewed, "it renews the Lease")
        assert lease()["spec"]["acquireTime"] == created["spec"]["acquireTime"]
    async with electing(kubeconfig, namespace, "second") as second:
        await until(lambda: not second.problem(), "the second process reads the Lease")
        assert second.leader() == "standby; first leads"
        await until(second.leads, "the second process takes the Lease over")
        assert lease()["spec"]["leaseTransitions"] == 1
        kube.delete(LEASES, namespace, NAME)
        await until(lambda: kube.get(LEASES, namespace, NAME), "it creates a deleted Lease again")
        async with electing(kubeconfig, namespace, "third") as third:
            await until(lambda: third.leader() == "standby; second leads", "a third stands by")
            kube.merge(LEASES, namespace, NAME, {"spec": {"holderIdentity": "third"}})
            await until(third.leads, "the Lease is moved to the third process by hand")
            await until(lambda: second.leader() == "standby; third leads", "the second stops")
            await third.release()
            await until(lambda: second.leads() or third.leads(), "a released Lease is taken")


def test_the_chart_allows_exactly_one_lease(
    kubeconfig: Path, namespace: str, cluster: Cluster
) -> None:
    stranger = Kube(kubeconfig)
    spec = {"holderIdentity": "x", "leaseDurationSeconds": 1}

    def put(name: str) -> int:
        manifest = {"metadata": {"name": name}, "spec": spec}
        return stranger.code("PUT", LEASES.path(namespace, name), body=manifest)

    try:
        assert put("other") == 403
        with pytest.raises(Refused, match="cannot create resource"):
            stranger.create(LEASES, namespace, {"metadata": {"name": NAME}, "spec": spec})
        assert put(NAME) == 201
        assert stranger.code("GET", LEASES.path(namespace, "other")) == 403
        for method, path in (
            ("GET", LEASES.path(namespace)),
            ("DELETE", LEASES.path(namespace, NAME)),
        ):
            assert stranger.code(method, path) == 403, (method, path)
        without = '[{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "update"]}]'
        role = (f"role/{NAME}-leader-election", "--namespace", namespace)
        cluster.kubectl("patch", *role, "--type=json", "--patch", without)
        cluster.kubectl("delete", "lease", NAME, "--namespace", namespace)
        deadline = time.monotonic() + PATIENCE
        while put(NAME) != 403:  # RBAC notices the change a moment later
            assert time.monotonic() < deadline, "a creation needs the verb create"
            cluster.kubectl("delete", "lease", NAME, "--namespace", namespace)
    finally:
        stranger.close()


# ---------------------------------------------------------------------------- two processes


class Pair:
    """Two controllers of one namespace; the first reaches the apiserver through a proxy."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        for name in ("first", "second"):
            account(cluster, namespace, name, "cluster-admin")
        first, second = (
            kubeconfig_of(cluster, namespace, name, folder) for name in ("first", "second")
        )
        flags = (
            *(*ARGUMENTS, "--namespaces", namespace, *TIMES),
            *("--leader-elect-lease", f"{namespace}/{NAME}"),
        )
        self.proxy = FaultProxy(first)
        self.proxy.__enter__()
        through = self.proxy.kubeconfig(folder)
        self.first = ControllerProcess(cluster, *flags, kubeconfig=through)
        self.second = ControllerProcess(cluster, *flags, kubeconfig=second)

    def close(self) -> None:
        self.first.kill()
        self.second.kill()
        self.proxy.__exit__()


@pytest.fixture
def pair(served: Cluster, namespace: str, tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(served, namespace, tmp_path)
    yield pair
    pair.close()


def page(controller: ControllerProcess, site: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{controller.address(site)}/{path}", timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def leads(controller: ControllerProcess) -> bool:
    return "leader: this controller leads" in page(controller, "probes", "readyz")


def await_true(look: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def last_time(controller: ControllerProcess, message: str) -> str:
    """Return the time of the last log line that begins with a message."""
    times = re.findall(rf'"time": "([^"]+)".*"message": "{message}', controller.log.read_text())
    return str(times[-1])


def lose_leases(request: ProxiedRequest) -> Fault | None:
    return Fault.LOST if "/leases/" in request.path else None


class Takeovers:
    """The ways in which a leader is lost; during each a run is created and gets its Pod."""

    def __init__(self, pair: Pair, submit: Submit, watch_recorder: WatchRecorder) -> None:
        self._proxy, self._first, self._second = pair.proxy, pair.first, pair.second
        self._submit = submit
        self._watch_recorder = watch_recorder
        self.runs: dict[str, Object] = {}

    def submit(self, name: str, script: str = "true") -> None:
        self.runs[name] = self._submit(script, name)

    def await_pod(self, name: str) -> None:
        uid = self.runs[name]["metadata"]["uid"]
        pods = self._watch_recorder.pods_of
        self._watch_recorder.wait(lambda: pods(uid) or None, PATIENCE, f"{name} has a Pod")

    def start(self) -> None:
        self._first.start()
        await_true(lambda: leads(self._first), "the first controller leads")
        self._second.start(until_ready=False)
        self.submit("long", "sleep 20")
        self.await_pod("long")
        await_true(self._second.is_ready, "the second is ready")
        assert not leads(self._second)

    def cut_off(self) -> None:
        """Cut the first, which leads, off from the Lease."""
        self._proxy.choose_fault = lose_leases
        await_true(lambda: leads(self._second), "the second takes over from one that is cut off")
        assert last_time(self._first, "no longer leading") < last_time(self._second, "leading")
        self._proxy.choose_fault = lambda _: None
        self.submit("cut-off")
        self.await_pod("cut-off")

    def kill(self) -> None:
        """Kill the second, which leads."""
        self._second.kill()
        self.submit("killed")
        self._second.start(until_ready=False)
        self.await_pod("killed")
        await_true(lambda: leads(self._first), "the first takes over from one that was killed")
        await_true(self._second.is_ready, "the second is ready again")

    def stop(self) -> None:
        """Stop the first, which leads."""
        self._first.stop()
        assert "released the Lease" in self._first.log.read_text()
        self.submit("stopped")
        self._first.start(until_ready=False)
        self.await_pod("stopped")
        assert leads(self._second)
        await_true(self._first.is_ready, "the first is ready again")

    def freeze(self, cluster: Cluster) -> Audit:
        """Freeze the second, which leads, and resume it; return the log since before it resumed."""
        self.submit("frozen")
        os.kill(self._second.pid, signal.SIGSTOP)
        self.submit("meanwhile")
        self.await_pod("meanwhile")
        await_true(lambda: leads(self._first), "the first takes over from one that is frozen")
        audit, lost = Audit(cluster), self._times_lost()
        os.kill(self._second.pid, signal.SIGCONT)
        await_true(lambda: self._times_lost() > lost, "the second stops leading")
        self.submit("at-last")
        return audit

    def _times_lost(self) -> int:
        return self._second.log.read_text().count("no longer leading")


@pytest.mark.guarantee("Nothing is lost or repeated when the leading controller dies or freezes")
def test_a_standby_takes_over_from_a_leader_that_is_cut_off_killed_stopped_or_frozen(
    pair: Pair,
    namespace: str,
    submit: Submit,
    ended: Ended,
    served: Cluster,
    watch_recorder: WatchRecorder,
) -> None:
    takeovers = Takeovers(pair, submit, watch_recorder)
    takeovers.start()
    scrape = page(pair.second, "metrics", "metrics").splitlines()
    assert {"taskruns_leader 0.0", "taskruns_queue_depth 0.0"} <= set(scrape)
    assert sum(float(line.split()[1]) for line in scrape if line.startswith("taskruns_runs{")) == 1
    takeovers.cut_off()
    takeovers.kill()
    takeovers.stop()
    audit = takeovers.freeze(served)
    for run in takeovers.runs.values():
        final = ended(run)
        assert final["status"]["attempt"] == 1
        assert len(watch_recorder.pods_of(run["metadata"]["uid"])) == 1
    resumed = f"system:serviceaccount:{namespace}:second"
    writes = {request.resource for request in audit.of_user(resumed) if request.is_write}
    assert writes <= {"leases", "events"}
    pair.first.stop()
    pair.second.stop()
