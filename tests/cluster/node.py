"""The nodes of a cluster: their names, folders and traces on the machine.

Number 0 is the node that every cluster has. Spare nodes can be added on the same machine and
bridge. Each has its own kubelet, containerd and control groups, so a test can lose one without
effect on the others.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import mount
from tests.cluster.error import ClusterError
from tests.cluster.place import Place
from tests.cluster.slot import SPARE_NODES, Slot

CNI_RESULTS = Path("/var/lib/cni/results")
CONTAINER_LOGS = Path("/var/log/containers")
SHIM_SOCKETS = Path("/run/containerd/s")
SPARE_LABEL = "taskruns.dev/spare-node"
"""Label by which Pods select a spare node, and key of the taint that keeps out other Pods."""
TASKS = "io.containerd.runtime.v2.task"


@dataclass(frozen=True)
class Node:
    """The names and folders of one node, derived from its number."""

    place: Place
    slot: Slot
    number: int = 0

    def own(self, word: str) -> str:
        """Return a name that is unique within the cluster, such as `kubelet` or `kubelet-1`."""
        return f"{word}-{self.number}" if self.number else word

    @property
    def name(self) -> str:
        return self.place.node_name(self.number)

    @property
    def containerd(self) -> Path:
        return self.place.folder / self.own("containerd")

    @property
    def state(self) -> Path:
        """Folder for state that a real machine loses when it is switched off."""
        return self.containerd / "state"

    @property
    def socket(self) -> Path:
        return self.place.run / f"{self.own('containerd')}.sock"

    @property
    def kubelet(self) -> Path:
        return self.place.folder / self.own("kubelet")

    @property
    def logs(self) -> Path:
        """Folder of the Pods' logs."""
        return self.place.log / self.own("pods")

    @property
    def images(self) -> Path:
        return self.place.folder / f"{self.own('loaded-images')}.json"

    @property
    def pods_group(self) -> str:
        """Name of its Pods' control group, below the cluster's."""
        return self.own("pods")

    @property
    def system_group(self) -> str:
        """Name of the control group of its kubelet, its containerd and all shims."""
        return self.own("system")

    @property
    def label(self) -> tuple[str, str]:
        return SPARE_LABEL, str(self.number)


def every(place: Place, slot: Slot) -> Iterator[Node]:
    """Yield all nodes that a cluster may have."""
    return (Node(place, slot, number) for number in (0, *SPARE_NODES))


def forget(place: Place, slot: Slot) -> None:
    """Remove the traces outside the cluster's folder; none of its processes may be running."""
    for node in every(place, slot):
        _remove_shim_sockets(node)
    mount.unmount_below(place.folder)
    _remove_cni_results(slot)
    _remove_log_links(place.folder)


def lose_memory(node: Node) -> None:
    """Remove the state that a machine loses when it is switched off; no process may be running."""
    _remove_shim_sockets(node)
    mount.unmount_below(node.containerd)
    mount.unmount_below(node.kubelet)
    if node.state.exists():
        shutil.rmtree(node.state)


def remove_disk(node: Node) -> None:
    """Remove a node's files on disk, after `lose_memory`."""
    _remove_log_links(node.logs)
    for folder in (node.containerd, node.kubelet, node.logs):
        if folder.exists():
            shutil.rmtree(folder)
    node.images.unlink(missing_ok=True)


def remove_folder(place: Place) -> None:
    """Remove a cluster's folder; a rename makes it disappear atomically."""
    for folder in (place.folder, place.rubbish):
        if left := mount.below(folder, mount.MOUNTS.read_text()):
            raise ClusterError(f"not removing {folder}: {left[0]} is mounted below it")
    remove_rubbish(place)
    if place.folder.exists():
        place.folder.rename(place.rubbish)
    remove_rubbish(place)


def remove_rubbish(place: Place) -> None:
    if place.rubbish.exists():
        shutil.rmtree(place.rubbish)


def _remove_shim_sockets(node: Node) -> None:
    """Remove the sockets of killed shims; the folder of each task contains its address."""
    for address in (node.state / TASKS).glob("*/*/address"):
        socket = Path(address.read_text().strip().removeprefix("unix://"))
        if socket.parent == SHIM_SOCKETS:
            socket.unlink(missing_ok=True)


def _remove_cni_results(slot: Slot) -> None:
    for result in CNI_RESULTS.glob(f"{slot.handle}-*"):
        with contextlib.suppress(ValueError):
            if json.loads(result.read_text()).get("networkName") == slot.handle:
                result.unlink()


def _remove_log_links(folder: Path) -> None:
    """Remove links to logs in /var/log/containers, where every kubelet creates them."""
    for link in CONTAINER_LOGS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(folder):
            link.unlink()
