"""One machine of a cluster, as far as there are several: what it calls its own, what it leaves.

Number 0 is the node that every cluster has. Spare nodes come and go beside it on the same machine
and the same bridge, with a kubelet, a containerd and control groups of their own, so that a test
may lose one without harm to anything else.
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
"""By which Pods choose a spare node, and the taint that keeps all others away."""
TASKS = "io.containerd.runtime.v2.task"


@dataclass(frozen=True)
class Node:
    """The names and folders of one node; they follow from its number."""

    place: Place
    slot: Slot
    number: int = 0

    def own(self, word: str) -> str:
        """A word that no other node of the cluster uses: `kubelet`, `kubelet-1`, ..."""
        return f"{word}-{self.number}" if self.number else word

    @property
    def name(self) -> str:
        return self.place.node_name(self.number)

    @property
    def containerd(self) -> Path:
        return self.place.folder / self.own("containerd")

    @property
    def state(self) -> Path:
        """What a machine keeps in memory: it is gone when the machine is."""
        return self.containerd / "state"

    @property
    def socket(self) -> Path:
        return self.place.run / f"{self.own('containerd')}.sock"

    @property
    def kubelet(self) -> Path:
        return self.place.folder / self.own("kubelet")

    @property
    def logs(self) -> Path:
        """The logs of its Pods."""
        return self.place.log / self.own("pods")

    @property
    def images(self) -> Path:
        return self.place.folder / f"{self.own('loaded-images')}.json"

    @property
    def pods_group(self) -> str:
        """The control group of its Pods, below the cluster's."""
        return self.own("pods")

    @property
    def system_group(self) -> str:
        """The control group of its kubelet and its containerd with all shims."""
        return self.own("system")

    @property
    def label(self) -> tuple[str, str]:
        return SPARE_LABEL, str(self.number)


def every(place: Place, slot: Slot) -> Iterator[Node]:
    """Each node that a cluster may have."""
    return (Node(place, slot, number) for number in (0, *SPARE_NODES))


def forget(place: Place, slot: Slot) -> None:
    """Undo the traces outside the cluster's folder; nothing of it may run any more."""
    for node in every(place, slot):
        _remove_shim_sockets(node)
    mount.unmount_below(place.folder)
    _remove_cni_results(slot)
    _remove_log_links(place.folder)


def lose_memory(node: Node) -> None:
    """Undo what a machine forgets when it is switched off; nothing of it may run any more."""
    _remove_shim_sockets(node)
    mount.unmount_below(node.containerd)
    mount.unmount_below(node.kubelet)
    if node.state.exists():
        shutil.rmtree(node.state)


def remove_disk(node: Node) -> None:
    """Remove all that a node has on disk, after its memory."""
    _remove_log_links(node.logs)
    for folder in (node.containerd, node.kubelet, node.logs):
        if folder.exists():
            shutil.rmtree(folder)
    node.images.unlink(missing_ok=True)


def remove_folder(place: Place) -> None:
    """Remove a cluster's folder, at once for everybody who looks."""
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
    """A shim that was killed leaves its socket; each Pod's folder says which it was."""
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
    """The kubelet links every log into one folder of the machine, whatever its own settings."""
    for link in CONTAINER_LOGS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(folder):
            link.unlink()
