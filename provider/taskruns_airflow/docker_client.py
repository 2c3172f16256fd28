"""Client of a Docker host: TaskRuns in a state directory, and a daemon.

Docker has no controller. Retries, deadlines and cancel take effect only while a client follows the
run. A waiter therefore follows its run. A caller that cancels a run follows it to its end, or
starts a detached follower.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from taskruns import clock
from taskruns.api.names import ANNOTATION_COLLECTED
from taskruns.api.timestamps import nanoseconds_of
from taskruns.api.v1alpha1 import TaskRun
from taskruns.engines.docker.connection import NoDaemon
from taskruns.engines.docker.container import LABEL_CONTAINER, Secrets
from taskruns.engines.docker.daemon import Daemon, DaemonError
from taskruns.engines.docker.detached_follower import start_detached_follower
from taskruns.engines.docker.host import DaemonAddress, Host, state_directory
from taskruns.engines.docker.log import LogRecord
from taskruns.engines.docker.state_file import StateError, StateFile
from taskruns.engines.docker.store import InvalidRun, create_run, patch_run
from taskruns.engines.engine import AlreadyExists
from taskruns_airflow.client import Gone, Ref, Refused, Unreachable
from taskruns_airflow.log_position import Piece

_BAD_REQUEST, _NOT_VALID = 400, 422


class NotValid(Refused):
    """The request's TaskRun is invalid."""

    def __init__(self, sentence: str) -> None:
        super().__init__(_NOT_VALID, sentence)

    @override
    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class DockerClient:
    """One namespace of a state directory."""

    host: Host
    namespace: str

    @property
    def unseen_advice(self) -> str:
        """Advice to check that the daemon answers."""
        return "Check that the Docker daemon of the connection answers: docker info"

    def connect(self) -> AbstractAsyncContextManager["DockerRuns"]:
        """Open the namespace's TaskRuns; the daemon is contacted only when it is needed."""
        return self._runs()

    def watch(self, ref: Ref) -> "DockerWatch":  # noqa: ARG002  # a watch is not bound to a run
        """Return a watch that follows runs."""
        return DockerWatch(self.host)

    def shared_watch(self) -> "DockerWatch":
        """Return a watch that follows runs."""
        return DockerWatch(self.host)

    @asynccontextmanager
    async def _runs(self) -> AsyncIterator["DockerRuns"]:
        yield DockerRuns(self.host, self.namespace)


