"""How a command ends: its exit code, and the one line that says why."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import click

from taskruns.api.conditions import FailureKind, Phase
from taskruns.core.wire import mapping, number, text


class ExitCode(IntEnum):
    """Exit codes beside the task's own; those of timeout(1), docker run and a shell."""

    SUCCESS = 0
    FAILURE = 1
    USAGE = 2
    TIMEOUT = 124
    """A deadline of the run, or of waiting for it."""
    NOT_RUN = 125
    """The task did not run, or nobody knows how it ended."""
    CANCELLED = 130


class CommandError(click.ClickException):
    """Something that a person can mend; its text says how."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILURE) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(run: Mapping[str, Any]) -> int:
    """Return the exit code that tells how a run ended: the task's own where it is what failed."""
    status = mapping(run.get("status"))
    code = number(status.get("exitCode"))
    match text(status.get("phase")), text(status.get("failureKind")):
        case Phase.SUCCEEDED, _:
            return ExitCode.SUCCESS
        case Phase.CANCELLED, _:
            return ExitCode.CANCELLED
        case _, FailureKind.TIMEOUT:
            return ExitCode.TIMEOUT
        case _, FailureKind.APPLICATION if code:
            return min(code, 255)
    return ExitCode.NOT_RUN


def none_of_that_name(name: str, where: str) -> CommandError:
    """Say that there is no such TaskRun."""
    return CommandError(f"there is no TaskRun {name} {where}: `taskrun list` shows all")
