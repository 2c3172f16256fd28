"""Processor time and memory of processes, from /proc."""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM, _START = 11, 12, 19  # among the fields after the program's name in /proc/<pid>/stat
MIB = 2**20


def cpu_seconds(stat: str) -> float:
    """Return the processor time in a line of /proc/<pid>/stat, in seconds."""
    fields = stat[stat.rindex(")") + 1 :].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / TICKS


def age(pid: int) -> float:
    """Return the time since the start of a process, in seconds."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    started = int(stat[stat.rindex(")") + 1 :].split()[_START]) / TICKS
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def peak_memory(pid: int) -> float:
    """Return the peak resident memory of a process, in MiB."""
    return _memory(pid, "VmHWM")


def memory(pid: int) -> float:
    """Return the resident memory of a process, in MiB."""
    return _memory(pid, "VmRSS")


def _memory(pid: int, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (kib,) = re.findall(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kib) * 1024 / MIB


@dataclass(frozen=True, slots=True)
class CpuSample:
    """Processor time of each component at one moment, in seconds."""

    at: float
    seconds: Mapping[str, float]

    @classmethod
    def take(cls, pids: Mapping[str, int]) -> "CpuSample":
        """Read the processor time of processes by name."""
        read = {name: Path(f"/proc/{pid}/stat").read_text() for name, pid in pids.items()}
        return cls(time.monotonic(), {name: cpu_seconds(stat) for name, stat in read.items()})

    def rates(self, earlier: "CpuSample") -> dict[str, float]:
        """Return the processor time per second since an earlier sample."""
        passed = self.at - earlier.at
        return {
            name: (self.seconds[name] - earlier.seconds[name]) / passed for name in self.seconds
        }


def above_idle(before: CpuSample, after: CpuSample, idle: Mapping[str, float]) -> dict[str, float]:
    """Return the processor time between two samples that an idle cluster would not use.

    Args:
        before: sample at the start.
        after: sample at the end.
        idle: processor time per second of each component without load.
    """
    passed = after.at - before.at
    used = {name: after.seconds[name] - before.seconds[name] for name in after.seconds}
    return {name: max(0.0, seconds - idle[name] * passed) for name, seconds in used.items()}
