"""Names of TaskRuns, as people type them."""

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, TypeVar

import click

from taskruns.api import names
from taskruns.cli.backend import DOCKER, KUBERNETES, PLACE_VARIABLE, Backend, Listing
from taskruns.cli.streams import as_plugin

NAME_HINT = (
    f"write at most {names.MAX_LABEL_LENGTH} lower-case letters, digits, - and ., with a letter or "
    "a digit at both ends"
)


def is_name(name: str) -> bool:
    """Return whether a TaskRun can have this name."""
    return len(name) <= names.MAX_LABEL_LENGTH and bool(re.fullmatch(names.NAME, name))


def suggested(name: str) -> str:
    """Return a valid name that is like one that is not; empty where nothing is left of it."""
    letters = re.sub(r"[^a-z0-9.]+", "-", name.lower())[: names.MAX_LABEL_LENGTH]
    found = re.sub(r"[-.]*\.[-.]*", ".", letters).strip("-.")
    return found if is_name(found) else ""


T = TypeVar("T")

_OPTIONS = (
    click.option(
        "--on", type=click.Choice([DOCKER, KUBERNETES]), envvar=PLACE_VARIABLE,
        help=f"Where the TaskRuns are.  [default: {PLACE_VARIABLE}; kubernetes with --context, "
        "--kubeconfig or as kubectl taskrun; else docker]",
    ),
    click.option(
        "-n", "--namespace", help="Namespace of the TaskRuns.  [default: the context's; default]"
    ),
    click.option("--context", help="Context of the kubeconfig.  [default: the current one]"),
    click.option(
        "--kubeconfig", type=click.Path(dir_okay=False),
        help="The kubeconfig to use.  [default: as kubectl]",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """What the options say; None where they say nothing."""

    on: str = DOCKER
    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    given: Any = None
    """Values that a person hands over beside the TaskRun; for Docker alone."""

    def with_given(self, given: Any) -> "Target":
        """Return the same choice with values that a person hands over."""
        return replace(self, given=given)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Backend]:
        """Open the place; only what it needs is imported."""
        if self.on == KUBERNETES:
            from taskruns.cli.kubernetes_backend import open_cluster  # noqa: PLC0415 - it costs a while

            async with open_cluster(self.kubeconfig, self.context, self.namespace) as cluster:
                yield cluster
        else:
            from taskruns.cli.docker_backend import open_host  # noqa: PLC0415 - as above

            async with open_host(self.namespace, self.given) as host:
                yield host

    def act(self, work: Callable[[Backend], Awaitable[T]]) -> T:
        """Open the place, do some work there, and return what comes of it."""
        import asyncio  # noqa: PLC0415 - whoever only asks for help waits for nothing

        from taskruns.cli.notices import listen  # noqa: PLC0415 - as above

        listen()

        async def acted() -> T:
            async with self.open() as place:
                return await work(place)

        return asyncio.run(acted())


def choose(
    on: str | None, namespace: str | None, context: str | None, kubeconfig: str | None
) -> Target:
    """Make a choice of what the options say, and of how this program was called."""
    of_cluster = bool(context or kubeconfig or as_plugin())
    return Target(on or (KUBERNETES if of_cluster else DOCKER), namespace, context, kubeconfig)


def placed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a place, and hand it the Choice that they make."""

    @wraps(command)
    def chosen(
        *args: Any, on: str | None, namespace: str | None, context: str | None,
        kubeconfig: str | None, **rest: Any,
    ) -> Any:  # fmt: skip
        return command(*args, choice=choose(on, namespace, context, kubeconfig), **rest)

    for option in reversed(_OPTIONS):
        chosen = option(chosen)
    return chosen


def complete_name(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a TaskRun; where none can be asked for, there is nothing to complete."""
    asked = ctx.params
    choice = choose(
        asked.get("on") or os.environ.get(PLACE_VARIABLE), asked.get("namespace"),
        asked.get("context"), asked.get("kubeconfig"),
    )  # fmt: skip
    try:
        runs = choice.act(_runs).runs
    except Exception:  # noqa: BLE001 - a shell that completes has no place for an error
        return []
    found = [run["metadata"]["name"] for run in runs]
    return [name for name in found if name.startswith(incomplete)]


async def _runs(place: Backend) -> Listing:
    return await place.runs()


name_argument = click.argument("name", shell_complete=complete_name)
