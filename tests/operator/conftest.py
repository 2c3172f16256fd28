"""One controller outside the cluster, shared by a module's tests, and a namespace for each."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskruns.api import names
from tests.cluster import Cluster
from tests.support.cluster.audit import Audit
from tests.support.cluster.client import NAMESPACES, RUNS, Kube, Object
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.definition import serve_definition
from tests.support.cluster.watch_recorder import WatchRecorder

ARGUMENTS = ("--log-format=json", "--default-delete-delay=0s", "--resync-seconds=5")

Submit = Callable[..., Object]


@pytest.fixture(scope="session")
def served(cluster: Cluster) -> Cluster:
    """Provide the cluster, with the TaskRun resource installed."""
    serve_definition(cluster)
    return cluster


@pytest.fixture(scope="session")
def kube(served: Cluster) -> Iterator[Kube]:
    kube = Kube(served.kubeconfig)
    yield kube
    kube.close()


@pytest.fixture(scope="session")
def watch_recorder(kube: Kube) -> Iterator[WatchRecorder]:
    watch_recorder = WatchRecorder(kube)
    watch_recorder.start()
    yield watch_recorder
    watch_recorder.stop()


@pytest.fixture(scope="module")
def controller(served: Cluster) -> Iterator[ControllerProcess]:
    controller = ControllerProcess(served, *ARGUMENTS)
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def audit(cluster: Cluster) -> Audit:
    return Audit(cluster)


@pytest.fixture
def namespace(kube: Kube) -> Iterator[str]:
    made = kube.create(NAMESPACES, None, {"metadata": {"generateName": "operator-"}})
    name: str = made["metadata"]["name"]
    yield name
    kube.delete(NAMESPACES, None, name)


@pytest.fixture
def submit(kube: Kube, namespace: str) -> Submit:
    """Return a function that creates a busybox TaskRun; keywords are fields of its spec."""

    def submit(script: str, name: str = "hello", **spec: Any) -> Object:
        manifest = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name},
            "spec": {"image": "busybox:1", "command": ["sh", "-c", script], **spec},
        }
        return kube.create(RUNS, namespace, manifest)

    return submit


@pytest.fixture
def ended(watch_recorder: WatchRecorder) -> Callable[[Object, str], Object]:
    """Return a function that waits until a run is in a phase and its Pods are gone."""

    def wait(run: Object, phase: str = "Succeeded") -> Object:
        uid = run["metadata"]["uid"]

        def look() -> Object | None:
            last = watch_recorder.last(uid)
            status = (last.found.get("status") or {}) if last else {}
            pods_left = any(not history[-1].gone for history in watch_recorder.pods_of(uid))
            return last.found if last and status.get("phase") == phase and not pods_left else None

        return watch_recorder.wait(look, 60, f"{run['metadata']['name']} is {phase}, without Pods")

    return wait
