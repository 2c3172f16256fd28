"""Backend for the TaskRuns of a cluster, where the controller runs them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from taskruns.api import names
from taskruns.api.conditions import is_terminal
from taskruns.cli.backend import IMAGE_PULL, Following, Listing, Step
from taskruns.cli.exit_status import CommandError, ExitCode, not_found
from taskruns.core.facts import main_name
from taskruns.core.unstructured import Object, mapping, mappings, text
from taskruns.engines.engine import EngineError, Unavailable
from taskruns.engines.kubernetes.client import Client, Denied, NotStarted
from taskruns.engines.kubernetes.connection import NoConfiguration, connect
from taskruns.engines.kubernetes.endpoints import Endpoint
from taskruns.engines.kubernetes.log import LogReader
from taskruns.engines.kubernetes.responses import Response
from taskruns.engines.log_position import LogLost, TimedLines


def refusal(call: Endpoint, answer: Response, namespace: str) -> CommandError:
    """Return the error for a refused request: the reason, and what the user can do."""
    request = f"{call.verb} {call.resource}"
    match answer.code:
        case 401:
            return CommandError(
                "the cluster rejected the credentials (401): log in again, or choose another user "
                "with --context",
                ExitCode.NOT_RUN,
            )
        case 403 if "forbidden: User" in answer.message or "cannot" in answer.message:
            return CommandError(_without_right(request, answer, namespace), ExitCode.NOT_RUN)
        case 404 if answer.details.get("kind") == "namespaces":
            return CommandError(
                f"namespace {namespace} not found: create it, or choose another with --namespace",
                ExitCode.NOT_RUN,
            )
        case 404 if not answer.details.get("name"):
            return CommandError(
                f"the cluster has no resource {names.PLURAL}.{names.GROUP}: install taskruns with "
                "Helm, or choose another cluster with --context",
                ExitCode.NOT_RUN,
            )
        case 404 if call.resource == "pods/log":
            return CommandError(
                f"Pod {text(answer.details.get('name'))} has been deleted, and its log with it: "
                "podGC sets how long finished Pods are kept"
            )
        case 409 if answer.reason == "AlreadyExists":
            name = text(answer.details.get("name"))
            return CommandError(
                f"TaskRun {name} already exists: delete it, or choose another name with --name"
            )
    return CommandError(f"the cluster rejected the request: {answer.message}")


def _without_right(request: str, answer: Response, namespace: str) -> str:
    if "at the cluster scope" in answer.message:
        return (
            f"no permission to {request} in all namespaces: use --namespace instead of "
            f"--all-namespaces ({answer.message})"
        )
    return (
        f"no permission to {request} in namespace {namespace}: ask its administrator to bind the "
        f"ClusterRole {names.CLIENT_ROLE} to you ({answer.message})"
    )


_CONNECTIONS = 8
_PULLED = ("Pulling", "Pulled")


@asynccontextmanager
async def open_cluster(
    kubeconfig: str | None, context: str | None, namespace: str | None
) -> AsyncIterator["KubernetesBackend"]:
    """Open the cluster that kubectl would use.

    Args:
        kubeconfig: path of the kubeconfig, if it was given.
        context: context of the kubeconfig, if it was given.
        namespace: the namespace of the runs; the context's own if None.

    Raises:
        CommandError: an error that the user can fix.
    """
    logging.getLogger("kubernetes").setLevel(logging.CRITICAL)  # its errors are reported below
    try:
        connection = await connect(kubeconfig, context, _CONNECTIONS, "taskrun")
    except NoConfiguration as error:
        message = f"no cluster is configured ({error}): set KUBECONFIG or --kubeconfig"
        raise CommandError(message, ExitCode.NOT_RUN) from error
    try:
        used_namespace = namespace or connection.namespace
        with _plain_errors(connection.configuration.host, used_namespace):
            yield KubernetesBackend(Client(connection), used_namespace)
    finally:
        await connection.close()


class KubernetesBackend:
    """One namespace of one cluster."""

    kind = "kubernetes"

    def __init__(self, client: Client, namespace: str) -> None:
        self.namespace = namespace
        self._client = client

    async def runs(self, *, everywhere: bool = False) -> Listing:
        """Return the TaskRuns of the namespace, or of all namespaces."""
        runs = await self._client.list_runs("" if everywhere else self.namespace)
        runs.sort(key=lambda run: text(run["metadata"].get("creationTimestamp")))
        return Listing(runs)

    async def run(self, name: str) -> Object:
        """Return a TaskRun. Raises CommandError if it does not exist."""
        run = await self._client.read_run(self.namespace, name)
        if run is None:
            raise not_found(name, self.namespace)
        return run

    async def create(self, manifest: Object) -> Object:
        """Create a TaskRun."""
        return await self._client.create_run(self.namespace, manifest)

    async def patch(self, name: str, patch: Object) -> Object:
        """Change a TaskRun. The controller acts on the change."""
        return await self._client.patch_run(self.namespace, name, patch)

    async def delete(self, name: str) -> None:
        """Delete a TaskRun. Its Pod is deleted with it, with its grace period."""
        await self.run(name)
        await self._client.delete_run(self.namespace, name)

    @asynccontextmanager
    async def following(self, name: str) -> AsyncIterator[Following]:
        """Watch a run while the block runs."""
        yield _Following(self._client, await self.run(name))

    def leave_follower(self, name: str) -> None:
        """Do nothing, because the controller runs the TaskRun."""

    async def log(self, run: Object, pod: str) -> AsyncIterator[bytes]:
        """Yield the log that an attempt has written so far."""
        read = partial(self._client.log, self.namespace, pod, _main_container_name(run))
        lines = TimedLines()
        try:
            async for piece in read(follow=False):
                if content := lines.feed(piece):
                    yield content
        except NotStarted as error:
            raise CommandError(f"{pod} has not started yet: --follow waits for it") from error
        if lines.error:
            raise LogLost(lines.error)

    async def steps(self, run: Object, pod: str) -> Sequence[Step]:  # noqa: ARG002 - the Pod is enough
        """Return the image pull, if its Events still exist and may be listed."""
        try:
            events = await self._client.list_events(self.namespace, pod)
        except (Denied, Unavailable):
            return ()
        times = {
            text(event.get("reason")): text(event.get("lastTimestamp") or event.get("eventTime"))
            for event in events
        }
        begin, end = (times.get(reason, "") for reason in _PULLED)
        return (Step(IMAGE_PULL, begin, end),) if begin else ()

    async def versions(self) -> Mapping[str, str]:
        """Return the versions of the apiserver and of the controllers, if these may be listed."""
        versions = {"kubernetes": await self._client.version()}
        try:
            controllers = await self._client.controllers()
        except Denied:
            return versions | {"controller": "unknown (Deployments may not be listed)"}
        labels = [mapping(mapping(each.get("metadata")).get("labels")) for each in controllers]
        controller_versions = [text(each.get("app.kubernetes.io/version")) for each in labels]
        return versions | {"controller": ", ".join(controller_versions) or "not found"}


class _Following:
    """A watched run of a cluster."""

    def __init__(self, client: Client, run: Object) -> None:
        self._client = client
        self._namespace, self._name = run["metadata"]["namespace"], run["metadata"]["name"]
        self._main = _main_container_name(run)
        self._started: dict[str, asyncio.Event] = {}
        self._over: dict[str, asyncio.Event] = {}
        self._ran: set[str] = set()

    async def changes(self) -> AsyncIterator[Object]:
        """Yield the TaskRun after every change, until it has ended or is deleted."""
        try:
            async for run in self._client.follow_run(self._namespace, self._name):
                self._note(run)
                yield run
                if is_terminal(run):
                    return
        finally:
            for event in (*self._started.values(), *self._over.values()):
                event.set()

    async def log(self, pod: str) -> AsyncIterator[bytes]:
        """Yield the log, once the attempt is recorded as started or ended."""
        await _event(self._started, pod).wait()
        read = partial(self._client.log, self._namespace, pod, self._main)
        try:
            async for piece in LogReader(read, _event(self._over, pod), pod).pieces():
                yield piece
        except Denied as error:
            if pod in self._ran:  # otherwise there is no log
                raise refusal(error.call, error.answer, self._namespace) from error

    async def cancel(self) -> None:
        """Cancel the run."""
        cancel = {"spec": {"cancel": True}}
        try:
            await self._client.patch_run(self._namespace, self._name, cancel)
        except Denied as error:
            raise refusal(error.call, error.answer, self._namespace) from error

    async def stages(self, pod: str) -> AsyncIterator[str]:
        """Yield the Pod's Events from the scheduler and the kubelet, if they may be watched."""
        try:
            async for event in self._client.follow_events(self._namespace, pod):
                yield text(event.get("message"))
        except (Denied, Unavailable):
            return

    async def kill(self, pod: str) -> None:
        """Kill the Pod without its grace period."""
        try:
            await self._client.end_pod(self._namespace, pod)
        except Denied as error:
            raise CommandError(
                f"Pod {pod} cannot be deleted and ends with its grace period: {error}"
            ) from error

    def _note(self, run: Object) -> None:
        for attempt in mappings(mapping(run.get("status")).get("attempts")):
            pod = text(attempt.get("podName"))
            if attempt.get("startedTime"):
                self._ran.add(pod)
            if attempt.get("startedTime") or attempt.get("outcome"):
                _event(self._started, pod).set()
            if attempt.get("outcome"):
                _event(self._over, pod).set()


def _event(events: dict[str, asyncio.Event], pod: str) -> asyncio.Event:
    return events.setdefault(pod, asyncio.Event())


def _main_container_name(run: Object) -> str:
    """Return the name of the run's main container."""
    template = mapping(mapping(run.get("spec")).get("template"))
    containers = mappings(mapping(template.get("spec")).get("containers"))
    annotations = mapping(mapping(template.get("metadata")).get("annotations"))
    return main_name(containers, annotations) or names.MAIN_CONTAINER


@contextmanager
def _plain_errors(server: str, namespace: str) -> Iterator[None]:
    """Convert errors that the user can fix to CommandErrors."""
    try:
        yield
    except Denied as error:
        raise refusal(error.call, error.answer, namespace) from error
    except Unavailable as error:
        raise CommandError(
            f"cannot connect to the cluster at {server} ({error}): check that it is running, or "
            "choose another with --context",
            ExitCode.NOT_RUN,
        ) from error
    except EngineError as error:
        raise CommandError(str(error)) from error
