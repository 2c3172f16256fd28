"""Commands about this program: version, completion."""

import click

from taskruns.cli.choice import DOCKER, KUBERNETES, Choice, placed


@click.command("version")
@click.option("--client", is_flag=True, help="Only this program's.")
@placed
def version_command(choice: Choice, *, client: bool) -> None:
    """Print the version of this program, and of what it reaches."""
    from importlib.metadata import version

    click.echo(f"taskrun {version('taskruns')}")
    if client:
        return
    from taskruns.cli.ending import CommandError

    try:
        for name, found in choice.act(lambda place: place.versions()).items():
            click.echo(f"{name} {found}")
    except CommandError as error:
        what = {DOCKER: "docker", KUBERNETES: "kubernetes"}[choice.on]
        click.echo(f"{what}: {error.message}")
