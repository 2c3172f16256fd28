"""Options that choose a backend, and validation of TaskRun names."""

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from taskruns.api import names
from taskruns.cli.backend import BACKEND_VARIABLE, DOCKER, KUBERNETES, Backend, Listing
from taskruns.cli.streams import as_plugin
from taskruns.core.unstructured import mapping, text

NAME_HINT = (
    f"write at most {names.MAX_LABEL_LENGTH} lower-case letters, digits, - and ., with a letter or "
    "a digit at both ends"
)


def is_name(name: str) -> bool:
    """Return whether the name is valid for a TaskRun."""
    return len(name) <= names.MAX_LABEL_LENGTH and bool(re.fullmatch(names.NAME, name))


def suggested(name: str) -> str:
    """Return a valid name similar to an invalid one, or an empty string."""
    letters = re.sub(r"[^a-z0-9.]+", "-", name.lower())[: names.MAX_LABEL_LENGTH]
    candidate = re.sub(r"[-.]*\.[-.]*", ".", letters).strip("-.")
    return candidate if is_name(candidate) else ""


T = TypeVar("T")

_OPTIONS = (
    click.option(
        "--on", type=click.Choice([DOCKER, KUBERNETES]), envvar=BACKEND_VARIABLE,
        help=f"Backend of the TaskRuns.  [default: {BACKEND_VARIABLE}; kubernetes with --context, "
        "--kubeconfig or as kubectl taskrun; else docker]",
    ),
    click.option(
        "-n", "--namespace", help="Namespace of the TaskRuns.  [default: the context's; default]"
    ),
    click.option("--context", help="Context of the kubeconfig to use.  [default: the current one]"),
    click.option(
        "--kubeconfig", type=click.Path(dir_okay=False),
        help="Path of the kubeconfig.  [default: as kubectl]",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """The values of the options that choose a backend; None for an option that was not given."""

    on: str = DOCKER
    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    secrets: Any = None
    """Values for secretKeyRefs, for Docker only."""
    is_default: bool = False
    """Whether Docker is used because no option and no variable chooses a backend."""

    def with_secrets(self, secrets: Any) -> "Target":
        """Return the same target with values for secretKeyRefs."""
        return replace(self, secrets=secrets)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Backend]:
        """Open the backend, importing only the modules that it needs."""
        if self.on == KUBERNETES:
            from taskruns.cli.kubernetes_backend import open_cluster  # noqa: PLC0415 - slow import

            async with open_cluster(self.kubeconfig, self.context, self.namespace) as cluster:
                yield cluster
        else:
            from taskruns.cli.docker_backend import open_host  # noqa: PLC0415 - as above

            async with open_host(self.namespace, self.secrets, suggestion=self._other) as host:
                yield host

    def _other(self) -> str:
        """Return a sentence with the option that chooses the user's cluster, if there is one.

        It is empty if the user has chosen Docker or has no current context.
        """
        context = current_context() if self.is_default else ""
        return (
            f"To use the cluster of the kubeconfig context {context}, add --on {KUBERNETES}"
            if context
            else ""
        )

    def act(self, work: Callable[[Backend], Awaitable[T]]) -> T:
        """Open the backend, run a coroutine function with it, and return its result."""
        import asyncio  # noqa: PLC0415 - --help does not need it

        from taskruns.cli.progress import install  # noqa: PLC0415 - as above

        install()

        async def acted() -> T:
            async with self.open() as backend:
                return await work(backend)

        return asyncio.run(acted())


def choose(
    on: str | None, namespace: str | None, context: str | None, kubeconfig: str | None
) -> Target:
    """Return the target for the options and for the name by which the program was called."""
    of_cluster = bool(context or kubeconfig or as_plugin())
    chosen = on or (KUBERNETES if of_cluster else "")
    return Target(chosen or DOCKER, namespace, context, kubeconfig, is_default=not chosen)


def current_context() -> str:
    """Return the current context of the kubeconfig that kubectl would use, or an empty string."""
    import yaml  # noqa: PLC0415 - slow import, needed for one error message only

    files = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    for file in filter(None, files.split(os.pathsep)):
        try:
            content = yaml.safe_load(Path(file).read_bytes())
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if context := text(mapping(content).get("current-context")):
            return context
    return ""


def with_target(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a target to a command, and pass it the Target as `target`."""

    @wraps(command)
    def chosen(
        *args: Any, on: str | None, namespace: str | None, context: str | None,
        kubeconfig: str | None, **rest: Any,
    ) -> Any:  # fmt: skip
        return command(*args, target=choose(on, namespace, context, kubeconfig), **rest)

    for option in reversed(_OPTIONS):
        chosen = option(chosen)
    return chosen


def complete_name(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a TaskRun. Return no completions if the backend cannot be read."""
    options = ctx.params
    target = choose(
        options.get("on") or os.environ.get(BACKEND_VARIABLE), options.get("namespace"),
        options.get("context"), options.get("kubeconfig"),
    )  # fmt: skip
    try:
        runs = target.act(_runs).runs
    except Exception:  # noqa: BLE001 - shell completion cannot show an error
        return []
    run_names = [run["metadata"]["name"] for run in runs]
    return [name for name in run_names if name.startswith(incomplete)]


async def _runs(backend: Backend) -> Listing:
    return await backend.runs()


name_argument = click.argument("name", shell_complete=complete_name)
