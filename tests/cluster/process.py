"""Identification of processes, even after their process ids are reused.

Process ids alone are not unique: they are reused, in particular after a reboot. The boot id, the
process id and the kernel's start time together are unique.
"""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.deadline import wait_until
from tests.cluster.error import ClusterError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STATE_FIELD = 0  # among the fields after the program's name in /proc/<pid>/stat
THREADS_FIELD = 17
START_FIELD = 19
DEAD = {"Z", "X"}


@dataclass(frozen=True)
class Process:
    """A process of one boot, running or not."""

    boot: str
    pid: int
    started: int
    """Start time, in clock ticks since the boot."""

    @classmethod
    def parse(cls, boot: str, stat: str) -> "Process":
        """Parse a line of /proc/<pid>/stat; the program's name in it may contain any character."""
        fields = stat[stat.rindex(")") + 1 :].split()
        return cls(boot.strip(), int(stat.split(" ", 1)[0]), int(fields[START_FIELD]))

    @classmethod
    def read(cls, record: Path) -> "Process | None":
        """Read a record that a process wrote about itself: the boot id, then its stat line."""
        try:
            boot, stat = record.read_text().splitlines()[:2]
            return cls.parse(boot, stat)
        except (FileNotFoundError, ValueError, IndexError):
            return None

    @property
    def alive(self) -> bool:
        """Whether this process, or at least one of its threads, is running; a zombie is not.

        The main thread may be a zombie while other threads still hold the program's port.
        """
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        fields = stat[stat.rindex(")") + 1 :].split()
        runs = fields[STATE_FIELD] not in DEAD or int(fields[THREADS_FIELD]) > 1
        return runs and Process.parse(BOOT_ID.read_text(), stat) == self

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process only.

        The descriptor is opened before the identity check, so a reused process id is not signalled.
        """
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.alive:
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)

    def stop(self, grace: float) -> None:
        """Send SIGTERM, and send SIGKILL if the process has not ended within the grace period."""
        if grace > 0:
            self.send(signal.SIGTERM)
            with contextlib.suppress(ClusterError):
                wait_until(
                    lambda: not self.alive, within=grace, condition=f"process {self.pid} to end"
                )
                return
        self.send(signal.SIGKILL)
        wait_until(lambda: not self.alive, within=10, condition=f"process {self.pid} to be killed")
