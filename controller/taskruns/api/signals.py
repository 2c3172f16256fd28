"""Exit codes that stand for signals: 128 plus the signal's number (Linux, x86 and ARM)."""

from collections.abc import Mapping

BASE = 128

TERMINATING: Mapping[int, str] = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    16: "SIGSTKFLT",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    26: "SIGVTALRM",
    27: "SIGPROF",
    29: "SIGIO",
    30: "SIGPWR",
    31: "SIGSYS",
}
"""Signals that end a process by default (signal(7)).

SIGCHLD, SIGCONT, SIGURG and SIGWINCH are ignored by default, and SIGSTOP, SIGTSTP, SIGTTIN and
SIGTTOU stop a process without ending it. Real-time signals (34 to 64) have no meaning of their own,
and programs use the exit codes from 162 on for themselves.
"""

_SENT_BY_SYSTEM = frozenset({4, 5, 6, 7, 8, 9, 11, 15, 31})
"""Signals that the kernel, the C library, a kubelet or a container runtime sends.

Runtimes report a death by signal and an `exit(128 + n)` as the same code. For these signals the
code is taken as the signal; for the others, a program that exits with such a code is as likely.
"""


def signal_of(exit_code: int) -> int | None:
    """Return the number of the signal that ended a process with this exit code, or None."""
    number = exit_code - BASE
    return number if number in _SENT_BY_SYSTEM else None


def describe_exit(exit_code: int) -> str:
    """Return a verb phrase with the exit code, and the signal where the code stands for one."""
    number = exit_code - BASE
    name = TERMINATING.get(number)
    if name is None:
        return f"exited with code {exit_code}"
    if number in _SENT_BY_SYSTEM:
        return f"ended with exit code {exit_code} ({BASE}+{number}, {name})"
    return f"exited with code {exit_code} ({BASE}+{number}, by convention {name})"
