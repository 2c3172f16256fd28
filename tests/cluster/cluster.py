"""Clusters by name: the interface for tests, the demo and the command line."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.cluster.docker_engine import DockerEngine
from tests.cluster.driver import AUTO, Driver, of, record
from tests.cluster.error import ClusterError
from tests.cluster.image_build import ImageBuild
from tests.cluster.local import LocalDriver
from tests.cluster.lock import held
from tests.cluster.place import Place
from tests.cluster.process import Process
from tests.cluster.progress import Progress, Write, to_stderr
from tests.cluster.python_base import PythonBase
from tests.cluster.slot import SPARE_NODES
from tests.cluster.status import READY, Status
from tests.cluster.tuning import Tuning

SIMULATED = ("taskruns.dev/simulated-node", "kwok")
"""Label of the simulated Node, and its taint, which keeps out other Pods."""


class Cluster:
    """A named cluster of this machine, running or not."""

    def __init__(self, name: str = "test", driver: str = AUTO) -> None:
        self.place = Place.of(name)
        self._wanted = driver

    @property
    def driver(self) -> Driver:
        """The recorded driver, or the driver that a new cluster would use."""
        return of(self.place, self._wanted)

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def kubeconfig(self) -> Path:
        return self.place.kubeconfig

    @property
    def server(self) -> str:
        return self.driver.server

    @property
    def node_name(self) -> str:
        return self.driver.node_name

    @property
    def node_is_this_machine(self) -> bool:
        """Whether the nodes' host paths are paths of this machine."""
        return isinstance(self.driver, LocalDriver)

    @property
    def audit_log(self) -> Path:
        return self.place.audit_log

    @property
    def bin_dir(self) -> Path:
        return self.place.bin

    def up(self, progress: Write = to_stderr) -> None:
        """Start the cluster, or the components that do not run."""
        lines = Progress(progress)
        with self._alone(lines):
            driver = self.driver
            record(self.place, driver)
            driver.up(lines)
        lines.say(f"cluster {self.name} is up: {self.server}")

    def down(self, progress: Write = to_stderr) -> None:
        lines = Progress(progress)
        with self._alone(lines):
            if self.place.folder.exists() or self.place.rubbish.exists():
                self.driver.down(lines)
            DockerEngine.for_builds().clear_leftovers()
            self.place.lock.unlink(missing_ok=True)
        lines.say(f"cluster {self.name} is down")

    def _alone(self, lines: Progress) -> AbstractContextManager[None]:
        return held(self.place.lock, f"cluster {self.name}", lines)

    def status(self) -> Status:
        """Return the cluster's status. A cluster without a folder is down and is not contacted."""
        made = self.place.folder.exists()
        return (self.driver if made else LocalDriver(self.place)).status()

    def is_up(self) -> bool:
        return self.status().state == READY

    def start(self, component: str, progress: Write = to_stderr) -> None:
        """Start one component and wait until it is ready."""
        self.driver.start(component, Progress(progress))

    def stop(self, component: str, grace: float = 20) -> None:
        """Stop one component; with a grace period of 0 seconds it is killed, as in a crash."""
        self.driver.stop(component, grace)

    def node(self, number: int) -> str:
        """Return the Node name of a spare node."""
        return self.place.node_name(number)

    def add_node(self, number: int, progress: Write = to_stderr) -> str:
        """Start a spare node (1 to 4), wait until it is ready, and return its Node name.

        It is tainted `taskruns.dev/spare-node=<number>:NoSchedule`, and has the label of the same
        key and value.
        """
        if number not in SPARE_NODES:
            raise ClusterError(f"no spare node {number}: choose one of {SPARE_NODES}")
        self.driver.add_node(number, Progress(progress))
        return self.node(number)

    def power_off(self, number: int) -> None:
        """Kill a spare node without warning, so that the end of its Pods is never reported."""
        self.driver.power_off(number)

    def remove_node(self, number: int) -> None:
        """Kill a spare node, and delete its disk and its Node object."""
        self.driver.remove_node(number)
        self.kubectl("delete", "node", self.node(number), "--ignore-not-found")

    def simulate_node(self, stages: str, progress: Write = to_stderr) -> str:
        """Add a Node whose Pods kwok moves through Stage objects, and return its name.

        `stages` is a configuration file of kwok with the Stage objects of Node and Pods.
        It is tainted `taskruns.dev/simulated-node=kwok:NoSchedule`, and has the label of the same
        key and value.
        """
        name = self.place.simulated_node
        self.kubectl("apply", "-f", "-", stdin=json.dumps(_simulated_node(name)))
        self.driver.simulate_node(stages, Progress(progress))
        return name

    def tune(self, tuning: Tuning, progress: Write = to_stderr) -> None:
        """Change settings of the control plane; components that run are restarted."""
        self.driver.tune(tuning, Progress(progress))

    def pid(self, component: str) -> int | None:
        """Return the process id of a component of a local cluster, or None if it does not run."""
        process = Process.read(self.place.run / f"{component}.process")
        return process.pid if process and process.alive else None

    def load_image(self, archive: Path) -> None:
        """Load an archive from `docker save`. Pods use it by its tag, without a pull."""
        self.driver.load_image(archive)

    def load_python(self, suite: str = "trixie", progress: Write = to_stderr) -> str:
        """Load an image with Python, and return its name."""
        return self.driver.load_python(PythonBase(suite), Progress(progress))

    def load_debian(
        self, name: str, suite: str, packages: Sequence[str], progress: Write = to_stderr
    ) -> str:
        """Load an image `name:suite` of a Debian release with Python and further packages."""
        base = PythonBase(suite, name, tuple(packages))
        return self.driver.load_python(base, Progress(progress))

    def build_image(
        self,
        tag: str,
        context: Path,
        dockerfile: Path | None = None,
        build_args: Mapping[str, str] | None = None,
        progress: Write = to_stderr,
    ) -> str:
        """Build a Dockerfile's image and load it; return its id.

        A Dockerfile that declares `ARG BASE` gets a base image of Debian packages, unless
        `build_args` name another.
        """
        build = ImageBuild(tag, context, dockerfile, build_args or {})
        return self.driver.build_image(build, Progress(progress))

    def kubectl(
        self, *args: str, stdin: str | None = None, within: float = 60, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run kubectl as the administrator and return the completed process."""
        argv = [str(self.bin_dir / "kubectl"), "--kubeconfig", str(self.kubeconfig), *args]
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=within, check=False
        )
        if check and done.returncode:
            raise ClusterError(f"kubectl {' '.join(args)} failed:\n{done.stderr.strip()}")
        return done


def _simulated_node(name: str) -> dict[str, Any]:
    key, value = SIMULATED
    taint = {"key": key, "value": value, "effect": "NoSchedule"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {key: value}},
        "spec": {"taints": [taint]},
    }
