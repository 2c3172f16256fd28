"""The `taskrun` program: lazily imported commands, exit codes, and hints for mistyped commands."""

import os
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from taskruns.cli.exit_status import MEANINGS, CommandError, ExitCode
from taskruns.cli.output import print_message
from taskruns.cli.streams import OutputFailed, drop, program_name, release

_OTHERS = MappingProxyType({
    "ps": "list", "ls": "list", "rm": "delete", "remove": "delete", "stop": "cancel",
    "kill": "cancel", "apply": "run", "create": "run", "start": "run", "exec": "run",
    "inspect": "describe", "show": "describe", "status": "describe", "attach": "follow",
    "watch": "follow", "log": "logs", "retry": "rerun", "restart": "rerun", "pause": "suspend",
    "unpause": "resume", "init": "new", "lint": "validate", "check": "validate",
})  # fmt: skip
"""Commands of docker, kubectl and similar programs, mapped to the equivalent command here."""


def unknown_command(word: str, known: Collection[str]) -> str:
    """Return the message for an unknown command, with the most similar known one."""
    import difflib  # noqa: PLC0415 - only this message needs it

    near = difflib.get_close_matches(word.lower(), [*known, *_OTHERS], 1)
    suggestion = _OTHERS.get(near[0], near[0]) if near else ""
    return f"No such command {word!r}." + (f" Did you mean {suggestion!r}?" if suggestion else "")


def conflict_of(words: Sequence[str], image: str | None, *, separated: bool) -> str:
    """Return the usage error in the arguments of `run`, or an empty string.

    Args:
        words: the arguments.
        image: the value of --image, if it was given.
        separated: whether the command line contained `--`.
    """
    if image is not None:
        if words and not separated and _is_manifest(words[0]):
            return (
                f"--image cannot be used with the file {words[0]}: set spec.image in the file, or "
                "put -- before a command of that name. --name, -e, --env-file and --secret can be "
                "used with a file"
            )
        return ""
    if not words:
        return "a file, or --image and a command, is required"
    if len(words) > 1:
        image = words[0] if not _is_manifest(words[0]) else "IMAGE"
        command = " ".join(words[1:])
        return (
            "a command requires --image, and a file contains its own command: write "
            f"`taskrun run --image {image} -- {command}`, or only the file"
        )
    if not _is_manifest(words[0]) and not Path(words[0]).exists() and "." not in words[0][-5:]:
        return (
            f"file {words[0]} not found: to run an image of that name, write "
            f"`taskrun run --image {words[0]}`"
        )
    return ""


def _is_manifest(word: str) -> bool:
    """Return whether a word names a TaskRun file or standard input, not a program."""
    return word == "-" or Path(word).suffix in (".yaml", ".yml", ".json")


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
"""Commands in the order of `--help`, with their modules in taskruns.cli.commands."""


class Commands(click.Group):
    """A group that imports a command's module when the command is used.

    It does not use `override`, because importing typing_extensions takes a fifth of the start-up
    time.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # type: ignore[explicit-override]  # noqa: ARG002
        """Return the commands in the order of `--help`."""
        return [*COMMANDS]

    def get_command(  # type: ignore[explicit-override]
        self,
        ctx: click.Context,
        cmd_name: str,
    ) -> click.Command | None:
        """Return a command. Raises UsageError if it does not exist."""
        if cmd_name not in COMMANDS and ctx.resilient_parsing:  # shell completion
            return None
        if cmd_name not in COMMANDS:
            raise click.UsageError(unknown_command(cmd_name, COMMANDS), ctx)
        module = import_module(f"taskruns.cli.commands.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command


def main() -> int:
    """Run the program and return its exit code. Errors are printed without a traceback."""
    try:
        code = _guarded()
        release()
    except OutputFailed as error:
        drop()
        if error.is_left:
            return ExitCode.PIPE
        print_message(f"standard output cannot be written: {error}")
        return ExitCode.OUTPUT
    return code


def _guarded() -> int:
    """Run the command and convert its errors to exit codes.

    Raises:
        OutputFailed: standard output cannot be written.
    """
    try:
        return int(_run() or 0)
    except SystemExit as error:  # click's shell completion exits by itself
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
        print_message(why)
        return code


def _explained(error: Exception) -> tuple[str, int]:
    """Return the message and the exit code for an error."""
    match error:
        case CommandError():
            return error.message, error.code
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else program_name()
            message = error.format_message()
            stop = "" if message.endswith((".", "?")) else "."
            return f"{message}{stop} See {path} --help", ExitCode.USAGE
        case click.ClickException():
            return error.format_message(), error.exit_code
        case _:
            detail = f"{type(error).__name__}: {error}"
            return (
                f"internal error ({detail}): set {DEBUG_VARIABLE}=1 for the traceback",
                ExitCode.FAILURE,
            )


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
    """Run containerised tasks to completion and show their outcome.

    TaskRuns run on a Docker host or, with --on kubernetes, on a cluster where taskruns is
    installed. Set TASKRUN_ON=kubernetes to use the cluster by default.
    """
