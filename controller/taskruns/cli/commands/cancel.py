"""Commands that change a run: cancel, suspend, resume, delete."""

from typing import Any

import click

from taskruns.cli.backend import Backend
from taskruns.cli.exit_status import CommandError
from taskruns.cli.target import Target, name_argument, with_target


@click.command("cancel")
@name_argument
@with_target
def cancel_command(target: Target, name: str) -> None:
    """Cancel a TaskRun; a running attempt is stopped with its grace period."""
    target.act(lambda backend: _cancel(backend, name))


@click.command("suspend")
@name_argument
@with_target
def suspend_command(target: Target, name: str) -> None:
    """Suspend a TaskRun until `taskrun resume`; a running attempt is stopped and not counted."""
    target.act(lambda backend: _change(backend, name, {"suspend": True}, "suspended"))


@click.command("resume")
@name_argument
@with_target
def resume_command(target: Target, name: str) -> None:
    """Resume a suspended TaskRun."""
    target.act(lambda backend: _change(backend, name, {"suspend": False}, "resumed"))


async def _cancel(backend: Backend, name: str) -> None:
    await _change(backend, name, {"cancel": True}, "cancelled")
    backend.leave_follower(name)  # the attempt may need its whole grace period


async def _change(backend: Backend, name: str, spec: dict[str, Any], done: str) -> None:
    from taskruns.api.conditions import is_terminal

    if is_terminal(await backend.run(name)):
        raise CommandError(f"{name} has ended: `taskrun rerun {name}` runs it again")
    await backend.patch(name, {"spec": spec})
    click.echo(f"{name} {done}")


@click.command("delete")
@name_argument
@with_target
def delete_command(target: Target, name: str) -> None:
    """Delete a TaskRun; a running attempt is stopped first, with its grace period."""
    target.act(lambda backend: backend.delete(name))
    click.echo(f"{name} deleted")
