"""Exit codes of processes ended by a signal: 128 plus its number (Linux, x86 and ARM)."""

from collections.abc import Mapping

BASE = 128
"""Offset from a signal's number to the exit code that stands for it."""

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

SIGCHLD, SIGCONT, SIGURG and SIGWINCH are ignored by default. SIGSTOP, SIGTSTP, SIGTTIN and SIGTTOU
stop a process without ending it. Real-time signals (34 to 64) have no fixed meaning, and programs
use exit codes from 162 for their own purposes.
"""

_SENT_BY_SYSTEM = frozenset({4, 5, 6, 7, 8, 9, 11, 15, 31})
"""Signals that the kernel, the C library, a kubelet or a container runtime sends.

Runtimes report the same code for an end by signal n and for `exit(128 + n)`. For these signals the
code is taken as the signal. For other signals `exit` is just as likely.
"""


def signal_of(exit_code: int) -> int | None:
    """Return the number of the signal that ended a process with this exit code, or None."""
    number = exit_code - BASE
    return number if number in _SENT_BY_SYSTEM else None


def describe_exit(exit_code: int) -> str:
    """Return a verb phrase with the exit code, and the signal if the code stands for one."""
    number = exit_code - BASE
    name = TERMINATING.get(number)
    if name is None:
        return f"exited with code {exit_code}"
    if number in _SENT_BY_SYSTEM:
        return f"ended with exit code {exit_code} ({BASE}+{number}, {name})"
    return f"exited with code {exit_code} ({BASE}+{number}, by convention {name})"
