"""The test cluster itself: its Pods, its recovery, and its complete removal.

These tests kill its processes, so they run on a second cluster beside the one of all other tests.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster, mount, network
from tests.cluster import slot as slots
from tests.cluster.cgroup import Cgroup
from tests.cluster.deadline import wait_until

# CPython leaves the socket of a TLS handshake open that the peer's death interrupts.
pytestmark = pytest.mark.filterwarnings(r"ignore:unclosed <ssl\.SSLSocket:ResourceWarning")

SLEEPER = {"command": ["sleep", "3600"]}


def _discard_progress(_: str) -> None:
    """Discard progress messages."""


@pytest.fixture(scope="module")
def other(cluster: Cluster) -> Iterator[Cluster]:
    if cluster.status().driver != "local":
        pytest.skip("kind manages its own processes")
    other = Cluster("proof", driver="local")
    other.up(progress=_discard_progress)
    yield other
    other.down(progress=_discard_progress)


def _start(cluster: Cluster, name: str, container: dict[str, Any]) -> None:
    main = {"name": "main", "image": "busybox:1", **container}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [main]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(pod))


def _ended(cluster: Cluster, name: str) -> dict[str, Any]:
    """Wait until the Pod's container has ended; return its terminated state."""
    state: dict[str, Any] = {}

    def has_ended() -> bool:
        pod = json.loads(cluster.kubectl("get", "pod", name, "-o", "json").stdout)
        statuses = pod["status"].get("containerStatuses", [{}])
        state.update(statuses[0].get("state", {}).get("terminated", {}))
        return bool(state)

    wait_until(has_ended, within=60, condition=f"Pod {name} to end")
    return state


def _run(cluster: Cluster, name: str, script: str, **container: Any) -> dict[str, Any]:
    _start(cluster, name, {"command": ["sh", "-c", script], **container})
    return _ended(cluster, name)


def test_a_pod_has_its_own_exit_code_and_its_log(other: Cluster) -> None:
    assert _run(other, "three", "echo hello; exit 3")["exitCode"] == 3
    assert other.kubectl("logs", "three").stdout == "hello\n"


def test_a_pod_over_its_memory_limit_is_oom_killed(other: Cluster) -> None:
    limit = {"limits": {"memory": "32Mi"}}
    ended = _run(other, "greedy", "x=a; while true; do x=$x$x; done", resources=limit)
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def test_a_pod_reaches_the_api_of_its_own_cluster(other: Cluster) -> None:
    connect = 'nc -w 5 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" < /dev/null'
    assert _run(other, "caller", connect)["exitCode"] == 0


def test_up_does_not_change_a_running_cluster(other: Cluster) -> None:
    before = other.status()
    other.up(progress=_discard_progress)
    assert other.status() == before


def test_pods_keep_running_while_a_killed_kubelet_is_restarted(other: Cluster) -> None:
    _start(other, "lasting", SLEEPER)
    other.kubectl("wait", "--for=condition=Ready", "pod/lasting", "--timeout=60s", within=70)
    other.stop("kubelet", grace=0)
    assert other.status().state == "degraded"
    other.up(progress=_discard_progress)
    assert other.is_up()
    assert _run(other, "after-kubelet", "exit 0")["exitCode"] == 0
    phase = other.kubectl("get", "pod", "lasting", "-o", "jsonpath={.status.phase}").stdout
    assert phase == "Running"


def test_a_cluster_whose_processes_were_all_killed_is_restarted(other: Cluster) -> None:
    Cgroup(f"/{_slot(other).handle}").kill()
    # Threads of a killed program may outlive its first thread for a moment.
    wait_until(
        lambda: other.status().state == "down", within=30, condition="the cluster to be down"
    )
    other.up(progress=_discard_progress)
    assert other.kubectl("get", "pod", "three", "-o", "name").stdout == "pod/three\n"
    assert _run(other, "after-death", "exit 0")["exitCode"] == 0


def test_a_request_is_one_line_of_the_audit_log(other: Cluster) -> None:
    other.kubectl("get", "configmap", "kube-root-ca.crt", "-n", "default")
    calls = [json.loads(line) for line in other.audit_log.read_text().splitlines()]
    reads = [call for call in calls if call.get("objectRef", {}).get("resource") == "configmaps"]
    assert [(call["verb"], call["user"]["username"]) for call in reads] == [("get", "admin")]


def test_down_removes_everything(other: Cluster) -> None:
    """This test runs last: it works with running Pods and with killed programs."""
    slot = _slot(other)
    _start(other, "left-running", SLEEPER)
    other.kubectl("wait", "--for=condition=Ready", "pod/left-running", "--timeout=60s", within=70)
    other.down(progress=_discard_progress)
    assert not other.place.folder.exists()
    assert not other.place.lock.exists()
    assert mount.below(other.place.folder, Path("/proc/self/mountinfo").read_text()) == []
    assert not any(folder.exists() for folder in Cgroup(f"/{slot.handle}").folders)
    assert not network.exists(slot)
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    assert slot.handle not in rules
    logs = Path("/var/log/containers").glob("*.log")
    assert not [log for log in logs if log.readlink().is_relative_to(other.place.folder)]


def _slot(cluster: Cluster) -> slots.Slot:
    slot = slots.recorded(cluster.place)
    assert slot
    return slot
