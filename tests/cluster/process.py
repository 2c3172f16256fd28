"""A process that can be told from every other, also after its number was given away again.

A number alone proves nothing: it is reused, and after a reboot all of them are. The boot, the
number and the kernel's start time together are unique.
"""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.deadline import wait_until
from tests.cluster.error import ClusterError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STATE_FIELD = 0  # of what follows the program's name in /proc/<pid>/stat
THREADS_FIELD = 17
START_FIELD = 19
DEAD = {"Z", "X"}


@dataclass(frozen=True)
class Process:
    """One process of one boot, running or not."""

    boot: str
    pid: int
    started: int
    """Ticks since the boot."""

    @classmethod
    def parse(cls, boot: str, stat: str) -> "Process":
        """Read a line of /proc/<pid>/stat; the program's name in it may hold anything."""
        fields = stat[stat.rindex(")") + 1 :].split()
        return cls(boot.strip(), int(stat.split(" ", 1)[0]), int(fields[START_FIELD]))

    @classmethod
    def read(cls, record: Path) -> "Process | None":
        """Read what a process wrote of itself: the boot's id, then its own stat line."""
        try:
            boot, stat = record.read_text().splitlines()[:2]
            return cls.parse(boot, stat)
        except (FileNotFoundError, ValueError, IndexError):
            return None

    @property
    def alive(self) -> bool:
        """Whether this very process runs, or one of its threads is left; a zombie does not.

        A program of many threads may be a zombie whose others still hold its port.
        """
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        fields = stat[stat.rindex(")") + 1 :].split()
        runs = fields[STATE_FIELD] not in DEAD or int(fields[THREADS_FIELD]) > 1
        return runs and Process.parse(BOOT_ID.read_text(), stat) == self

    def send(self, number: signal.Signals) -> None:
        """Signal this very process: the descriptor is taken first, then the identity checked."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.alive:
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)

    def stop(self, grace: float) -> None:
        """Ask it to end, and end it when it has not within the grace period."""
        if grace > 0:
            self.send(signal.SIGTERM)
            with contextlib.suppress(ClusterError):
                wait_until(lambda: not self.alive, within=grace, what=f"process {self.pid} to end")
                return
        self.send(signal.SIGKILL)
        wait_until(lambda: not self.alive, within=10, what=f"process {self.pid} to be killed")
