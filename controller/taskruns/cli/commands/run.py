"""Commands that wait for the end of a run: run, follow, rerun, wait."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from taskruns.cli.backend import DOCKER, Backend
from taskruns.cli.exit_status import CommandError, ExitCode, exit_code_of
from taskruns.cli.target import Target, name_argument, with_target
from taskruns.core.unstructured import Object

if TYPE_CHECKING:
    from taskruns.cli.following import Followed

_QUIET = click.option("-q", "--quiet", is_flag=True, help="Print only the task's own output.")


_DETACH = click.option(
    "-d", "--detach", is_flag=True, help="Print the name of the TaskRun and return at once."
)

_SEPARATED = "taskruns.cli.separated"


class _RunCommand(click.Command):
    """Command that records whether its arguments contain `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:  # type: ignore[explicit-override]
        """Record whether the arguments contain `--`, and parse them."""
        ctx.meta[_SEPARATED] = "--" in args
        return super().parse_args(ctx, args)


@click.command("run", cls=_RunCommand)
@click.argument("file", required=False, shell_complete=lambda *_: _files())
@click.argument("command", nargs=-1)
@click.option("--image", help="Run a command in this image instead of a file.")
@click.option("--name", help="Name of the TaskRun.  [default: the file's, or run- and a suffix]")
@click.option(
    "-e",
    "--env",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Set an environment variable; NAME alone takes the value from here, if it is set.",
)
@click.option("--env-file", type=click.Path(dir_okay=False), help="File with NAME=VALUE lines.")
@click.option("--secret", multiple=True, metavar="NAME/KEY=VALUE", help="Value of a secretKeyRef.")
@_DETACH
@_QUIET
@with_target
def run_command(
    target: Target, file: str | None, command: tuple[str, ...], image: str | None,
    name: str | None, **options: Any,
) -> int:  # fmt: skip
    """Run a TaskRun to its end, print its log, and exit with the task's exit code.

    Ctrl-C cancels the run with its grace period; a second Ctrl-C kills its container.

    \b
    Examples:
      taskrun run hello.yaml
      cat hello.yaml | taskrun run -
      taskrun run --image busybox:1 -- sh -c 'echo hello; exit 3'
      taskrun run --on kubernetes --namespace etl --detach hello.yaml
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from taskruns.cli import manifest as manifests
    from taskruns.cli.main import conflict_of
    from taskruns.cli.manifest import read_secrets, read_variables

    words = [*([file] if file else []), *command]
    separated = bool(click.get_current_context().meta.get(_SEPARATED))
    if conflict := conflict_of(words, image, separated=separated):
        raise click.UsageError(conflict)
    if image is not None:
        manifest: Object = manifests.manifest_of(image, words)
    else:
        manifest = _manifest_in(words[0], target.on)
    manifest = manifests.named(manifest, name)
    variables = read_variables(options["env"], options["env_file"])
    manifest = manifests.with_variables(manifest, variables)
    if secrets := read_secrets(options["secret"]):
        target = _with_secrets(target, secrets, detach=options["detach"])
    return target.act(lambda backend: _run(backend, manifest, options))


def _with_secrets(
    target: Target, secrets: Mapping[tuple[str, str], str], *, detach: bool
) -> Target:
    """Return the target with values for secretKeyRefs, which are kept in memory only."""
    if target.on != DOCKER:
        raise click.UsageError("--secret is for Docker only: create a Secret in the cluster.")
    if detach:
        raise click.UsageError(
            "--secret cannot be used with --detach: only this process has the value."
        )
    from taskruns.engines.docker.container import Secrets

    return target.with_secrets(Secrets(secrets))


def _manifest_in(file: str, on: str) -> Object:
    """Return the TaskRun in a file; for Docker, validate it by the CRD's rules first."""
    from taskruns.cli.manifest import read_manifest

    document = read_manifest(file)
    if on == DOCKER:
        from taskruns.cli.validation import refuse_invalid

        return refuse_invalid(document)
    manifest: Object = document.content
    return manifest


async def _run(backend: Backend, manifest: Object, options: dict[str, Any]) -> int:
    from taskruns.cli.following import follow
    from taskruns.cli.manifest import check_namespace
    from taskruns.cli.progress import ProgressPrinter

    check_namespace(manifest, backend.namespace)
    name = (await backend.create(manifest))["metadata"]["name"]
    if options["detach"]:
        backend.leave_follower(name)
        click.echo(name)
        return ExitCode.SUCCESS
    return _code_of(await follow(backend, name, ProgressPrinter(quiet=options["quiet"])))


@click.command("follow")
@name_argument
@_QUIET
@with_target
def follow_command(target: Target, name: str, *, quiet: bool) -> int:
    """Follow an existing TaskRun to its end, and exit with the task's exit code."""
    from taskruns.cli.following import follow
    from taskruns.cli.progress import ProgressPrinter

    return _code_of(target.act(lambda backend: follow(backend, name, ProgressPrinter(quiet=quiet))))


@click.command("rerun")
@name_argument
@click.option("--as", "new_name", help="Name of the copy.  [default: the name with a suffix]")
@_DETACH
@_QUIET
@with_target
def rerun_command(target: Target, name: str, new_name: str | None, **options: bool) -> int:
    """Create a copy of a TaskRun, and follow it to its end."""
    from taskruns.cli.manifest import repeated

    async def rerun(backend: Backend) -> int:
        return await _run(backend, repeated(await backend.run(name), new_name), options)

    return target.act(rerun)


@click.command("wait")
@name_argument
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Longest wait.")
@with_target
def wait_command(target: Target, name: str, timeout: float | None) -> int:
    """Wait for the end of a TaskRun, and exit with the task's exit code."""
    return _code(target.act(lambda backend: _wait(backend, name, timeout)))


async def _wait(backend: Backend, name: str, seconds: float | None) -> Object:
    import asyncio

    last = await backend.run(name)
    try:
        async with asyncio.timeout(seconds), backend.following(name) as following:
            async for run in following.changes():
                last = run
    except TimeoutError:
        message = f"{name} has not ended within {seconds:g} s and continues"
        raise CommandError(message, ExitCode.TIMEOUT) from None
    return last


def _code_of(followed: "Followed") -> int:
    return _code(followed.run) or (ExitCode.OUTPUT if followed.is_log_lost else ExitCode.SUCCESS)


def _code(run: Object) -> int:
    from taskruns.api.conditions import is_terminal

    if not is_terminal(run):
        name = run["metadata"]["name"]
        raise CommandError(f"{name} was deleted before it had ended", ExitCode.NOT_RUN)
    return exit_code_of(run)


def _files() -> list[Any]:
    from click.shell_completion import CompletionItem

    return [CompletionItem("", type="file")]
