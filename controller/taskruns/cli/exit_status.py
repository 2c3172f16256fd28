"""Exit codes of the command line, and the errors that end a command."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import click

from taskruns.api.conditions import FailureKind, Phase
from taskruns.core.unstructured import mapping, number, text


class ExitCode(IntEnum):
    """Exit codes besides the task's own, as in timeout(1), docker run, sysexits.h and shells."""

    SUCCESS = 0
    FAILURE = 1
    USAGE = 2
    OUTPUT = 74
    TIMEOUT = 124
    NOT_RUN = 125
    CANCELLED = 130
    PIPE = 141


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.SUCCESS: "the run succeeded, or the command succeeded",
    ExitCode.FAILURE: "the command failed; a line on standard error has the cause",
    ExitCode.USAGE: "wrong usage, or a file that cannot be read",
    ExitCode.OUTPUT: "the task succeeded but its log is not complete, or standard output cannot be "
    "written",
    ExitCode.TIMEOUT: "a deadline of the run passed, or the --timeout of wait",
    ExitCode.NOT_RUN: "the task did not run, its outcome is unknown, or the daemon or cluster is "
    "unavailable or denies access",
    ExitCode.CANCELLED: "the run was cancelled, or Ctrl-C ended the command",
    ExitCode.PIPE: "the reader of standard output, such as head, has exited; run, follow and rerun "
    "continue to the end of the run instead",
}
"""Meaning of each exit code. Any other code of run, follow, rerun and wait is the task's own."""


class CommandError(click.ClickException):
    """An error that the user can fix. Its message says how."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILURE) -> None:
        super().__init__(message)
        self.code = code


class LogNotKept(CommandError):
    """The backend is configured to keep no logs, so nothing of this run's log was lost."""


def exit_code_of(run: Mapping[str, Any]) -> int:
    """Return the exit code for a run that has ended.

    A run whose task failed exits with the task's own code, at most 255.
    """
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


def not_found(name: str, namespace: str) -> CommandError:
    """Return the error for a TaskRun that does not exist."""
    return CommandError(
        f"TaskRun {name} not found in namespace {namespace}: `taskrun list` shows all"
    )
