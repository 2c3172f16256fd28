"""Removing what a node leaves on the machine beside its processes, each thing by its own mark."""

import contextlib
import json
import shutil
from pathlib import Path

from tests.cluster import mount
from tests.cluster.error import ClusterError
from tests.cluster.place import Place
from tests.cluster.slot import Slot

CNI_RESULTS = Path("/var/lib/cni/results")
CONTAINER_LOGS = Path("/var/log/containers")
SHIM_SOCKETS = Path("/run/containerd/s")
TASKS = "io.containerd.runtime.v2.task"


def forget(place: Place, slot: Slot) -> None:
    """Undo the traces outside the cluster's folder; nothing of it may run any more."""
    _remove_shim_sockets(place)
    mount.unmount_below(place.folder)
    _remove_cni_results(slot)
    _remove_log_links(place)


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


def _remove_shim_sockets(place: Place) -> None:
    """A shim that was killed leaves its socket; each Pod's folder says which it was."""
    for address in (place.containerd / "state" / TASKS).glob("*/*/address"):
        socket = Path(address.read_text().strip().removeprefix("unix://"))
        if socket.parent == SHIM_SOCKETS:
            socket.unlink(missing_ok=True)


def _remove_cni_results(slot: Slot) -> None:
    for result in CNI_RESULTS.glob(f"{slot.handle}-*"):
        with contextlib.suppress(ValueError):
            if json.loads(result.read_text()).get("networkName") == slot.handle:
                result.unlink()


def _remove_log_links(place: Place) -> None:
    """The kubelet links every log into one folder of the machine, whatever its own settings."""
    for link in CONTAINER_LOGS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(place.folder):
            link.unlink()
