"""Control groups: each cluster's processes are in its own, so that `down` finds every one of them.

A record names a process that was started here; what that process started in turn (containerd's
shims, the containers) is known by its control group alone, also after a `kill -9` of its parent.
Works on version 1, on version 2 and on both side by side.
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
    """The roots of the mounted hierarchies; version 2 first, for it is the best at tracking."""
    found: dict[Path, str] = {}
    for line in mounts.splitlines():
        _, folder, kind, *_ = line.split(" ")
        if kind in ("cgroup", "cgroup2"):
            found.setdefault(Path(folder).resolve(), kind)
    return sorted(found, key=lambda path: (found[path] != "cgroup2", str(path)))


@dataclass(frozen=True)
class Cgroup:
    """One group, by its path below the root of every hierarchy."""

    path: str

    def child(self, name: str) -> "Cgroup":
        return Cgroup(f"{self.path}/{name}")

    @property
    def folders(self) -> list[Path]:
        return [root / self.path.lstrip("/") for root in hierarchies(MOUNTS.read_text())]

    def make(self) -> None:
        """Create it everywhere: the kubelet asks for its root in every hierarchy."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
            for part in (folder.parent, folder):
                _fill_cpuset(part)
                _pass_on_controllers(part.parent)

    @property
    def entry(self) -> Path:
        """The file that takes a process in; one hierarchy is enough to track it."""
        return self.folders[0] / "cgroup.procs"

    def processes(self) -> set[Process]:
        """Everything in it and below it, in any hierarchy."""
        boot = BOOT_ID.read_text()
        found = set()
        for pid in {pid for folder in self.folders for pid in _pids(folder)}:
            with contextlib.suppress(OSError, ValueError):
                found.add(Process.parse(boot, Path(f"/proc/{pid}/stat").read_text()))
        return {process for process in found if process.alive}

    def kill(self) -> None:
        """End everything in it, and wait until it is empty: what forks meanwhile is hit next."""

        def emptied() -> bool:
            left = self.processes()
            for process in left:
                process.send(signal.SIGKILL)
            return not left

        wait_until(emptied, within=30, what=f"the processes of control group {self.path} to end")

    def remove(self) -> None:
        """Remove it from the leaves up; the kernel needs a moment at times."""
        wait_until(self._removed, within=15, what=f"control group {self.path} to be removed")

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
    """In version 2 a group has the controllers that its parent passes on."""
    offered = folder / "cgroup.controllers"
    for controller in offered.read_text().split() if offered.exists() else ():
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _fill_cpuset(folder: Path) -> None:
    """A new cpuset of version 1 is empty and takes no process until it is filled."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = folder / name
        if file.exists() and (folder.parent / name).exists() and not file.read_text().strip():
            with contextlib.suppress(OSError):
                file.write_text((folder.parent / name).read_text())
