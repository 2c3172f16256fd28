"""Commands that show runs: list, describe, get, logs."""

import click

from taskruns.cli.choice import Choice, name_argument, placed
from taskruns.cli.ending import CommandError
from taskruns.cli.place import Following, Object, Place

FORMATS = ("table", "wide", "json", "yaml", "name")

_FORMAT = click.option(
    "-o", "--output", "form", type=click.Choice(FORMATS), default="table",
    show_default=True, help="How to show it.",
)  # fmt: skip


@click.command("list")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Of every namespace.")
@_FORMAT
@placed
def list_command(choice: Choice, *, everywhere: bool, form: str) -> None:
    """List TaskRuns, the oldest first.

    \b
    Examples:
      taskrun list
      taskrun list --on kubernetes -A -o wide
      taskrun list -o json | jq -r '.items[] | select(.status.phase == "Failed") | .metadata.name'
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from taskruns.cli.clock import now
    from taskruns.cli.output import show_runs

    runs = choice.act(lambda place: place.runs(everywhere=everywhere))
    show_runs(runs, form, now(), namespaces=everywhere)


@click.command("describe")
@name_argument
@placed
def describe_command(choice: Choice, name: str) -> None:
    """Tell the whole story of a TaskRun: why it failed, and its attempts as a timeline."""
    from taskruns.cli.clock import now
    from taskruns.cli.story import tell_story

    async def tell(place: Place) -> None:
        run = await place.run(name)
        await tell_story(run, now(), lambda pod: place.steps(run, pod))

    choice.act(tell)


@click.command("get")
@name_argument
@_FORMAT
@placed
def get_command(choice: Choice, name: str, form: str) -> None:
    """Show one TaskRun."""
    from taskruns.cli.clock import now
    from taskruns.cli.output import show_run

    show_run(choice.act(lambda place: place.run(name)), form, now())


@click.command("logs")
@name_argument
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until the attempt's end.")
@click.option("--attempt", type=click.IntRange(min=1), help="Number of it.  [default: the last]")
@placed
def logs_command(choice: Choice, name: str, *, following: bool, attempt: int | None) -> None:
    """Print the log of a TaskRun's attempt.

    \b
    Examples:
      taskrun logs hello
      taskrun logs --attempt 1 hello
    """  # noqa: D301 - as above
    choice.act(lambda place: _print_log(place, name, attempt, following=following))


async def _print_log(place: Place, name: str, attempt: int | None, *, following: bool) -> None:
    from taskruns.cli.following import copy_log, ended, pod_of

    run = await place.run(name)
    pod = pod_of(run) if attempt is None else _pod_of_attempt(run, attempt)
    if not pod:
        which = f"attempt {attempt}" if attempt else "attempt yet"
        raise CommandError(f"{name} has no {which}: `taskrun describe {name}` tells how it stands")
    if not following or ended(run):
        await copy_log(place.log(run, pod))
        return
    async with place.following(name) as watched:
        await _copy_to_its_end(watched, pod)


async def _copy_to_its_end(watched: Following, pod: str) -> None:
    """Copy a log while the run is looked after: on a Docker host nobody else might do so."""
    import asyncio

    from taskruns.cli.following import copy_log

    async def look_after() -> None:
        async for _ in watched.changes():
            pass

    looking = asyncio.create_task(look_after())
    try:
        await copy_log(watched.log(pod))
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def _pod_of_attempt(run: Object, number: int) -> str:
    from taskruns.core.wire import mapping, mappings, text

    attempts = mappings(mapping(run.get("status")).get("attempts"))
    found = (text(each.get("podName")) for each in attempts if each.get("number") == number)
    return next(found, "")
