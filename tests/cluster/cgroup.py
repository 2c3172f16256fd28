"""Control groups of a cluster, by which `down` finds all of its processes.

The supervisor's records name only the processes that it started. Their descendants (containerd's
shims, containers) are identified by their control group, even after a `kill -9` of their parent.
Supports cgroup version 1, version 2 and both side by side.
"""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.deadline import wait_until
from tests.cluster.process import BOOT_ID, Process

MOUNTS = Path("/proc/self/mounts")


def hierarchies(mounts: str) -> list[Path]:
    """Return the roots of the mounted hierarchies, version 2 first, which tracks processes best."""
    kind_by_root: dict[Path, str] = {}
    for line in mounts.splitlines():
        _, folder, kind, *_ = line.split(" ")
        if kind in ("cgroup", "cgroup2"):
            kind_by_root.setdefault(Path(folder).resolve(), kind)
    return sorted(kind_by_root, key=lambda path: (kind_by_root[path] != "cgroup2", str(path)))


@dataclass(frozen=True)
class Cgroup:
    """A control group, identified by its path below the root of every hierarchy."""

    path: str

    def child(self, name: str) -> "Cgroup":
        return Cgroup(f"{self.path}/{name}")

    @property
    def folders(self) -> list[Path]:
        return [root / self.path.lstrip("/") for root in hierarchies(MOUNTS.read_text())]

    def make(self) -> None:
        """Create it in every hierarchy, because the kubelet requires its root in all of them."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
            for part in (folder.parent, folder):
                _fill_cpuset(part)
                _pass_on_controllers(part.parent)

    @property
    def entry(self) -> Path:
        """File that adds a process to the group; one hierarchy is enough for tracking."""
        return self.folders[0] / "cgroup.procs"

    def processes(self) -> set[Process]:
        """Return the running processes in the group and below it, in any hierarchy."""
        boot = BOOT_ID.read_text()
        members = set()
        for pid in {pid for folder in self.folders for pid in _pids(folder)}:
            with contextlib.suppress(OSError, ValueError):
                members.add(Process.parse(boot, Path(f"/proc/{pid}/stat").read_text()))
        return {process for process in members if process.alive}

    def kill(self) -> None:
        """Kill all processes until the group is empty; repeat, because they may fork meanwhile."""

        def emptied() -> bool:
            left = self.processes()
            for process in left:
                process.send(signal.SIGKILL)
            return not left

        wait_until(
            emptied, within=30, condition=f"the processes of control group {self.path} to end"
        )

    def remove(self) -> None:
        """Remove the group from the leaves up; retry, because the kernel may need a moment."""
        wait_until(self._removed, within=15, condition=f"control group {self.path} to be removed")

    def _removed(self) -> bool:
        for folder in self.folders:
            for part, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    Path(part).rmdir()
        return not any(folder.exists() for folder in self.folders)


def _pids(folder: Path) -> Iterator[int]:
    for part, _, files in os.walk(folder):
        if "cgroup.procs" in files:
            with contextlib.suppress(OSError):
                yield from _numbers((Path(part) / "cgroup.procs").read_text().split())


def _numbers(words: Iterable[str]) -> Iterator[int]:
    return (int(word) for word in words if word != "0")


def _pass_on_controllers(folder: Path) -> None:
    """Enable the controllers of a version 2 group for its children."""
    offered = folder / "cgroup.controllers"
    for controller in offered.read_text().split() if offered.exists() else ():
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _fill_cpuset(folder: Path) -> None:
    """Copy the parent's cpuset to a new group of version 1, which otherwise accepts no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = folder / name
        if file.exists() and (folder.parent / name).exists() and not file.read_text().strip():
            with contextlib.suppress(OSError):
                file.write_text((folder.parent / name).read_text())
