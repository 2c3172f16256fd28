"""Commands that change a run: cancel, suspend, resume, delete."""

from typing import Any

import click

from taskruns.cli.backend import Backend
from taskruns.cli.exit_status import CommandError
from taskruns.cli.target import Target, name_argument, placed


@click.command("cancel")
@name_argument
@placed
def cancel_command(choice: Target, name: str) -> None:
    """Cancel a TaskRun; a running attempt is stopped with its grace period."""
    choice.act(lambda place: _cancel(place, name))


@click.command("suspend")
@name_argument
@placed
def suspend_command(choice: Target, name: str) -> None:
    """Suspend a TaskRun until `taskrun resume`; a running attempt is stopped and not counted."""
    choice.act(lambda place: _change(place, name, {"suspend": True}, "suspended"))


@click.command("resume")
@name_argument
@placed
def resume_command(choice: Target, name: str) -> None:
    """Resume a suspended TaskRun."""
    choice.act(lambda place: _change(place, name, {"suspend": False}, "resumed"))


async def _cancel(place: Backend, name: str) -> None:
    await _change(place, name, {"cancel": True}, "cancelled")
    place.leave_follower(name)  # the attempt may need its whole grace period


async def _change(place: Backend, name: str, spec: dict[str, Any], done: str) -> None:
    from taskruns.api.conditions import is_terminal

    if is_terminal(await place.run(name)):
        raise CommandError(f"{name} has ended: `taskrun rerun {name}` runs it again")
    await place.patch(name, {"spec": spec})
    click.echo(f"{name} {done}")


@click.command("delete")
@name_argument
@placed
def delete_command(choice: Target, name: str) -> None:
    """Delete a TaskRun; a running attempt is stopped first, with its grace period."""
    choice.act(lambda place: place.delete(name))
    click.echo(f"{name} deleted")
