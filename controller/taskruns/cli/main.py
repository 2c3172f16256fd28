"""The commands. Each is thin: it reads arguments, asks the host, and prints."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import click

from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.cli import manifest as manifests
from taskruns.cli import output
from taskruns.cli.ending import CommandError, ExitCode, exit_code_of
from taskruns.cli.following import follow
from taskruns.cli.host import Host, now, plain_errors
from taskruns.core.wire import mapping, mappings, text
from taskruns.engines.docker.container import Given

T = TypeVar("T")

_NAMESPACE = click.option(
    "-n", "--namespace", default="default", show_default=True, help="Which TaskRuns are meant."
)
_FORMAT = click.option(
    "-o", "--output", "form", type=click.Choice(output.FORMATS), default="table",
    show_default=True, help="How to show it.",
)  # fmt: skip
_NAME = click.argument("name")


def main() -> int:
    """Run the program and return its exit code; no traceback reaches a user."""
    try:
        return int(program.main(prog_name=_name(), standalone_mode=False) or 0)
    except click.Abort:
        return ExitCode.CANCELLED
    except CommandError as error:
        error.show()
        return error.code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.SUCCESS


def _name() -> str:
    return "kubectl taskrun" if Path(sys.argv[0]).name == "kubectl-taskrun" else "taskrun"


def _do(work: Coroutine[Any, Any, T]) -> T:
    with plain_errors():
        return asyncio.run(work)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def program() -> None:
    """Run containerised tasks to completion, and see how they ended.

    A TaskRun runs on this machine's Docker. Its record stays here until `taskrun delete`, or until
    its time to live is over.

    \b
    Exit codes of run and wait: 0 success; the task's own exit code; 124 a deadline passed;
    125 the task did not run, or nobody knows how it ended; 130 cancelled; 2 wrong usage.
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped


@program.command("run", context_settings={"ignore_unknown_options": False})
@click.argument("file", required=False)
@click.argument("command", nargs=-1)
@click.option("--image", help="Run a command in this image instead of a file.")
@click.option("--name", help="Name of the TaskRun.  [default: run- and five letters]")
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="Another variable.")
@click.option("--env-file", type=click.Path(dir_okay=False), help="A file of NAME=VALUE lines.")
@click.option("--secret", multiple=True, metavar="NAME/KEY=VALUE", help="Value of a secretKeyRef.")
@click.option("-d", "--detach", is_flag=True, help="Leave a follower behind and return at once.")
@click.option("-q", "--quiet", is_flag=True, help="Only the task's own output.")
@_NAMESPACE
def run_command(
    file: str | None, command: tuple[str, ...], image: str | None, name: str | None, namespace: str,
    **options: Any,
) -> int:  # fmt: skip
    """Run a TaskRun to its end, with its log, and exit with its task's exit code.

    Ctrl-C cancels it with its grace period; a second one kills it.

    \b
    Examples:
      taskrun run hello.yaml
      cat hello.yaml | taskrun run -
      taskrun run --image busybox:1 -- sh -c 'echo hello; exit 3'
    """  # noqa: D301 - as above
    if image:
        words = [*([file] if file else []), *command]
        manifest = manifests.manifest_of(image, words, name)
    elif file and not command:
        manifest = manifests.read_manifest(file)
    else:
        raise click.UsageError("name a file, or an image and a command: see taskrun run --help")
    given = Given(_pairs(options["secret"], "--secret"), _variables(options))
    host = Host(namespace)
    return _do(_run(host, manifest, given, detach=options["detach"], quiet=options["quiet"]))


async def _run(
    host: Host, manifest: dict[str, Any], given: Given, *, detach: bool, quiet: bool
) -> int:
    async with host.daemon():
        name = (await host.create(manifest))["metadata"]["name"]
    if detach:
        _leave_follower(host, name)
        click.echo(name)
        return ExitCode.SUCCESS
    return exit_code_of(await follow(host, name, given, quiet=quiet))


def _leave_follower(host: Host, name: str) -> None:
    """Start a process that follows the run when this one has gone."""
    nowhere = subprocess.DEVNULL
    subprocess.Popen(  # noqa: S603 - this program itself
        [sys.executable, "-m", "taskruns.cli", "follow", name, "--namespace", host.namespace],
        stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True,
    )  # fmt: skip


@program.command("follow")
@_NAME
@_NAMESPACE
def follow_command(name: str, namespace: str) -> int:
    """Follow a TaskRun that is there to its end, and exit with its task's exit code."""
    return exit_code_of(_do(follow(Host(namespace), name)))


@program.command("list")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Of every namespace.")
@_NAMESPACE
@_FORMAT
def list_command(*, everywhere: bool, namespace: str, form: str) -> None:
    """List TaskRuns, the oldest first."""
    output.show_runs(_do(Host(namespace).runs(everywhere=everywhere)), form, now())


@program.command("describe")
@_NAME
@_NAMESPACE
def describe_command(name: str, namespace: str) -> None:
    """Tell the whole story of a TaskRun: how it stands, and its attempts."""
    output.tell_story(_do(Host(namespace).run(name)), now())