class DockerWatch:
    """Follows runs, and acts on their retries, deadlines and cancel meanwhile."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def follow(self, ref: Ref) -> AsyncIterator[TaskRun]:
        """Yield a run at once and after each change, up to and including its terminal state.

        Raises:
            Gone: The run does not exist, or was deleted meanwhile.
            Unreachable: The daemon does not answer, or the state directory cannot be used.
        """
        file = self._host.file(ref.namespace, ref.name)
        last: TaskRun | None = None
        with _converted_errors():
            if (await _read(file, ref)) is None:
                raise Gone
            async with self._host.following(file) as follower:
                async for state in follower.changes():
                    last = TaskRun.model_validate(state)
                    if last.metadata.uid != ref.uid:
                        raise Gone
                    yield last
        if last is None or not last.is_terminal:
            raise Gone


class DockerRuns:
    """The TaskRuns of one namespace of a state directory."""

    def __init__(self, host: Host, namespace: str) -> None:
        self._host = host
        self._namespace = namespace

    async def create(self, manifest: Mapping[str, Any]) -> TaskRun:
        """Create a TaskRun, or return the existing one; it begins when a client follows it."""
        file = self._host.file(self._namespace, manifest["metadata"]["name"])
        with _converted_errors():
            try:
                return TaskRun.model_validate(await create_run(file, manifest, self._host.now()))
            except AlreadyExists as there:
                run = (await file.read()).run
                if run is None:
                    raise NotValid(str(there)) from there
                return TaskRun.model_validate(run)

    async def get(self, ref: Ref) -> TaskRun | None:
        """Return a run; None if it is gone or another run has its name."""
        with _converted_errors():
            return await _read(self._file(ref), ref)

    async def find(self, label: str, value: str) -> list[TaskRun]:
        """Return the runs that have a label, in their last recorded state."""
        with _converted_errors():
            runs = await self._host.runs(self._namespace)
        labelled = (run for run in runs if run["metadata"].get("labels", {}).get(label) == value)
        return [TaskRun.model_validate(run) for run in labelled]

    async def cancel(self, ref: Ref, *, leaving: bool = False) -> None:
        """Cancel a run and follow it to its end; no effect if it has ended or is gone.

        With `leaving`, return once the stop is requested, and start a detached follower for the
        rest.
        """
        file = self._file(ref)
        with _converted_errors():
            run = await patch_run(file, {"spec": {"cancel": True}}, ref.uid)
            if run is None or TaskRun.model_validate(run).is_terminal:
                return
            if leaving:
                start_detached_follower(self._host, file)
            async with self._host.following(file) as follower:
                if leaving:
                    await follower.settle()
                    return
                async for _ in follower.changes():
                    pass

    async def collect(self, ref: Ref, pod_uid: str) -> None:
        """Mark a container as collected, and run the follower, which may remove the container."""
        mark = {"metadata": {"annotations": {ANNOTATION_COLLECTED: pod_uid}}}
        with _converted_errors():
            if await patch_run(self._file(ref), mark, ref.uid) is not None:
                async with self._host.following(self._file(ref)) as follower:
                    await follower.settle()

    @asynccontextmanager
    async def log(
        self,
        pod: str,
        container: str,
        since: str = "",
        *,
        follow: bool = True,
        previous: bool = False,
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        """Open a container's log; see client.Runs.log."""
        with _converted_errors():
            async with self._host.daemon() as daemon:
                if (only := await _container_in(daemon, pod)) not in (container, None):
                    no = f"container {container} is not valid for pod {pod}"  # as the apiserver
                    raise Refused(_BAD_REQUEST, f"{no}: on Docker it has {only} alone")
                if previous:
                    raise Refused(_BAD_REQUEST, f"container {container} has not restarted")
                yield _pieces(daemon.log_records(pod, since, follow=follow))

    async def log_end(self, pod: str, pieces: int | None) -> bytes:
        """Return the end of a container's log, byte for byte."""
        with _converted_errors():
            async with self._host.daemon() as daemon:
                return await daemon.log_tail(pod, pieces)

    def _file(self, ref: Ref) -> StateFile:
        return self._host.file(ref.namespace, ref.name)


async def _pieces(records: AsyncIterator[LogRecord]) -> AsyncIterator[Piece]:
    """Yield the daemon's log records as pieces; each has a time, even within a long line."""
    async for record in records:
        time = nanoseconds_of(record.time)
        yield Piece(record.content, time, newline=record.ends, stream=record.stream)


async def _container_in(daemon: Daemon, pod: str) -> str | None:
    """Return the name in the Pod spec of a Pod's only container; None if it is gone."""
    container = await daemon.inspect(pod)
    return None if container is None else str(container["Config"]["Labels"][LABEL_CONTAINER])


async def _read(file: StateFile, ref: Ref) -> TaskRun | None:
    run = (await file.read()).run
    mine = run is not None and run["metadata"]["uid"] == ref.uid
    return TaskRun.model_validate(run) if mine else None


@contextmanager
def _converted_errors() -> Iterator[None]:
    """Turn the engine's errors into this provider's errors."""
    try:
        yield
    except InvalidRun as error:
        raise NotValid(str(error)) from error
    except DaemonError as error:
        raise Refused(error.code, str(error)) from error
    except (NoDaemon, StateError) as error:
        raise Unreachable(str(error)) from error


def docker_client_of(settings: Mapping[str, Any], namespace: str) -> DockerClient:
    """Return the client of a namespace on the host that a connection's settings describe."""
    root = settings.get("state_directory")
    endpoint = DaemonAddress(
        url=settings.get("url"),
        ca_cert=settings.get("tls_ca_cert"),
        client_cert=settings.get("tls_client_cert"),
        client_key=settings.get("tls_client_key"),
        check_hostname=settings.get("tls_hostname", True) is not False,
    )
    host = Host(
        root=Path(root) if root else state_directory(),
        now=clock.now,
        endpoint=endpoint,
        secrets=Secrets(secrets=_secrets(settings.get("secrets") or {})),
    )
    return DockerClient(host, namespace)


def _secrets(settings: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], str]:
    return {
        (name, key): str(value) for name, keys in settings.items() for key, value in keys.items()
    }
