"""The ways to install taskruns for scenarios, behind one interface.

A scenario does not depend on the way that is used, so all ways must behave alike. A controller can
be stopped gracefully, started, and killed without warning.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from tests.cluster import Cluster
from tests.support.cluster.client import NAMESPACES, PODS, Kube, Object
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.watch_recorder import WatchRecorder

ROOT = Path(__file__).resolve().parents[3]
NAMESPACE = "taskruns-system"
DELETE_DELAY = "1s"
"""Site default of the delete delay; scenarios need not wait half a minute for each Pod."""
EACH_INSTALLATION = pytest.mark.parametrize(
    "installation", ["helm", "process"], indirect=True, scope="session"
)
"""Mark for tests of behaviour that may differ when a controller runs outside the cluster.

All other tests run with the chart's installation only.
"""

SITE_KEY = "example.test/site"
SITE_POD: Object = {
    "metadata": {"labels": {SITE_KEY: "default", "example.test/team": "nobody"}},
    "spec": {
        "tolerations": [{"key": SITE_KEY, "operator": "Exists"}],
        "containers": [
            {
                "name": "main",
                "env": [
                    {"name": name, "value": "site"} for name in ("SITE", "TEMPLATE", "SHORTHAND")
                ],
            }
        ],
    },
}
"""Pod defaults of the chart's release; a single scenario checks them."""

LABEL = "app.kubernetes.io/name"
SELECTOR = f"{LABEL}=taskruns"
RESTRICTED = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")
}


@dataclass(frozen=True, slots=True)
class RecordedCluster:
    """The cluster of an installation, with its client and watch recorder."""

    cluster: Cluster
    kube: Kube
    watch_recorder: WatchRecorder


class Installation(Protocol):
    """A controller that serves the whole cluster; of the manifest, there are two."""

    name: str

    def up(self) -> None:
        """Install the controller and wait until it is ready."""

    def down(self) -> None:
        """Remove the controller; TaskRuns and their definition stay."""

    def stop(self) -> None:
        """Stop the controller gracefully and wait until it has ended."""

    def start(self) -> None:
        """Start the controller again and wait until it is ready."""

    def kill(self) -> None:
        """End the controller by SIGKILL and wait until it is ready again."""

    def process_identity(self) -> str:
        """Return an identity of the controller's process, which changes with every restart."""

    def log_tail(self) -> str:
        """Return the last lines of the controller's log."""


@contextmanager
def stopped(installation: Installation) -> Iterator[None]:
    """Keep the controller stopped while the block runs."""
    installation.stop()
    try:
        yield
    finally:
        installation.start()


class InCluster:
    """A Deployment in a namespace that enforces the restricted Pod Security Standard."""

    def __init__(self, recorded_cluster: RecordedCluster) -> None:
        self._cluster = recorded_cluster.cluster
        self._kube = recorded_cluster.kube
        self._watch_recorder = recorded_cluster.watch_recorder

    def stop(self) -> None:
        self._scale(0)
        self._watch_recorder.wait(
            lambda: None if self._pods() else True, 60, "the controller has ended"
        )

    def start(self) -> None:
        self._scale(1)
        self._rolled_out()

    def kill(self) -> None:
        (pod,) = self._pods_to_stay()
        restarts = _restarts(pod)
        os.kill(_process_of(pod["metadata"]["uid"]), signal.SIGKILL)

        def look() -> bool | None:
            pods = self._pods_to_stay()
            return True if pods and _restarts(pods[0]) > restarts and _ready(pods[0]) else None

        self._watch_recorder.wait(look, 90, "the controller is ready again")

    def process_identity(self) -> str:
        """Return the name of the Pod and the restart count of its container."""
        (pod,) = self._pods_to_stay()
        return f"{pod['metadata']['name']}, restarted {_restarts(pod)} times"

    def log_tail(self) -> str:
        """Return the last lines of this process and, after a crash, of the previous one."""
        selection = ("-n", NAMESPACE, "-l", SELECTOR)
        outputs = [
            self._cluster.kubectl(*command, *selection, check=False).stdout
            for command in (
                ("get", "pods"),
                ("logs", "--tail=30", "--previous"),
                ("logs", "--tail=60"),
            )
        ]
        return "\n".join(outputs)

    def _scale(self, replicas: int) -> None:
        self._cluster.kubectl(
            "scale", "deployment", "-n", NAMESPACE, "-l", SELECTOR, f"--replicas={replicas}"
        )

    def _rolled_out(self) -> None:
        self._cluster.kubectl(
            "rollout",
            "status",
            "deployment",
            "-n",
            NAMESPACE,
            "-l",
            SELECTOR,
            "--timeout=120s",
            within=130,
        )

    def _pods_to_stay(self) -> list[Object]:
        """Return the Pods that are not being deleted; a rollout leaves others for a moment."""
        return [pod for pod in self._pods() if "deletionTimestamp" not in pod["metadata"]]

    def _pods(self) -> list[Object]:
        pods = self._watch_recorder.present(PODS, NAMESPACE)
        return [pod for pod in pods if pod["metadata"]["labels"].get(LABEL) == "taskruns"]


