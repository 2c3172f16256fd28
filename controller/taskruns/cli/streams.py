"""Robust standard streams, and the name by which the program was called.

The standard streams may be closed, full or without a reader.
"""

import contextlib
import io
import os
import sys
from pathlib import Path
from select import select
from typing import Any

_OUTPUT, _ERROR = 1, 2


class OutputFailed(Exception):
    """Standard output cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.is_left = isinstance(error, BrokenPipeError)
        """Whether the reader of a pipe has gone, as `head` does when it has read enough."""


class _Output(io.FileIO):
    """A file descriptor for writing that waits when the descriptor would block."""

    def write(self, data: Any) -> int:  # type: ignore[explicit-override]
        """Write as many bytes as fit. Raises OutputFailed."""
        try:
            while (count := super().write(data)) is None:
                select([], [self], [])
        except OSError as error:
            raise OutputFailed(error) from error
        return count


class _Messages(_Output):
    """A file descriptor for writing that ignores write errors."""

    def write(self, data: Any) -> int:  # type: ignore[explicit-override]
        """Write as many bytes as fit, or none."""
        try:
            return super().write(data)
        except OutputFailed:
            return len(data)


def protect() -> None:
    """Make the standard streams of this process usable, even if they are closed.

    A closed descriptor is replaced by one that fails in the same way. Otherwise the next file to be
    opened would get its number.
    """
    for number, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest free number
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for the life of the process
    if sys.stdout is sys.__stdout__:  # otherwise a test has replaced it
        sys.stdout = _text(_Output(_OUTPUT, "w", closefd=False))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Messages(_ERROR, "w", closefd=False))


def release() -> None:
    """Flush standard output. Raises OutputFailed."""
    sys.stdout.flush()


def drop() -> None:
    """Discard unwritten output, because Python would otherwise write it again at exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _text(raw: io.FileIO) -> io.TextIOWrapper:
    """Return a text stream in UTF-8, the encoding of all Kubernetes and Docker programs."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="replace", line_buffering=True
    )


_PLUGIN = ("kubectl-taskrun", "kubectl_taskrun", "kubectl_complete-taskrun")


def as_plugin() -> bool:
    """Return whether kubectl called the program, as a plugin or for completion."""
    return Path(sys.argv[0]).name in _PLUGIN


def program_name() -> str:
    """Return the name of the program as the user typed it."""
    return "kubectl taskrun" if as_plugin() else "taskrun"
