"""How a status' message holds a cause and the last lines that the task has written.

It is one line, for those who list many runs; whoever shows one run can take it apart again.
"""

from collections.abc import Iterable

_OUTPUT = ". Last output: "
"""Stands between what we say and what the task has said."""
_BETWEEN = " | "


def join_output(cause: str, lines: Iterable[str]) -> str:
    """Join a cause and the last lines of output into one line."""
    output = _BETWEEN.join(line.strip() for line in lines if line.strip())
    return f"{cause}{_OUTPUT}{output}" if output else cause


def split_output(message: str) -> tuple[str, list[str]]:
    """Return the cause that a message tells, and the last lines of output that it ends with.

    A line that itself holds what stands between two of them comes back as several.
    """
    cause, _, output = message.partition(_OUTPUT)
    return cause, output.split(_BETWEEN) if output else []
