"""The program: its commands by name, each imported when it is needed, and how it ends."""

import os
import sys
from importlib import import_module

import click

from taskruns.cli.ending import CommandError, ExitCode
from taskruns.cli.invocation import program_name
from taskruns.cli.wording import plain

DEBUG_VARIABLE = "TASKRUN_DEBUG"

COMMANDS = {
    "run": "running",
    "follow": "running",
    "rerun": "running",
    "list": "showing",
    "describe": "showing",
    "get": "showing",
    "logs": "showing",
    "wait": "running",
    "cancel": "changing",
    "suspend": "changing",
    "resume": "changing",
    "delete": "changing",
    "version": "about",
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
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Return a command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"taskruns.cli.commands.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command


def main() -> int:
    """Run the program and return its exit code; no traceback reaches a user."""
    try:
        return int(program.main(prog_name=program_name(), standalone_mode=False) or 0)
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.CANCELLED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.SUCCESS
    except CommandError as error:
        return _ended(error.message, error.code)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else program_name()
        return _ended(f"{error.format_message()} See {path} --help", ExitCode.USAGE)
    except click.ClickException as error:
        return _ended(error.format_message(), error.exit_code)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        what = f"{type(error).__name__}: {error}"
        return _ended(f"this is a bug ({what}): {DEBUG_VARIABLE}=1 shows where", ExitCode.FAILURE)


def _ended(why: str, code: int) -> int:
    """Say why it ended, in one line."""
    click.echo(f"taskrun: {' '.join(plain(why).split())}", err=True)
    return code


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def program() -> None:
    """Run containerised tasks to completion, and see how they ended.

    A TaskRun runs on this machine's Docker, or with --on kubernetes on a cluster that has taskruns
    on it. Set TASKRUN_ON=kubernetes to mean the cluster always.

    \b
    Exit codes of run and wait: 0 success; the task's own exit code; 124 a deadline passed;
    125 the task did not run, or nobody knows how it ended; 130 cancelled; 2 wrong usage.
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
