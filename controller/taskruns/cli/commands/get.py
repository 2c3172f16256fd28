"""Commands that show runs: list, describe, get, logs."""

from typing import Any

import click

from taskruns.cli.backend import Backend, Following
from taskruns.cli.exit_status import CommandError, ExitCode
from taskruns.cli.target import Target, name_argument, with_target
from taskruns.core.unstructured import Object

FORMATS = ("table", "wide", "json", "yaml", "name")

_FORMAT = click.option(
    "-o", "--output", "form", type=click.Choice(FORMATS), default="table",
    show_default=True, help="Output format.",
)  # fmt: skip


@click.command("list")
@click.option(
    "-A",
    "--all-namespaces",
    "everywhere",
    is_flag=True,
    help="List the TaskRuns of all namespaces.",
)
@_FORMAT
@with_target
def list_command(target: Target, *, everywhere: bool, form: str) -> int:
    """List TaskRuns, the oldest first.

    \b
    Examples:
      taskrun list
      taskrun list --on kubernetes -A -o wide
      taskrun list -o json | jq -r '.items[] | select(.status.phase == "Failed") | .metadata.name'
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from taskruns.cli.output import print_message, show_runs
    from taskruns.clock import now

    listing = target.act(lambda backend: backend.runs(everywhere=everywhere))
    if listing.runs or not listing.problems:
        show_runs(listing.runs, form, now(), namespaces=everywhere)
    for problem in listing.problems:
        print_message(problem)
    return ExitCode.NOT_RUN if listing.problems else ExitCode.SUCCESS


@click.command("describe")
@name_argument
@with_target
def describe_command(target: Target, name: str) -> None:
    """Describe a TaskRun: the cause of its failure, and its attempts as a timeline."""
    from taskruns.cli.describe import show_description
    from taskruns.clock import now

    async def describe(backend: Backend) -> None:
        run = await backend.run(name)
        await show_description(run, now(), lambda pod: backend.steps(run, pod))

    target.act(describe)


@click.command("get")
@name_argument
@_FORMAT
@with_target
def get_command(target: Target, name: str, form: str) -> None:
    """Print one TaskRun."""
    from taskruns.cli.output import show_run
    from taskruns.clock import now

    show_run(target.act(lambda backend: backend.run(name)), form, now())


@click.command("logs")
@name_argument
@click.option(
    "-f", "--follow", "following", is_flag=True, help="Wait for the log, and follow it to its end."
)
@click.option(
    "--attempt", type=click.IntRange(min=1), help="Number of the attempt.  [default: the last]"
)
@with_target
def logs_command(target: Target, name: str, *, following: bool, attempt: int | None) -> None:
    """Print the log of a TaskRun's attempt.

    \b
    Examples:
      taskrun logs hello
      taskrun logs --attempt 1 hello
    """  # noqa: D301 - as above
    target.act(lambda backend: _print_log(backend, name, attempt, following=following))


async def _print_log(backend: Backend, name: str, attempt: int | None, *, following: bool) -> None:
    from taskruns.cli.following import copy_log

    run = await backend.run(name)
    pod = _pod_of_attempt(run, attempt)
    if following and not _is_over(run, pod):
        async with backend.following(name) as watched:
            pod = await _copy_to_its_end(watched, attempt)
    elif pod:
        await copy_log(backend.log(run, pod))
    if not pod:
        which = f"attempt {attempt}" if attempt else "attempt yet"
        raise CommandError(f"{name} has no {which}: `taskrun describe {name}` shows its state")


async def _copy_to_its_end(watched: Following, attempt: int | None) -> str:
    """Copy an attempt's log to its end, once there is one.

    The run is followed meanwhile, because on a Docker host no other process may follow it.

    Returns:
        The name of the attempt's Pod, or an empty string if the run ends without that attempt.
    """
    import asyncio

    from taskruns.cli.following import copy_log

    pod_name: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def look_after() -> None:
        async for run in watched.changes():
            if not pod_name.done() and (pod := _pod_of_attempt(run, attempt)):
                pod_name.set_result(pod)

    looking = asyncio.create_task(look_after())
    awaited: set[asyncio.Future[Any]] = {looking, pod_name}
    try:
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not pod_name.done():
            await looking
            return ""
        await copy_log(watched.log(pod_name.result()))
        return pod_name.result()
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def _is_over(run: Object, pod: str) -> bool:
    """Return whether an attempt's log is complete."""
    from taskruns.api.conditions import is_terminal
    from taskruns.core.unstructured import mapping, mappings

    attempts = mappings(mapping(run.get("status")).get("attempts"))
    return is_terminal(run) or any(
        each.get("podName") == pod and each.get("outcome") for each in attempts
    )


def _pod_of_attempt(run: Object, number: int | None) -> str:
    """Return the name of an attempt's Pod, by default the last one's, or an empty string."""
    from taskruns.cli.following import pod_of
    from taskruns.core.unstructured import mapping, mappings, text

    if number is None:
        return pod_of(run)
    attempts = mappings(mapping(run.get("status")).get("attempts"))
    pods = (text(each.get("podName")) for each in attempts if each.get("number") == number)
    return next(pods, "")
