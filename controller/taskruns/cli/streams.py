"""Standard streams that may be closed, full or without a reader, and how the program was called."""

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
    """A descriptor to write to, which waits where it would not block."""

    def write(self, data: Any) -> int:  # type: ignore[explicit-override]
        """Write what fits. Raises OutputFailed."""
        try:
            while (count := super().write(data)) is None:
                select([], [self], [])
        except OSError as error:
            raise OutputFailed(error) from error
        return count


class _Messages(_Output):
    """A descriptor to write to, whose failures are ignored."""

    def write(self, data: Any) -> int:  # type: ignore[explicit-override]
        """Write what fits, or nothing."""
        try:
            return super().write(data)
        except OutputFailed:
            return len(data)


def protect() -> None:
    """Make the standard streams of this process fit to be used, whatever they are connected to.

    A closed descriptor is replaced by one that refuses to be used in the same way: the next file
    that is opened would otherwise take its number.
    """
    for number, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest free number
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for the life of the process
    if sys.stdout is sys.__stdout__:  # else a test has put its own there
        sys.stdout = _text(_Output(_OUTPUT, "w", closefd=False))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Messages(_ERROR, "w", closefd=False))


def release() -> None:
    """Write what is left. Raises OutputFailed."""
    sys.stdout.flush()


def drop() -> None:
    """Have what is left go nowhere: Python would try to write it once more at its exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _text(raw: io.FileIO) -> io.TextIOWrapper:
    """Return a stream of text in UTF-8, as all programs of Kubernetes and Docker write it."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="replace", line_buffering=True
    )


_PLUGIN = ("kubectl-taskrun", "kubectl_taskrun", "kubectl_complete-taskrun")


def as_plugin() -> bool:
    """Whether it was called as `kubectl taskrun`, or by kubectl to complete that."""
    return Path(sys.argv[0]).name in _PLUGIN


def program_name() -> str:
    """Return what a person has typed for it."""
    return "kubectl taskrun" if as_plugin() else "taskrun"