@program.command("get")
@_NAME
@_NAMESPACE
@_FORMAT
def get_command(name: str, namespace: str, form: str) -> None:
    """Show one TaskRun."""
    output.show_run(_do(Host(namespace).run(name)), form, now())


@program.command("logs")
@_NAME
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until its end.")
@click.option("--attempt", type=int, help="Number of the attempt.  [default: the last]")
@_NAMESPACE
def logs_command(name: str, *, following: bool, attempt: int | None, namespace: str) -> None:
    """Print the log of a TaskRun's container."""
    _do(_print_log(Host(namespace), name, following=following, attempt=attempt))


async def _print_log(host: Host, name: str, *, following: bool, attempt: int | None) -> None:
    status = mapping((await host.run(name)).get("status"))
    pods = {found.get("number"): found.get("podName") for found in mappings(status.get("attempts"))}
    pod = text(pods.get(attempt) if attempt else status.get("podName"))
    async with host.daemon() as daemon:
        if not pod or await daemon.inspect(pod) is None:
            which = f"attempt {attempt}" if attempt else "the last attempt"
            raise CommandError(f"there is no container of {which} of {name} (any more)")
        async for piece in daemon.logs(pod, follow=following):
            click.echo(piece, nl=False)


@program.command("wait")
@_NAME
@click.option("--timeout", type=float, metavar="SECONDS", help="Give up then.")
@_NAMESPACE
def wait_command(name: str, timeout: float | None, namespace: str) -> int:
    """Wait for a TaskRun's end, following it meanwhile; exit with its task's exit code."""
    return exit_code_of(_do(_wait(Host(namespace), name, timeout)))


async def _wait(host: Host, name: str, seconds: float | None) -> Any:
    last = await host.run(name)
    try:
        async with asyncio.timeout(seconds), host.following(name) as (follower, _):
            async for run in follower.changes():
                last = run
    except TimeoutError:
        raise CommandError(f"{name} has not ended in time", ExitCode.TIMEOUT) from None
    return last


@program.command("cancel")
@_NAME
@_NAMESPACE
def cancel_command(name: str, namespace: str) -> None:
    """Stop a TaskRun with its grace period, for good."""
    _do(_change(Host(namespace), name, {"cancel": True}, "cancelled"))


@program.command("suspend")
@_NAME
@_NAMESPACE
def suspend_command(name: str, namespace: str) -> None:
    """Stop a TaskRun's attempt, uncounted, until `taskrun resume`."""
    _do(_change(Host(namespace), name, {"suspend": True}, "suspended"))


@program.command("resume")
@_NAME
@_NAMESPACE
def resume_command(name: str, namespace: str) -> None:
    """Let a suspended TaskRun go on."""
    _do(_change(Host(namespace), name, {"suspend": False}, "resumed"))


async def _change(host: Host, name: str, spec: dict[str, Any], done: str) -> None:
    """Write a wish; whoever follows the run carries it out, and this does where nobody does."""
    run = await host.run(name)
    if mapping(run.get("status")).get("phase") in TERMINAL_PHASES:
        raise CommandError(f"{name} has ended: create another TaskRun to run it again")
    await host.patch(name, {"spec": spec})
    async with host.following(name) as (follower, _):
        await follower.settle()
    click.echo(f"{name} {done}")


@program.command("rerun")
@_NAME
@click.option("--as", "new_name", help="Name of the new TaskRun.")
@_NAMESPACE
def rerun_command(name: str, new_name: str | None, namespace: str) -> int:
    """Run the same again, as another TaskRun, and follow it."""
    host = Host(namespace)
    before = _do(host.run(name))
    spec = {key: value for key, value in before["spec"].items() if key not in ("cancel", "suspend")}
    metadata = {"name": new_name} if new_name else {"generateName": f"{name[:50]}-"}
    manifest = manifests.named({**before, "metadata": metadata, "spec": spec})
    return _do(_run(host, manifest, Given(), detach=False, quiet=False))


@program.command("delete")
@_NAME
@_NAMESPACE
def delete_command(name: str, namespace: str) -> None:
    """Delete a TaskRun; what runs of it is stopped first, with its grace period."""
    _do(Host(namespace).delete(name))
    click.echo(f"{name} deleted")


@program.command("version")
def version_command() -> None:
    """Print the version."""
    click.echo(version("taskruns"))


def _pairs(given: tuple[str, ...], option: str) -> dict[tuple[str, str], str]:
    pairs: dict[tuple[str, str], str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        name, slash, part = key.partition("/")
        if not (equals and slash):
            raise click.UsageError(f"{option} {item!r}: write NAME/KEY=VALUE")
        pairs[name, part] = value
    return pairs


def _variables(options: dict[str, Any]) -> dict[str, str]:
    lines = list(options["env"])
    if options["env_file"]:
        try:
            found = Path(options["env_file"]).read_text().splitlines()
        except OSError as error:
            raise click.UsageError(f"--env-file: {error.strerror}") from error
        lines = [line for line in found if line.strip() and not line.startswith("#")] + lines
    pairs = (line.partition("=") for line in lines)
    return {name: value if equals else os.environ.get(name, "") for name, equals, value in pairs}
