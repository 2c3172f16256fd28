"""Driver for a cluster of local processes, with real Pods on a real kubelet.

`up` is idempotent. It starts missing components, restarts those whose configuration has changed,
and leaves the others running. It therefore also repairs a damaged cluster, and continues after an
interrupted `up`.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import binary, configuration, control_plane, image, network, package, pki, probe
from tests.cluster import node as nodes
from tests.cluster import release as releases
from tests.cluster import slot as slots
from tests.cluster.api import Api, answers
from tests.cluster.binary import Module
from tests.cluster.cgroup import Cgroup
from tests.cluster.control_plane import LOOPBACK
from tests.cluster.deadline import wait_until
from tests.cluster.error import ClusterError
from tests.cluster.image_build import ImageBuild
from tests.cluster.image_store import ImageStore
from tests.cluster.node import Node
from tests.cluster.place import Place
from tests.cluster.progress import Progress
from tests.cluster.python_base import PythonBase
from tests.cluster.slot import Slot
from tests.cluster.status import ComponentStatus, Status
from tests.cluster.supervisor import Supervisor
from tests.cluster.tuning import TUNED, Tuning

RFC3339 = "%Y-%m-%dT%H:%M:%SZ"
START_LIMIT = 60.0
NODE_LIMIT = 90.0
OTHER_MODULES = (binary.ETCD, binary.HELM)
# Components of a line may start together; each line needs the lines before it.
ORDER = (
    ("etcd", "containerd"),
    ("kube-apiserver",),
    ("kube-controller-manager", "kube-scheduler", "kubelet"),
)
STOPPED_FIRST = ("kubelet", "containerd")


@dataclass(frozen=True)
class LocalDriver:
    """The cluster of one place, as processes of this machine."""

    place: Place
    name = "local"

    @staticmethod
    def obstacles() -> list[str]:
        """Return what this machine lacks for a cluster of local processes, one sentence each."""
        obstacles = []
        if os.geteuid():
            obstacles.append("not root: run the command with `sudo --preserve-env=PATH`")
        modules = (releases.of(releases.requested()), *OTHER_MODULES)
        unbuilt = [module for module in modules if not module.built.is_dir()]
        if unbuilt and (obstacle := binary.go_obstacle(unbuilt[0])):
            obstacles.append(obstacle)
        absent = package.missing(package.NODE | package.BUILD | package.CLIENT)
        if absent and not shutil.which("apt-get"):
            obstacles.append(f"not installed (names of Debian packages): {', '.join(absent)}")
        return obstacles

    @property
    def slot(self) -> Slot:
        slot = slots.recorded(self.place)
        if slot is None:
            raise ClusterError(
                f"there is no cluster {self.place.name!r}: "
                f"run `python -m tests.cluster up --name {self.place.name}`"
            )
        return slot

    @property
    def modules(self) -> tuple[Module, ...]:
        """The programs of this cluster."""
        return releases.recorded(self.place), *OTHER_MODULES

    @property
    def server(self) -> str:
        return self.slot.server

    @property
    def node_name(self) -> str:
        return self.place.node_name()

    @property
    def api(self) -> Api:
        return Api(self.server, self.place.pki)

    @property
    def group(self) -> Cgroup:
        return Cgroup(f"/{self.slot.handle}")

    def _supervisor_of(self, component: str) -> Supervisor:
        node = control_plane.node_of(component, self.place, self.slot)
        group = self.group.child(node.system_group)
        return Supervisor(self.place.run, self.place.log, group)

    def _node(self, number: int = 0) -> Node:
        return Node(self.place, self.slot, number)

    def up(self, progress: Progress) -> None:
        package.require_root()
        package.install(package.NODE, progress)
        releases.record(self.place)
        for module in self.modules:
            binary.build(module, progress)
        archives = _archives(progress)
        nodes.remove_rubbish(self.place)
        slots.allocate(self.place, network.is_unused)
        self._prepare()
        began = time.strftime(RFC3339, time.gmtime())
        started: list[str] = []
        for names in ORDER:
            started = [name for name in names if self._ensure(name, progress)]
            for name in names:
                self._wait_ready(name)
            if "kube-apiserver" in names:
                probe.check(self.slot, self.place.pki / "ca.crt")
            if "containerd" in names:
                self._load_missing(self._node(), archives, progress)
        self._wait_for_node(self._node(), progress, began if "kubelet" in started else "")

    def _prepare(self) -> None:
        """Create everything that components need at their start."""
        for module in self.modules:
            _link_all(module.built, self.place.bin)
        network.bring_up(self.slot)
        self._make_groups(self._node())
        pki.make(self.place.pki, self.slot, self.node_name)
        admin = configuration.kubeconfig(
            f"taskruns-{self.place.name}", self.server, self.place.pki, "admin"
        )
        if not self.place.kubeconfig.exists() or self.place.kubeconfig.read_text() != admin:
            self.place.kubeconfig.touch(mode=0o600)
            self.place.kubeconfig.write_text(admin)

    def _make_groups(self, node: Node) -> None:
        for group in (node.pods_group, node.system_group):
            self.group.child(group).make()

    def _ensure(self, name: str, progress: Progress) -> bool:
        """Start a component unless it is up to date.

        Returns:
            Whether it was started.
        """
        component = control_plane.component(name, self.place, self.slot)
        supervisor = self._supervisor_of(name)
        if supervisor.is_current(component):
            return False
        progress.say(f"starting {name}")
        supervisor.start(component)
        return True

    def _wait_ready(self, name: str) -> None:
        component = control_plane.component(name, self.place, self.slot)
        self._supervisor_of(name).wait_ready(component, self._probe(name), START_LIMIT)

    def _probe(self, name: str) -> Callable[[], bool]:
        slot = self.slot
        node = control_plane.node_of(name, self.place, slot)
        health = node.own("kubelet-health")
        probes: dict[str, Callable[[], bool]] = {
            "etcd": lambda: answers(f"http://{LOOPBACK}:{slot.port('etcd')}/health"),
            node.own("containerd"): ImageStore(node).answers,
            "kube-apiserver": self.api.is_ready,
            "kube-controller-manager": lambda: answers(
                f"https://{LOOPBACK}:{slot.port('controllers')}/healthz"
            ),
            "kube-scheduler": lambda: answers(
                f"https://{LOOPBACK}:{slot.port('scheduler')}/healthz"
            ),
            node.own("kubelet"): lambda: answers(f"http://{LOOPBACK}:{slot.port(health)}/healthz"),
            control_plane.KWOK: lambda: self.api.node_is_ready(self.place.simulated_node),
        }
        return probes[name]

    def _load_missing(self, node: Node, archives: tuple[Path, ...], progress: Progress) -> None:
        store = ImageStore(node)
        for archive in archives:
            if not store.holds(archive.name, archive.name):
                progress.say(f"loading image {archive.name}")
                store.load_as(archive.name, archive.name, archive)

    def _running_store(self) -> ImageStore:
        if not self._supervisor_of("containerd").process("containerd"):
            raise ClusterError(
                f"cluster {self.place.name!r} does not run, so no image can be loaded: "
                f"`python -m tests.cluster up --name {self.place.name}` first"
            )
        return ImageStore(self._node())

    def load_image(self, archive: Path) -> None:
        self._running_store().load(archive)

    def load_python(self, base: PythonBase, progress: Progress) -> str:
        """Load an image with Python, and return its name."""
        store = self._running_store()
        archive = base.archive(progress)
        if not store.holds(base.tag, archive.name):
            progress.say(f"loading {base.tag} into the cluster")
            store.load_as(base.tag, archive.name, archive)
        return base.tag

    def build_image(self, build: ImageBuild, progress: Progress) -> str:
        """Build an image, load it under its tag, and return its id."""
        store = self._running_store()
        return build.run(
            loaded=lambda made: store.holds(build.tag, made),
            load=lambda made, archive: store.load_as(build.tag, made, archive),
            progress=progress,
        )

    def _wait_for_node(self, node: Node, progress: Progress, since: str) -> None:
        api, kubelet = self.api, node.own("kubelet")
        if since:
            progress.say(f"waiting for {node.name} to be ready")
        self._supervisor_of(kubelet).wait_ready(
            control_plane.component(kubelet, self.place, self.slot),
            lambda: api.node_is_ready(node.name, since),
            NODE_LIMIT,
        )
        wait_until(
            api.has_default_account, within=NODE_LIMIT, condition="the first service account"
        )

    def down(self, progress: Progress) -> None:
        """Stop all processes, then remove their traces; repeatable after a failure."""
        slot = slots.recorded(self.place)
        if slot:
            package.require_root()
            progress.say(f"stopping {self.place.name}")
            for name in (*STOPPED_FIRST, *reversed(control_plane.NAMES)):
                if name == "containerd":
                    self.group.child(self._node().pods_group).kill()
                self._supervisor_of(name).stop(name)
            self.group.kill()
            probe.clear(slot)
            network.take_down(slot)
            nodes.forget(self.place, slot)
            self.group.remove()
        nodes.remove_folder(self.place)

    def add_node(self, number: int, progress: Progress) -> None:
        """Start a spare node and wait until it is ready."""
        node, archives = self._node(number), _archives(progress)
        self._make_groups(node)
        pki.make_one(self.place.pki, pki.kubelet(self.slot, node.name, node.own("kubelet")))
        self._ensure(node.own("containerd"), progress)
        self._wait_ready(node.own("containerd"))
        self._load_missing(node, archives, progress)
        self.start(node.own("kubelet"), progress)

    def power_off(self, number: int) -> None:
        """Kill a spare node without warning; the content of its disk is kept."""
        node = self._node(number)
        # The kubelet and containerd come first, because they would report how the rest has ended.
        for name in (node.own("kubelet"), node.own("containerd")):
            self.stop(name, grace=0)
        for group in (node.system_group, node.pods_group):
            self.group.child(group).kill()
        nodes.lose_memory(node)

    def remove_node(self, number: int) -> None:
        """Kill a spare node and remove its disk; its Node object remains."""
        self.power_off(number)
        node = self._node(number)
        nodes.remove_disk(node)
        for group in (node.system_group, node.pods_group):
            self.group.child(group).remove()

    def simulate_node(self, stages: str, progress: Progress) -> None:
        """Start kwok with these Stage objects, and wait until its Node is ready."""
        binary.build(binary.KWOK, progress)
        _link_all(binary.KWOK.built, self.place.bin)
        self.place.stages.write_text(stages)
        self.start(control_plane.KWOK, progress)

    def tune(self, tuning: Tuning, progress: Progress) -> None:
        """Record settings of the control plane, and restart the components that they change."""
        tuning.record(self.place)
        for name in TUNED:
            if self._supervisor_of(name).process(name):
                self.start(name, progress)

    def start(self, name: str, progress: Progress) -> None:
        """Start one component and wait until it is ready."""
        began = time.strftime(RFC3339, time.gmtime())
        started = self._ensure(name, progress)
        self._wait_ready(name)
        node = control_plane.node_of(name, self.place, self.slot)
        if started and name == node.own("kubelet"):
            self._wait_for_node(node, progress, began)

    def stop(self, name: str, grace: float) -> None:
        self._supervisor_of(name).stop(name, grace)

    def status(self) -> Status:
        slot = slots.recorded(self.place)
        processes = {
            name: self._supervisor_of(name).process(name) if slot else None
            for name in control_plane.NAMES
        }
        components = tuple(
            ComponentStatus(n, p.pid if p else None, bool(p) and self._probe(n)())
            for n, p in processes.items()
        )
        return Status(
            name=self.place.name,
            driver=self.name,
            server=slot.server if slot else "-",
            node=self.node_name,
            node_ready=bool(slot) and self.api.node_is_ready(self.node_name),
            components=components,
        )


def _archives(progress: Progress) -> tuple[Path, ...]:
    """Return the images that every node starts with."""
    return image.pause(progress), image.busybox(progress)


def _link_all(built: Path, folder: Path) -> None:
    """Link the cached programs into the cluster's `bin` folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in built.iterdir():
        link = folder / program.name
        if not link.is_symlink() or link.readlink() != program:
            link.unlink(missing_ok=True)
            link.symlink_to(program)
