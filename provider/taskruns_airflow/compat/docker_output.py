"""The lines of a container's log as DockerOperator returns them."""

from collections.abc import Callable

_FIRST_LOOK = 8
_FURTHER = 8
"""By what the next look is longer: a line of more than 16 KiB is kept in many pieces."""


def lines_of(log: bytes) -> list[str] | None:
    """Return the lines of a whole log, each without the white space at its end; None of none."""
    lines = log.decode(errors="replace").split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.rstrip() for line in lines] or None


def last_line(read_end: Callable[[int], bytes | None]) -> str | None:
    """Return the last line of a log, whole, without the white space at its end; None: no line.

    Args:
        read_end: returns a log's end of so many pieces, a piece being at most a line; None where
            the log cannot be read.
    """
    count, before, end = _FIRST_LOOK, -1, read_end(_FIRST_LOOK)
    while end and b"\n" not in end[:-1] and len(end) > before:
        before, count = len(end), count * _FURTHER
        end = read_end(count)
    if not end:
        return None
    return end.removesuffix(b"\n").rpartition(b"\n")[2].decode(errors="replace").rstrip()