class Helm(InCluster):
    """Installation by the chart, as a user installs it."""

    name = "helm"

    def up(self) -> None:
        restricted_namespace(self._kube)
        image = build_image(self._cluster)
        helm(
            self._cluster,
            "upgrade",
            "--install",
            "taskruns",
            str(ROOT / "charts/taskruns"),
            "--namespace",
            NAMESPACE,
            "--wait",
            "--timeout",
            "3m",
            # Other tests may have left the definition; this release takes it over.
            "--take-ownership",
            "--force-conflicts",
            # One controller starts faster; the tests of availability install the manifest.
            "--set",
            f"replicas=1,defaults.deleteDelayDuration={DELETE_DELAY}",
            "--set-json",
            f"taskPodDefaults={json.dumps(SITE_POD)}",
            # A new image under the same tag must lead to a new Pod.
            "--set-string",
            f"podAnnotations.image={image}",
        )

    def down(self) -> None:
        uninstall(self._cluster)


class Manifest(InCluster):
    """Installation by `kubectl apply -f manifests/install.yaml`."""

    name = "manifest"

    def up(self) -> None:
        build_image(self._cluster)
        self._cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", self._path)
        self._rolled_out()

    def down(self) -> None:
        """Remove everything but the definition, as Helm does, because TaskRuns would go with it."""
        objects = yaml.safe_load_all(Path(self._path).read_text())
        kept = ("CustomResourceDefinition", "Namespace")
        removed = [obj for obj in objects if obj and obj["kind"] not in kept]
        self._cluster.kubectl(
            "delete", "--ignore-not-found", "-f", "-", stdin=yaml.safe_dump_all(removed), within=120
        )

    @property
    def _path(self) -> str:
        return str(ROOT / "manifests/install.yaml")


class Process:
    """A program outside the cluster, with the administrator's kubeconfig."""

    name = "process"

    def __init__(self, recorded_cluster: RecordedCluster) -> None:
        arguments = ("--default-delete-delay", DELETE_DELAY)
        self._controller = ControllerProcess(recorded_cluster.cluster, *arguments)

    def up(self) -> None:
        self._controller.start()

    def down(self) -> None:
        self._controller.stop()

    def stop(self) -> None:
        self._controller.stop()

    def start(self) -> None:
        self._controller.start()

    def kill(self) -> None:
        self._controller.kill()
        self._controller.start()

    def process_identity(self) -> str:
        return f"process {self._controller.pid}"

    def log_tail(self) -> str:
        return self._controller.log_tail()


def clear(cluster: Cluster) -> None:
    """Remove the installation that an earlier session has kept, or left when interrupted."""
    uninstall(cluster, "--no-hooks")
    selection = ("-n", NAMESPACE, "-l", SELECTOR)
    cluster.kubectl("delete", "deployment", *selection, "--ignore-not-found")
    cluster.kubectl("wait", "--for=delete", "pod", *selection, "--timeout=60s", within=70)


def is_deployed(cluster: Cluster) -> bool:
    """Return whether the release exists and its last upgrade succeeded.

    A release that a killed session has left in another state cannot be upgraded.
    """
    releases = json.loads(helm(cluster, "list", "-n", NAMESPACE, "--output", "json"))
    return any(
        release["name"] == "taskruns" and release["status"] == "deployed" for release in releases
    )


def uninstall(cluster: Cluster, *flags: str) -> None:
    """Uninstall the release, if there is one."""
    helm(cluster, "uninstall", "taskruns", "-n", NAMESPACE, "--ignore-not-found", "--wait", *flags)


def build_image(cluster: Cluster) -> str:
    """Build the project's Dockerfile under the chart's default tag; return the image's ID."""
    version = yaml.safe_load((ROOT / "charts/taskruns/Chart.yaml").read_text())["appVersion"]
    return cluster.build_image(f"taskruns/controller:{version}", ROOT, progress=print)


def helm(cluster: Cluster, *arguments: str, kubeconfig: Path | None = None) -> str:
    """Run helm with the administrator's or another kubeconfig, and return its output.

    Raises:
        AssertionError: helm failed; the message has its error output.
    """
    config = str(kubeconfig or cluster.kubeconfig)
    done = subprocess.run(
        [str(cluster.bin_dir / "helm"), "--kubeconfig", config, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr.strip()}"
    return done.stdout


def restricted_namespace(kube: Kube) -> None:
    """Create the controller's namespace, or set its labels."""
    metadata = {"name": NAMESPACE, "labels": RESTRICTED}
    if kube.get(NAMESPACES, None, NAMESPACE) is None:
        kube.create(NAMESPACES, None, {"metadata": metadata})
    else:
        kube.merge(NAMESPACES, None, NAMESPACE, {"metadata": metadata})


def _restarts(pod: Object) -> int:
    statuses = pod["status"].get("containerStatuses") or [{"restartCount": 0}]
    return int(statuses[0]["restartCount"])


def _ready(pod: Object) -> bool:
    statuses = pod["status"].get("containerStatuses") or []
    return bool(statuses) and all(status["ready"] for status in statuses)


def _process_of(pod_uid: str) -> int:
    """Return the PID of the controller on this machine, which is the node, by its Pod's cgroup."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            group, line = (folder / "cgroup").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if pod_uid in group.replace("_", "-") and b"taskruns" in line:
            return int(folder.name)
    raise AssertionError(f"no controller of Pod {pod_uid} runs on this machine")
