"""Commands about this program: version, completion."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from taskruns.cli.backend import DOCKER, KUBERNETES
from taskruns.cli.target import Target, with_target

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_FILES, _NO_FILES = 0, 4
"""Values of cobra's ShellCompDirective, which kubectl reads in the last line of the output."""


@click.command("version")
@click.option("--client", is_flag=True, help="Print only the version of this program.")
@with_target
def version_command(target: Target, *, client: bool) -> None:
    """Print the versions of this program and of the Docker daemon or the cluster."""
    from importlib.metadata import version

    click.echo(f"taskrun {version('taskruns')}")
    if client:
        return
    from taskruns.cli.exit_status import CommandError

    try:
        for name, component_version in target.act(lambda backend: backend.versions()).items():
            click.echo(f"{name} {component_version}")
    except CommandError as error:
        server = {DOCKER: "docker", KUBERNETES: "kubernetes"}[target.on]
        click.echo(f"{server}: {error.message}")


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the script with which a shell completes commands, options and TaskRun names.

    \b
    Examples:
      source <(taskrun completion bash)
      taskrun completion fish > ~/.config/fish/completions/taskrun.fish
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from click.shell_completion import get_completion_class

    from taskruns.cli.main import COMPLETION_VARIABLE, program

    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"unsupported shell {shell}")
    click.echo(completion_class(program, {}, "taskrun", COMPLETION_VARIABLE).source())


def complete() -> int:
    """Print the completions for the words after `kubectl taskrun`; the last word is incomplete.

    The format is the one that kubectl expects from plugins.
    """
    items = _items(sys.argv[1:])
    for item in items:
        if item.type == "plain":
            click.echo("\t".join(filter(None, (item.value, item.help))))
    click.echo(f":{_FILES if any(item.type == 'file' for item in items) else _NO_FILES}")
    return 0


def _items(words: Sequence[str]) -> "list[CompletionItem]":
    from click.shell_completion import ShellComplete

    from taskruns.cli.main import COMPLETION_VARIABLE, program

    *before, begun = words or [""]
    asking = ShellComplete(program, {}, "kubectl taskrun", COMPLETION_VARIABLE)
    return asking.get_completions([*before], begun)
