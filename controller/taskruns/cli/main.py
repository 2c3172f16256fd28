"""The program: its commands by name, each imported when it is needed, and how it ends."""

import os
from importlib import import_module
from typing import Any

import click

from taskruns.cli.exit_codes import MEANINGS, CommandError, ExitCode
from taskruns.cli.hints import unknown_command
from taskruns.cli.invocation import program_name
from taskruns.cli.notices import say
from taskruns.cli.streams import OutputFailed, drop, release

DEBUG_VARIABLE = "TASKRUN_DEBUG"
COMPLETION_VARIABLE = "_TASKRUN_COMPLETE"

COMMANDS = {
    "run": "run",
    "follow": "run",
    "rerun": "run",
    "list": "get",
    "describe": "get",
    "get": "get",
    "logs": "get",
    "wait": "run",
    "cancel": "cancel",
    "suspend": "cancel",
    "resume": "cancel",
    "delete": "cancel",
    "new": "new",
    "validate": "validate",
    "render": "validate",
    "version": "version",
    "completion": "version",
}
"""In the order of `--help`: each command, and its module in taskruns.cli.commands."""


class Commands(click.Group):
    """A group that imports a command when it is asked for.

    Nor is typing_extensions imported, for its `override` alone: that is a fifth of a start.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # type: ignore[explicit-override]  # noqa: ARG002
        """Name the commands in the order of `--help`."""
        return [*COMMANDS]

    def get_command(  # type: ignore[explicit-override]
        self,
        ctx: click.Context,
        cmd_name: str,
    ) -> click.Command | None:
        """Return a command. Raises UsageError where there is none of that name."""
        if cmd_name not in COMMANDS and ctx.resilient_parsing:  # a shell completes it
            return None
        if cmd_name not in COMMANDS:
            raise click.UsageError(unknown_command(cmd_name, COMMANDS), ctx)
        module = import_module(f"taskruns.cli.commands.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command


def main() -> int:
    """Run the program and return its exit code; no traceback reaches a user."""
    try:
        code = _guarded()
        release()
    except OutputFailed as error:
        drop()
        if error.is_left:
            return ExitCode.PIPE
        say(f"standard output cannot be written: {error}")
        return ExitCode.OUTPUT
    return code


def _guarded() -> int:
    """Run the program and return its exit code.

    Raises:
        OutputFailed: standard output cannot be written.
    """
    try:
        return int(_run() or 0)
    except SystemExit as error:  # what completes a shell's words ends by itself
        return int(error.code or 0)
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.CANCELLED
    except OutputFailed:
        raise
    except BrokenPipeError as error:
        raise OutputFailed(error) from error
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        why, code = _explained(error)
        say(why)
        return code


def _explained(error: Exception) -> tuple[str, int]:
    """Say why it ended, and with which exit code."""
    match error:
        case CommandError():
            return error.message, error.code
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else program_name()
            said = error.format_message()
            stop = "" if said.endswith((".", "?")) else "."
            return f"{said}{stop} See {path} --help", ExitCode.USAGE
        case click.ClickException():
            return error.format_message(), error.exit_code
        case _:
            what = f"{type(error).__name__}: {error}"
            return f"this is a bug ({what}): {DEBUG_VARIABLE}=1 shows where", ExitCode.FAILURE


def _run() -> Any:
    return program.main(
        prog_name=program_name(), standalone_mode=False, complete_var=COMPLETION_VARIABLE
    )


_EXIT_CODES = "\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items())


@click.group(
    cls=Commands,
    epilog=f"\b\nExit codes, beside the task's own:\n{_EXIT_CODES}",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def program() -> None:
    """Run containerised tasks to completion, and see how they ended.

    A TaskRun runs on this machine's Docker, or with --on kubernetes on a cluster that has taskruns
    on it. Set TASKRUN_ON=kubernetes to mean the cluster always.
    """
